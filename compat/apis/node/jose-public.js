// An API that checks tokens with jose and has Microsoft's names in its source.
//
//     node jose-public.js 1.0|2.0
import http from 'node:http';
import { createRemoteJWKSet, jwtVerify } from 'jose';

const tenant = '7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11';
const expected = {
  '1.0': { issuer: `https://sts.windows.net/${tenant}/`, audience: 'api://orders-v1' },
  '2.0': { issuer: `https://login.microsoftonline.com/${tenant}/v2.0`, audience: 'a9100002-5a5a-4c4c-8d8d-000000000002' },
}[process.argv[2]];

const keys = createRemoteJWKSet(new URL(`https://login.microsoftonline.com/${tenant}/discovery/v2.0/keys`));

const status = async (authorization = '') => {
  const [, token] = /^Bearer (.+)$/i.exec(authorization) ?? [];
  if (!token) return 401;
  try {
    const { payload } = await jwtVerify(token, keys, { ...expected, algorithms: ['RS256'], requiredClaims: ['exp'] });
    return payload.roles?.includes('Orders.Read') ? 200 : 403;
  } catch {
    return 401;
  }
};

const server = http.createServer(async (request, response) => {
  response.writeHead(await status(request.headers.authorization)).end();
});
server.listen(0, '127.0.0.1', () => console.log(`listening http://127.0.0.1:${server.address().port}`));
