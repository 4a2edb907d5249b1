// An API that checks tokens with jose.
import http from 'node:http';
import { createRemoteJWKSet, jwtVerify } from 'jose';

const { AZURE_AUTHORITY_HOST, AZURE_TENANT_ID, AZURE_CLIENT_ID } = process.env;
const authority = new URL(AZURE_TENANT_ID, AZURE_AUTHORITY_HOST).href;

const keys = createRemoteJWKSet(new URL(authority + '/discovery/v2.0/keys'));
const claimsOf = async (token) => {
  const { payload } = await jwtVerify(token, keys, {
    issuer: authority + '/v2.0',
    audience: AZURE_CLIENT_ID,
    algorithms: ['RS256'],
    requiredClaims: ['exp'],
  });
  return payload;
};

const status = async (authorization = '') => {
  const [, token] = /^Bearer (.+)$/i.exec(authorization) ?? [];
  if (!token) return 401;
  try {
    const claims = await claimsOf(token);
    return !claims.scp && claims.roles?.includes('Orders.Read') ? 200 : 403;
  } catch {
    return 401;
  }
};

const server = http.createServer(async (request, response) => {
  response.writeHead(await status(request.headers.authorization)).end();
});
server.listen(0, '127.0.0.1', () => console.log(`listening http://127.0.0.1:${server.address().port}`));
