// Microsoft's Graph client for JavaScript, as an administrator's program uses it.
//
//   sdk.js manage NAME MODE   makes an API and a client, grants roles, reads, and prints what came of it
//   sdk.js call URI URL       calls an API with a token for it, as whoever this process is
//
// MODE is "here", with Rolecall's Graph as base URL and as custom host, or "public", without any
// option. Each line that manage prints has a way and its result; the last one describes, as JSON,
// what it made.
import { randomUUID } from 'node:crypto';

import { DefaultAzureCredential } from '@azure/identity';
import graph from '@microsoft/microsoft-graph-client';
import providers from '@microsoft/microsoft-graph-client/authProviders/azureTokenCredentials/index.js';

const { Client, PageIterator, BatchRequestContent, BatchResponseContent } = graph;
const { TokenCredentialAuthenticationProvider } = providers;
const role = 'Orders.Read';
const bulk = 1000; // applications that are there already

function connect(mode) {
  if (mode === 'public') {
    const authProvider = new TokenCredentialAuthenticationProvider(new DefaultAzureCredential(), { scopes: ['https://graph.microsoft.com/.default'] });
    return Client.initWithMiddleware({ authProvider });
  }
  const base = process.env.ROLECALL_GRAPH;
  const credential = new DefaultAzureCredential({ disableInstanceDiscovery: true });
  const authProvider = new TokenCredentialAuthenticationProvider(credential, { scopes: [`${base}/.default`] });
  return Client.initWithMiddleware({ authProvider, baseUrl: `${base}/`, customHosts: new Set([new URL(base).hostname]) });
}

class Program {
  constructor(name, mode) {
    this.name = name;
    this.client = connect(mode);
  }

  async create() {
    this.role = randomUUID();
    this.uri = `api://${this.name}`;
    this.api = await this.client.api('/applications').post({
      displayName: `${this.name}-api`,
      identifierUris: [this.uri],
      appRoles: [{
        id: this.role, allowedMemberTypes: ['Application'], displayName: 'Read orders', description: 'Read every order', isEnabled: true, value: role,
      }],
    });
    this.resource = await this.client.api('/servicePrincipals').post({ appId: this.api.appId });
    this.app = await this.client.api('/applications').post({ displayName: `${this.name}-client` });
    this.principal = await this.client.api('/servicePrincipals').post({ appId: this.app.appId });
    this.secret = await this.client.api(`/applications/${this.app.id}/addPassword`).post({ passwordCredential: { displayName: 'compat' } });
    expect(this.secret.secretText, 'no secret');
    expect(this.resource.displayName === this.api.displayName, 'the service principal has another name');
  }

  async grant() {
    const found = await this.client.api('/servicePrincipals')
      .filter(`displayName eq '${this.name}-identity' and servicePrincipalType eq 'ManagedIdentity'`).get();
    expect(found.value.length === 1, `${found.value.length} managed identities`);
    this.identity = found.value[0].id;
    for (const principalId of [this.identity, this.principal.id]) {
      const assigned = await this.client.api(`/servicePrincipals/${principalId}/appRoleAssignments`)
        .post({ principalId, resourceId: this.resource.id, appRoleId: this.role });
      expect(assigned.id, 'the assignment has no id');
    }
  }

  async read() {
    const assigned = await this.client.api(`/servicePrincipals/${this.resource.id}/appRoleAssignedTo`).get();
    const principals = assigned.value.map((a) => a.principalId).sort();
    expect(String(principals) === String([this.identity, this.principal.id].sort()), 'other assignments');
    const held = await this.client.api(`/servicePrincipals/${this.identity}/appRoleAssignments`).get();
    expect(held.value.length === 1 && held.value[0].appRoleId === this.role, 'other roles');
    expect(held.value[0].resourceDisplayName === this.api.displayName, 'another resource');
    const app = await this.client.api(`/applications(appId='${this.api.appId}')`).select(['id', 'appRoles', 'identifierUris']).get();
    expect(app.id === this.api.id && app.appRoles[0].value === role, 'another application by its appId');
    expect(String(app.identifierUris) === this.uri && !('displayName' in app), 'other members than selected');
  }

  async error() {
    try {
      await this.client.api(`/applications/${randomUUID()}`).get();
    } catch (error) {
      expect(error.statusCode === 404 && error.code === 'Request_ResourceNotFound', `${error.statusCode} ${error.code}`);
      expect(error.requestId, 'no request id');
      return;
    }
    throw new Error('what does not exist was found');
  }

  async pages() {
    const first = await this.client.api('/applications').select('id,displayName').filter("startswith(displayName,'bulk-')").top(100).get();
    expect(first.value.length === 100, `a page of ${first.value.length}`);
    const seen = new Set();
    await new PageIterator(this.client, first, (app) => { seen.add(app.displayName); return true; }).iterate();
    expect(seen.size === bulk, `${seen.size} applications`);
  }

  async delta() {
    const ignore = () => true;
    const all = new PageIterator(this.client, await this.client.api('/applications/delta').get(), ignore);
    await all.iterate();
    const later = await this.client.api('/applications').post({ displayName: `${this.name}-later` });
    await this.client.api(`/applications/${later.id}`).delete();
    const latest = await this.client.api('/applications').post({ displayName: `${this.name}-latest` });
    const changed = new Set();
    const since = new PageIterator(this.client, await this.client.api(all.getDeltaLink()).get(), (app) => { changed.add(app.id); return true; });
    await since.iterate();
    expect(changed.has(latest.id) && since.getDeltaLink(), `${changed.size} changes`);
    expect(!changed.has(this.api.id), 'what did not change is among the changes');
  }

  async batch() {
    const at = (path) => `https://graph.microsoft.com/v1.0${path}`; // the library cuts off the host and the version
    const json = { 'Content-Type': 'application/json' };
    const content = new BatchRequestContent([
      { id: '1', request: new Request(at('/applications'), { method: 'POST', headers: json, body: JSON.stringify({ displayName: `${this.name}-batch` }) }) },
      { id: '2', dependsOn: ['1'], request: new Request(at(`/applications/${this.api.id}?$select=displayName`)) },
      { id: '3', dependsOn: ['2'], request: new Request(at(`/applications/${randomUUID()}`)) },
    ]);
    const answer = new BatchResponseContent(await this.client.api('/$batch').post(await content.getContent()));
    const statuses = ['1', '2', '3'].map((id) => answer.getResponseById(id).status);
    expect(String(statuses) === '201,200,404', `statuses ${statuses}`);
    const app = await answer.getResponseById('2').json();
    expect(app.displayName === this.api.displayName, 'another application');
  }
}

function expect(condition, otherwise) {
  if (!condition) throw new Error(otherwise);
}

async function manage(name, mode) {
  const program = new Program(name, mode);
  for (const way of ['create', 'grant', 'read', 'error', 'pages', 'delta', 'batch']) {
    try {
      await program[way]();
      console.log(`${way}\tok`);
    } catch (error) {
      console.log(`${way}\tFAIL: ${String(error.stack ?? error).slice(0, 300).replace(/\s+/g, ' ')}`);
    }
  }
  console.log(JSON.stringify({ api: program.api?.appId, uri: program.uri, client: program.app?.appId, secret: program.secret?.secretText }));
}

async function call(uri, url) {
  const credential = new DefaultAzureCredential({ disableInstanceDiscovery: 'AZURE_AUTHORITY_HOST' in process.env });
  const { token } = await credential.getToken(`${uri}/.default`);
  const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
  expect(String(claims.roles) === role, `roles ${claims.roles}`);
  const response = await fetch(url, { headers: { Authorization: `Bearer ${token}` } });
  expect(response.status === 200, `status ${response.status}`);
}

const [what, ...args] = process.argv.slice(2);
await (what === 'manage' ? manage : call)(...args);
