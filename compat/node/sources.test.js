// Takes every client down every way in which it can find an identity, with nothing but
// the environment of rolecall run.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';

import { accepted, verified } from './accepted.js';
import { clients } from './clients.js';
import * as env from './environment.js';

const run = promisify(execFile);

// What makes a program find the metadata service by nothing but a proxy.
const throughProxy = [
  'sh',
  '-c',
  `export HTTP_PROXY="$AZURE_POD_IDENTITY_AUTHORITY_HOST" http_proxy="$AZURE_POD_IDENTITY_AUTHORITY_HOST"
   unset AZURE_POD_IDENTITY_AUTHORITY_HOST MSAL_MANAGED_IDENTITY_ENDPOINT
   exec "$@"`,
  'sh',
];

// Each says how rolecall run is called, what the probe is told, and whose the token is.
// Those marked alone are tried only where nothing but this machine can be reached.
const system = env.system.objectId;
const assigned = env.assigned.objectId;
const sources = [
  { way: 'App Service', via: ['app-service'], ask: ['system'], whose: system },
  { way: 'client id', via: ['app-service'], ask: ['client', env.assigned.clientId], whose: assigned },
  { way: 'object id', via: ['app-service'], ask: ['object', assigned], whose: assigned },
  { way: 'resource id', via: ['app-service'], ask: ['resource', env.assigned.resourceId], whose: assigned },
  { way: 'IMDS', via: ['imds'], ask: ['system'], whose: system, alone: true },
  { way: 'IMDS by proxy', via: ['imds'], wrap: throughProxy, ask: ['system'], whose: system, alone: true },
  { way: 'IMDS at its address', via: ['imds', '--netns'], ask: ['system'], whose: system, alone: true },
  { way: 'Azure ML', via: ['azure-ml'], ask: ['system'], whose: system },
  { way: 'Cloud Shell', via: ['cloud-shell'], ask: ['system'], whose: system },
  { way: 'Service Fabric', via: ['service-fabric'], ask: ['system'], whose: system },
  { way: 'Azure Arc', via: ['arc'], ask: ['system'], whose: system, alone: true },
  { way: 'workload identity', via: ['workload'], ask: ['workload'], whose: system },
  { way: 'DefaultAzureCredential', via: ['app-service'], ask: ['default'], whose: system },
  { way: 'instead of a secret', as: 'orders-client', via: ['identity'], ask: ['assertion', env.assigned.clientId] },
  { way: 'az', as: 'orders-client', via: ['cli'], ask: ['az'] },
  { way: 'azd', as: 'orders-client', via: ['cli'], ask: ['azd'] },
];

// What asking again does not help against, and what the server says to it.
const refusalsOnce = [
  { way: 'not assigned', ask: ['client', env.stranger], says: /Identity not found/ },
  { way: 'unknown API', wrap: ['env', 'COMPAT_V2_RESOURCE=api://nobody'], ask: ['system'], says: /AADSTS500011:/ },
  { way: 'wrong header', wrap: ['env', 'IDENTITY_HEADER=wrong', 'MSI_SECRET=wrong'], ask: ['system'], says: /not the one of this process/ },
];

for (const [i, client] of clients.filter(({ probe }) => probe).entries()) {
  describe(client.name, () => {
    for (const source of sources) {
      if (client.lacks.includes(source.way)) {
        env.record(client, source.way, 'none');
      } else if (source.alone && !env.alone) {
        env.record(client, source.way, 'skipped');
      } else {
        env.way(test, client, source.way, async () => {
          const token = await probe(client, source);
          await accepted(env.v2, token);
          if (source.whose) {
            assert.equal((await verified(env.v2, token)).oid, source.whose);
          }
        });
      }
    }

    // A server that fails once is asked again.
    env.way(test, client, '503 once', async () => {
      assert.ok(await probe(client, { data: env.faulty[i], via: ['app-service'], ask: ['system'] }));
    });

    // A refusal is the library's own error, after one request.
    for (const { way, says, ...source } of refusalsOnce) {
      env.way(test, client, way, async () => {
        const before = refusals();
        await assert.rejects(probe(client, { via: ['app-service'], ...source }), (error) => {
          assert.equal(error.code, 3, `want the library's own error, got ${error.stderr}`);
          assert.match(error.stderr, says);
          return true;
        });
        assert.equal(refusals() - before, 1);
      });
    }
  });
}

// probe runs the probe as an identity and returns the token that it got.
async function probe(client, { data = env.data, as = env.system.name, via, wrap = [], ask }) {
  const also = ['workload', 'cli'].includes(via[0]) ? [] : ['--also', env.assigned.name];
  const { stdout } = await run(env.rolecall, [
    ...['run', '--data', data, '--as', as, '--via', ...via, ...also, '--'],
    ...wrap,
    ...[process.execPath, 'probe.js', client.probe, ...ask],
  ]);
  return stdout.trim();
}

// refusals counts what the server refused processes with managed identities.
function refusals() {
  return readFileSync(env.log, 'utf8').split('msg="managed identity"').length - 1;
}
