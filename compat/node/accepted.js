// Whether others than the client like a token: jose, and the Orders server.

import assert from 'node:assert/strict';

import { createLocalJWKSet, jwtVerify } from 'jose';

// accepted checks that jose and the Orders server both take the token.
export async function accepted(api, token) {
  const claims = await verified(api, token);
  assert.deepEqual(claims.roles, ['Orders.Read']);
  const { status, body } = await getOrders(api, token);
  assert.equal(status, 200);
  assert.equal(body.length, 5);
}

// verified has jose check signature, issuer, audience and expiry, and returns
// the claims. Issuer and keys come from the discovery document.
export async function verified(api, token) {
  const metadata = await getJSON(api.metadata);
  assert.equal(metadata.issuer, api.issuer);
  const keys = createLocalJWKSet(await getJSON(metadata.jwks_uri));
  const { payload } = await jwtVerify(token, keys, {
    issuer: metadata.issuer,
    audience: api.audience,
    algorithms: ['RS256'],
    requiredClaims: ['exp', 'nbf', 'iat'],
  });
  assert.equal(payload.ver, api.version);
  return payload;
}

// getOrders calls the Orders server with the token.
export async function getOrders(api, token) {
  const response = await fetch(api.url, { headers: { authorization: `Bearer ${token}` } });
  return { status: response.status, body: await response.json() };
}

async function getJSON(url) {
  const response = await fetch(url);
  assert.equal(response.status, 200, url);
  return response.json();
}
