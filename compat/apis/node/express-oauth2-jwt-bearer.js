// An API that checks tokens with express-oauth2-jwt-bearer.
import express from 'express';
import { auth, claimCheck } from 'express-oauth2-jwt-bearer';

const { AZURE_AUTHORITY_HOST, AZURE_TENANT_ID, AZURE_CLIENT_ID } = process.env;
const authority = new URL(AZURE_TENANT_ID, AZURE_AUTHORITY_HOST).href;

const authenticate = auth({
  issuerBaseURL: authority + '/v2.0',
  audience: AZURE_CLIENT_ID,
});
const reader = claimCheck(({ scp, roles }) => !scp && (roles ?? []).includes('Orders.Read'));

const app = express();
app.get('/', authenticate, reader, (_, response) => response.json([]));
app.use((error, _request, response, _next) => response.status(error.status ?? 500).set(error.headers).end());
const server = app.listen(0, '127.0.0.1', () => console.log(`listening http://127.0.0.1:${server.address().port}`));
