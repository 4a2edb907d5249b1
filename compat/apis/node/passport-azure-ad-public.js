// An API that checks tokens with passport-azure-ad and has Microsoft's names in its source.
//
//     node passport-azure-ad-public.js 1.0|2.0
import express from 'express';
import passport from 'passport';
import { BearerStrategy } from 'passport-azure-ad';

const tenant = 'https://login.microsoftonline.com/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11';
const version = {
  '1.0': { identityMetadata: tenant + '/.well-known/openid-configuration', audience: 'api://orders-v1', clientID: 'a9100001-5a5a-4c4c-8d8d-000000000001' },
  '2.0': {
    identityMetadata: tenant + '/v2.0/.well-known/openid-configuration',
    audience: 'a9100002-5a5a-4c4c-8d8d-000000000002',
    clientID: 'a9100002-5a5a-4c4c-8d8d-000000000002',
  },
}[process.argv[2]];

const strategy = new BearerStrategy({ ...version, loggingLevel: 'error' }, (claims, done) => done(null, claims));

const reader = (request, response, next) => {
  if (!request.user.roles?.includes('Orders.Read')) return response.sendStatus(403);
  next();
};

const app = express();
app.use(passport.use(strategy).initialize());
app.get('/', passport.authenticate('oauth-bearer', { session: false }), reader, (_, response) => response.json([]));
const server = app.listen(0, '127.0.0.1', () => console.log(`listening http://127.0.0.1:${server.address().port}`));
