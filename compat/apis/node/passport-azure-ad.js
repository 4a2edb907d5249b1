// An API that checks tokens with passport-azure-ad.
import express from 'express';
import passport from 'passport';
import { BearerStrategy } from 'passport-azure-ad';

const { AZURE_AUTHORITY_HOST, AZURE_TENANT_ID, AZURE_CLIENT_ID } = process.env;
const authority = new URL(AZURE_TENANT_ID, AZURE_AUTHORITY_HOST).href;

const strategy = new BearerStrategy({
  identityMetadata: authority + '/v2.0/.well-known/openid-configuration',
  clientID: AZURE_CLIENT_ID,
  audience: AZURE_CLIENT_ID,
  loggingLevel: 'error',
}, (claims, done) => done(null, claims));

const reader = (request, response, next) => {
  const { scp, roles } = request.user;
  if (scp || !roles?.includes('Orders.Read')) return response.sendStatus(403);
  next();
};

const app = express();
app.use(passport.use(strategy).initialize());
app.get('/', passport.authenticate('oauth-bearer', { session: false }), reader, (_, response) => response.json([]));
const server = app.listen(0, '127.0.0.1', () => console.log(`listening http://127.0.0.1:${server.address().port}`));
