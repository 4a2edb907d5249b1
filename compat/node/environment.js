// What the runner, compat/run, tells this suite through the environment.

import { X509Certificate } from 'node:crypto';
import { appendFileSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

function get(name) {
  const value = process.env[name];
  if (!value) {
    throw new Error(`${name} is not set: start this suite with compat/run node`);
  }
  return value;
}

export const authority = get('COMPAT_AUTHORITY');
export const tenant = get('COMPAT_TENANT');
export const clientId = get('COMPAT_CLIENT_ID');
export const secret = get('COMPAT_SECRET');
export const noRoleId = get('COMPAT_NOROLE_ID');
export const noRoleSecret = get('COMPAT_NOROLE_SECRET');
export const certificate = readCertificate(get('COMPAT_CERT'));
export const chain = readCertificate(get('COMPAT_CHAIN'));

// The rolecall command, the data folder of the server, and the server's log. Where alone
// is true nothing but this machine can be reached.
export const rolecall = get('COMPAT_ROLECALL');
export const data = get('COMPAT_DATA');
export const log = get('COMPAT_LOG');
export const faulty = get('COMPAT_FAULTY').split(':'); // folders of servers that fail once
export const alone = Boolean(process.env.COMPAT_ALONE);

// The managed identities of these suites, and the client id of one that is not theirs.
export const system = { name: get('COMPAT_SYSTEM'), objectId: get('COMPAT_SYSTEM_OBJECT_ID') };
export const assigned = {
  name: get('COMPAT_ASSIGNED'),
  clientId: get('COMPAT_ASSIGNED_CLIENT_ID'),
  objectId: get('COMPAT_ASSIGNED_OBJECT_ID'),
  resourceId: get('COMPAT_ASSIGNED_RESOURCE_ID'),
};
export const stranger = get('COMPAT_STRANGER_CLIENT_ID');

// The program that users sign in to, and the users.
export const appId = get('COMPAT_APP_ID');
export const user = get('COMPAT_USER');
export const userWithRole = get('COMPAT_USER_WITH_ROLE');
export const password = get('COMPAT_PASSWORD');

// The two APIs: each wants access tokens of one version, and has an Orders
// server of its own at url.
export const v1 = api('1.0', `${authority}/${tenant}/`, 'COMPAT_V1');
export const v2 = api('2.0', `${authority}/${tenant}/v2.0`, 'COMPAT_V2');

function api(version, issuer, prefix) {
  return {
    version,
    issuer,
    metadata: `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`,
    resource: get(`${prefix}_RESOURCE`), // what a client asks for
    audience: get(`${prefix}_AUDIENCE`), // what the token must say
    url: get(`${prefix}_URL`),
  };
}

// A PEM file of one key and its certificates, leaf first, in the forms that
// the libraries ask for.
function readCertificate(path) {
  const pem = readFileSync(path, 'ascii');
  const blocks = (label) => pem.match(new RegExp(`-----BEGIN ${label}-----.+?-----END ${label}-----\n`, 'gs'));
  const certificates = blocks('CERTIFICATE');
  const leaf = new X509Certificate(certificates[0]);
  return {
    path,
    privateKey: blocks('PRIVATE KEY')[0],
    x5c: certificates.join(''),
    thumbprint: leaf.fingerprint.replaceAll(':', ''),
    thumbprintSha256: leaf.fingerprint256.replaceAll(':', ''),
  };
}

// installedVersion tells which version of a package this suite runs.
export function installedVersion(name) {
  return createRequire(import.meta.url)(`./node_modules/${name}/package.json`).version;
}

// record adds one row for the runner's table.
export function record(client, way, result) {
  appendFileSync(get('COMPAT_RESULTS'), `${client.name}\t${client.version}\t${way}\t${result}\n`);
}

// way makes a test that records its outcome under the name of a way.
export function way(test, client, name, run) {
  test(name, async () => {
    let result = 'FAIL';
    try {
      await run();
      result = 'ok';
    } finally {
      record(client, name, result);
    }
  });
}
