// A program that knows nothing of tokens, behind `rolecall guard`.
import express from 'express';

// Who calls, as the guard says: the headers of App Service Authentication.
function caller(request) {
  const principal = JSON.parse(Buffer.from(request.get('x-ms-client-principal'), 'base64'));
  const roles = principal.claims.filter(({ typ }) => typ === 'roles').map(({ val }) => val);
  return [request.get('x-ms-client-principal-id'), roles];
}

const app = express();
app.get('/api/GetOrders', (request, response) => {
  console.log('orders for %s with %s', ...caller(request));
  response.json([]);
});
app.listen(Number(process.env.PORT), '127.0.0.1');
