// A daemon with Microsoft's names in its source: it gets a token with MSAL, by a client secret,
// and calls the Orders API at each URL that it is given.
import { ConfidentialClientApplication } from '@azure/msal-node';

const app = new ConfidentialClientApplication({
  auth: {
    clientId: 'c11e0001-5a5a-4c4c-8d8d-000000000001',
    authority: 'https://login.microsoftonline.com/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11',
    clientSecret: process.env.AZURE_CLIENT_SECRET,
  },
});
const { accessToken } = await app.acquireTokenByClientCredential({ scopes: ['api://orders/.default'] });
for (const url of process.argv.slice(2)) {
  const response = await fetch(url, { headers: { Authorization: `Bearer ${accessToken}` } });
  console.log(response.status, url);
}
