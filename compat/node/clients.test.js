// Takes every client down every way that the runner's table has.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { accepted, getOrders, verified } from './accepted.js';
import { clients } from './clients.js';
import * as env from './environment.js';

const unknownTenant = '5e0f7a31-93c4-4d57-8b2a-1c6d9e4f0a77';
const unknownResource = 'api://nobody';
const wrongSecret = 'not-the-secret-of-this-client';

for (const client of clients) {
  describe(client.name, () => {
    const way = (name, run) => env.way(test, client, name, run);

    way('secret', async () => {
      await accepted(env.v2, await client.secret(env.tenant, env.clientId, env.secret, env.v2.resource));
    });
    way('certificate', async () => {
      await accepted(env.v2, await client.certificate(env.tenant, env.clientId, env.certificate, env.v2.resource));
    });
    if (client.chain) {
      way('certificate chain', async () => {
        await accepted(env.v2, await client.chain(env.tenant, env.clientId, env.chain, env.v2.resource));
      });
    } else {
      env.record(client, 'certificate chain', 'none');
    }
    if (client.environment) {
      way('environment', async () => {
        await accepted(env.v2, await client.environment(env.v2.resource));
      });
    } else {
      env.record(client, 'environment', 'none');
    }
    way('v1.0 token', async () => {
      await accepted(env.v1, await client.secret(env.tenant, env.clientId, env.secret, env.v1.resource));
    });
    way('no role', async () => {
      const token = await client.secret(env.tenant, env.noRoleId, env.noRoleSecret, env.v2.resource);
      const claims = await verified(env.v2, token);
      assert.equal('roles' in claims, false);
      const { status, body } = await getOrders(env.v2, token);
      assert.equal(status, 403);
      assert.equal(body.reason, 'role_missing');
    });
    way('wrong secret', async () => {
      await refused(client, 'AADSTS7000215', client.secret(env.tenant, env.clientId, wrongSecret, env.v2.resource));
    });
    way('unknown tenant', async () => {
      const words = client.noDiscovery ?? 'AADSTS90002';
      await refused(client, words, client.secret(unknownTenant, env.clientId, env.secret, env.v2.resource));
    });
    way('unknown resource', async () => {
      await refused(client, 'AADSTS500011', client.secret(env.tenant, env.clientId, env.secret, unknownResource));
    });
  });
}

// refused checks that the library reports the refusal in an error of its own,
// which says these words and a colon.
async function refused(client, words, token) {
  await assert.rejects(token, (error) => {
    const text = client.refusal(error);
    assert.ok(text, `want the library's own error, got ${error.name}: ${error.message}`);
    assert.ok(text.includes(`${words}:`), `want ${words}, got ${text}`);
    return true;
  });
}
