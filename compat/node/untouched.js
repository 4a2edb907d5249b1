// Asks for tokens as programs for Microsoft's cloud do: with the public authority in their
// source, or none at all, and no option set. Prints what came of each way, for each library
// that has it:
//
//   node untouched.js WAY...
//
// A line is client, version, way, "token" or "refused" or "error", and the token or what the
// library said, with tabs between them.

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import {
  AuthenticationError,
  AuthenticationRequiredError,
  AzureCliCredential,
  AzureDeveloperCliCredential,
  ClientCertificateCredential,
  ClientSecretCredential,
  CredentialUnavailableError,
  DefaultAzureCredential,
  EnvironmentCredential,
  ManagedIdentityCredential,
  WorkloadIdentityCredential,
} from '@azure/identity';
import { AuthError, ConfidentialClientApplication, ManagedIdentityApplication } from '@azure/msal-node';
import adal from 'adal-node';

const authority = 'https://login.microsoftonline.com';
const wrongSecret = 'not-the-secret-of-this-client';
const unknownTenant = '5e0f7a31-93c4-4d57-8b2a-1c6d9e4f0a77';
const { AZURE_TENANT_ID: tenant, AZURE_CLIENT_ID: clientId, AZURE_CLIENT_SECRET: secret } = process.env;
const { COMPAT_V1_RESOURCE: apiV1, COMPAT_V2_RESOURCE: api, COMPAT_CERT: certificate, COMPAT_CHAIN: chain } = process.env;

const azureToken = async (credential, resource = api) => (await credential.getToken(`${resource}/.default`)).token;
const azureManaged = () => azureToken(new ManagedIdentityCredential());

const azureIdentity = {
  name: '@azure/identity',
  secret: () => azureToken(new ClientSecretCredential(tenant, clientId, secret)),
  certificate: () => azureToken(new ClientCertificateCredential(tenant, clientId, certificate)),
  'certificate chain': () =>
    azureToken(new ClientCertificateCredential(tenant, clientId, chain, { sendCertificateChain: true })),
  environment: () => azureToken(new EnvironmentCredential()),
  DefaultAzureCredential: () => azureToken(new DefaultAzureCredential()),
  'v1.0 token': () => azureToken(new ClientSecretCredential(tenant, clientId, secret), apiV1),
  'wrong secret': () => azureToken(new ClientSecretCredential(tenant, clientId, wrongSecret)),
  'unknown tenant': () => azureToken(new ClientSecretCredential(unknownTenant, clientId, secret)),
  'managed identity': azureManaged,
  IMDS: azureManaged,
  'workload identity': () => azureToken(new WorkloadIdentityCredential()),
  az: () => azureToken(new AzureCliCredential()),
  azd: () => azureToken(new AzureDeveloperCliCredential()),
};

async function msalToken(credential, { at = tenant, resource = api } = {}) {
  const app = new ConfidentialClientApplication({ auth: { clientId, authority: `${authority}/${at}`, ...credential } });
  const { accessToken } = await app.acquireTokenByClientCredential({ scopes: [`${resource}/.default`] });
  return accessToken;
}

async function msalManaged() {
  const { accessToken } = await new ManagedIdentityApplication().acquireToken({ resource: api });
  return accessToken;
}

const msalNode = {
  name: '@azure/msal-node',
  secret: () => msalToken({ clientSecret: secret }),
  certificate: () => {
    const { privateKey, thumbprint } = read(certificate);
    return msalToken({ clientCertificate: { privateKey, thumbprint } });
  },
  'certificate chain': () => {
    const { privateKey, thumbprintSha256, x5c } = read(chain);
    return msalToken({ clientCertificate: { privateKey, thumbprintSha256, x5c } });
  },
  'v1.0 token': () => msalToken({ clientSecret: secret }, { resource: apiV1 }),
  'wrong secret': () => msalToken({ clientSecret: wrongSecret }),
  'unknown tenant': () => msalToken({ clientSecret: secret }, { at: unknownTenant }),
  'managed identity': msalManaged,
  IMDS: msalManaged,
};

// adalToken asks ADAL, which validates the authority unless it is told not to. The contexts
// would share a cache, and a wrong secret find a token in it.
function adalToken(at, method, ...args) {
  const context = new adal.AuthenticationContext(`${authority}/${at}`, undefined, new adal.MemoryCache());
  return new Promise((resolve, reject) => {
    context[method](...args, (error, answer) => {
      if (error) {
        reject(Object.assign(error, { answer }));
      } else {
        resolve(answer.accessToken);
      }
    });
  });
}

const adalSecret = (at, resource, withSecret) =>
  adalToken(at, 'acquireTokenWithClientCredentials', resource, clientId, withSecret);

const adalNode = {
  name: 'adal-node',
  secret: () => adalSecret(tenant, api, secret),
  certificate: () => {
    const { privateKey, thumbprint } = read(certificate);
    return adalToken(tenant, 'acquireTokenWithClientCertificate', api, clientId, privateKey, thumbprint);
  },
  'v1.0 token': () => adalSecret(tenant, apiV1, secret),
  'wrong secret': () => adalSecret(tenant, api, wrongSecret),
  'unknown tenant': () => adalSecret(unknownTenant, api, secret),
};

// read reads a PEM file of one key and its certificates, leaf first.
function read(path) {
  const pem = readFileSync(path, 'ascii');
  const blocks = (label) => pem.match(new RegExp(`-----BEGIN ${label}-----.+?-----END ${label}-----\n`, 'gs'));
  const certificates = blocks('CERTIFICATE');
  const leaf = new X509Certificate(certificates[0]);
  return {
    privateKey: blocks('PRIVATE KEY')[0],
    x5c: certificates.join(''),
    thumbprint: leaf.fingerprint.replaceAll(':', ''),
    thumbprintSha256: leaf.fingerprint256.replaceAll(':', ''),
  };
}

// what tells an error of a library's own from others; ADAL has no class of errors, and hands
// over the answer beside an Error.
function what(error) {
  const own = [AuthenticationError, AuthenticationRequiredError, CredentialUnavailableError, AuthError];
  if (own.some((type) => error instanceof type)) {
    return ['refused', error.message];
  }
  const answer = error.answer?.error_description;
  return answer ? ['refused', answer] : ['error', `${error.stack}`];
}

for (const client of [azureIdentity, msalNode, adalNode]) {
  const { version } = createRequire(import.meta.url)(`./node_modules/${client.name}/package.json`);
  for (const way of process.argv.slice(2).filter((name) => client[name])) {
    let outcome;
    try {
      outcome = ['token', await client[way]()];
    } catch (error) {
      outcome = what(error);
    }
    console.log([client.name, version, way, ...outcome].map((text) => text.replace(/\s+/g, ' ')).join('\t'));
  }
}
