// oauth2-mock-server as a token server. It checks no secret: what it does for a token is
// to sign it. Arguments: key file, certificate file.
import { OAuth2Server } from 'oauth2-mock-server';

const [key, cert] = process.argv.slice(2);
const server = new OAuth2Server(key, cert);
await server.issuer.keys.generate('RS256');
await server.start(0, 'localhost');
console.log(`https://localhost:${server.address().port}/token`);
