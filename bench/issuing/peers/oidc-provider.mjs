// oidc-provider as a token server for one daemon: client credentials, JWT access tokens
// signed with RS256 for one API. Arguments: key file, certificate file, client secret.
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import Provider from 'oidc-provider';

const [key, cert, secret] = process.argv.slice(2);
const server = createServer({ key: readFileSync(key), cert: readFileSync(cert), keepAlive: true });
server.listen(0, 'localhost', () => {
  const issuer = `https://localhost:${server.address().port}`;
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const provider = new Provider(issuer, {
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: 'bench' }] },
    clients: [{
      client_id: 'orders-client', client_secret: secret, token_endpoint_auth_method: 'client_secret_post',
      grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
    }],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: 'orders.read', audience: 'api://orders', accessTokenTTL: 3600, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  });
  server.on('request', provider.callback());
  console.log(`${issuer}/token`);
});
