// A program as a user of Azure's libraries for JavaScript writes it: it gets a token as
// the identity that its environment gives it, and prints it.
//
//   node probe.js identity|msal system
//   node probe.js identity|msal client|object|resource ID
//   node probe.js identity|msal assertion ID
//   node probe.js identity workload|default|az|azd
//
// A refusal that the library reports in an error of its own is exit code 3, with the text
// on stderr; everything else that goes wrong is 1.

import {
  AuthenticationError,
  AuthenticationRequiredError,
  AzureCliCredential,
  AzureDeveloperCliCredential,
  ClientAssertionCredential,
  CredentialUnavailableError,
  DefaultAzureCredential,
  ManagedIdentityCredential,
  WorkloadIdentityCredential,
} from '@azure/identity';
import { AuthError, ConfidentialClientApplication, ManagedIdentityApplication } from '@azure/msal-node';

const resource = process.env.COMPAT_V2_RESOURCE;
const exchange = 'api://AzureADTokenExchange'; // for tokens that prove an application
const { AZURE_AUTHORITY_HOST: host, AZURE_TENANT_ID: tenant, AZURE_CLIENT_ID: application } = process.env;

const libraries = {
  async identity(way, id) {
    const { token } = await credential(way, id).getToken(`${resource}/.default`);
    return token;
  },

  async msal(way, id) {
    if (way !== 'assertion') {
      return identityByMsal(way, id, resource);
    }
    const app = new ConfidentialClientApplication({
      auth: {
        clientId: application,
        authority: new URL(tenant, host).href,
        knownAuthorities: [new URL(host).host],
        clientAssertion: () => identityByMsal('client', id, exchange),
      },
    });
    const { accessToken } = await app.acquireTokenByClientCredential({ scopes: [`${resource}/.default`] });
    return accessToken;
  },
};

async function identityByMsal(way, id, asked) {
  const ids = { client: 'userAssignedClientId', object: 'userAssignedObjectId', resource: 'userAssignedResourceId' };
  const app = new ManagedIdentityApplication(ids[way] ? { managedIdentityIdParams: { [ids[way]]: id } } : {});
  const { accessToken } = await app.acquireToken({ resource: asked });
  return accessToken;
}

function credential(way, id) {
  switch (way) {
    case 'workload':
      return new WorkloadIdentityCredential({ disableInstanceDiscovery: true });
    case 'default':
      return new DefaultAzureCredential();
    case 'az':
      return new AzureCliCredential();
    case 'azd':
      return new AzureDeveloperCliCredential();
    case 'assertion': {
      const identity = new ManagedIdentityCredential({ clientId: id });
      const assertion = async () => (await identity.getToken(`${exchange}/.default`)).token;
      return new ClientAssertionCredential(tenant, application, assertion, { disableInstanceDiscovery: true });
    }
    case 'system':
      return new ManagedIdentityCredential();
    default:
      return new ManagedIdentityCredential({ [`${way}Id`]: id });
  }
}

const own = [AuthenticationError, AuthenticationRequiredError, CredentialUnavailableError, AuthError];
const [library, way, id] = process.argv.slice(2);
try {
  console.log(await libraries[library](way, id));
} catch (error) {
  const isOwn = own.some((type) => error instanceof type);
  console.error(isOwn ? error.message : error);
  process.exitCode = isOwn ? 3 : 1;
}
