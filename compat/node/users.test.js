// Signs users in on a device with MSAL. Their tokens are not for an API of applications,
// whatever role they have.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';

import { PublicClientApplication } from '@azure/msal-node';

import { getOrders, verified } from './accepted.js';
import { azureIdentity, msalNode } from './clients.js';
import * as env from './environment.js';

const run = promisify(execFile);

const scopes = (api) => [`${api.resource}/Orders.List`];

describe(msalNode.name, () => {
  let app;
  let user;

  env.way(test, msalNode, 'device code', async () => {
    [app, user] = await deviceCode(env.user);
    const claims = await verified(env.v2, user.accessToken);
    assert.equal(claims.scp, 'Orders.List');
    assert.equal('roles' in claims, false);
  });
  env.way(test, msalNode, 'refresh', async () => {
    const { accessToken } = await app.acquireTokenSilent({ account: user.account, scopes: scopes(env.v1) });
    assert.equal((await verified(env.v1, accessToken)).scp, 'Orders.List');
  });
  env.way(test, msalNode, 'user refused', () => refused(user));
  env.way(test, msalNode, 'user with the role refused', async () => {
    const [, lead] = await deviceCode(env.userWithRole);
    assert.deepEqual((await verified(env.v2, lead.accessToken)).roles, ['Orders.Read']);
    await refused(lead);
  });
});

// The user who is signed in with the developer tools.
describe(azureIdentity.name, () => {
  for (const [way, ask] of [
    ['az as user', 'az'],
    ['azd as user', 'azd'],
    ['DefaultAzureCredential as user', 'default'],
  ]) {
    env.way(test, azureIdentity, way, async () => {
      const { stdout } = await run(env.rolecall, [
        ...['run', '--data', env.data, '--as', env.user, '--via', 'cli', '--'],
        ...[process.execPath, 'probe.js', azureIdentity.probe, ask],
      ]);
      const accessToken = stdout.trim();
      assert.equal((await verified(env.v2, accessToken)).scp, 'Orders.List');
      await refused({ accessToken });
    });
  }
});

async function refused({ accessToken }) {
  const { status, body } = await getOrders(env.v2, accessToken);
  assert.equal(status, 403);
  assert.equal(body.reason, 'caller_kind');
}

// deviceCode has MSAL sign a user in who types the code that it shows.
async function deviceCode(name) {
  const app = new PublicClientApplication({
    auth: {
      clientId: env.appId,
      authority: `${env.authority}/${env.tenant}`,
      knownAuthorities: [new URL(env.authority).host],
    },
  });
  let signedIn;
  const user = await app.acquireTokenByDeviceCode({
    scopes: scopes(env.v2),
    deviceCodeCallback: (device) => {
      signedIn = signIn(device.verificationUri, device.userCode, name);
    },
  });
  await signedIn;
  return [app, user];
}

// signIn does what a user does in a browser without script: type the code, sign in, and
// say that the device is theirs.
async function signIn(page, code, name) {
  const cookies = new Map();
  const open = async (url, form) => {
    const response = await fetch(url, {
      method: form ? 'POST' : 'GET',
      body: form && new URLSearchParams(form),
      headers: { cookie: [...cookies].map((pair) => pair.join('=')).join('; ') },
      redirect: 'manual',
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [, key, value] = cookie.match(/^([^=]+)=([^;]*)/);
      cookies.set(key, value);
    }
    const next = response.headers.get('location');
    return next ? open(new URL(next, url)) : response.text();
  };
  let shown = await open(page);
  for (const typed of [
    { user_code: code },
    { username: name, password: env.password, action: 'signin' },
    { action: 'continue' },
  ]) {
    const form = found(shown, /name="form" value="([^"]+)"/);
    shown = await open(env.authority + found(shown, /<form method="post" action="([^"]+)"/), { form, ...typed });
  }
  found(shown, /(You are signed in)/);
}

function found(page, pattern) {
  const match = page.match(pattern);
  assert.ok(match, `the page has no ${pattern}: ${page}`);
  return match[1];
}
