// Microsoft's clients for Node.js, each pointed at the authority in the way its
// own documentation gives for a private cloud.
//
// secret, certificate and chain return an access token; chain sends the
// certificates along (x5c) and is missing where the library cannot; so is
// environment, which takes everything from the variables of rolecall env. refusal
// returns what the authority answered as the library's own error carries it,
// and undefined for every other error. noDiscovery is what the library says in
// place of the authority's answer when a tenant has no discovery document:
// MSAL for JavaScript drops that answer, and @azure/identity is built on it.
//
// probe is what probe.js knows the library by, and lacks are the sources of identities
// that the library does not have; a library without probe has none of them.

import {
  AuthenticationError,
  AuthenticationRequiredError,
  ClientCertificateCredential,
  ClientSecretCredential,
  CredentialUnavailableError,
  EnvironmentCredential,
} from '@azure/identity';
import { AuthError, ConfidentialClientApplication } from '@azure/msal-node';
import adal from 'adal-node';

import { authority, installedVersion } from './environment.js';

const azureOptions = { authorityHost: authority, disableInstanceDiscovery: true };

export const azureIdentity = {
  name: '@azure/identity',
  version: installedVersion('@azure/identity'),

  secret: (tenant, id, secret, resource) =>
    azureToken(new ClientSecretCredential(tenant, id, secret, azureOptions), resource),

  certificate: (tenant, id, { path }, resource) =>
    azureToken(new ClientCertificateCredential(tenant, id, { certificatePath: path }, azureOptions), resource),

  chain: (tenant, id, { path }, resource) =>
    azureToken(
      new ClientCertificateCredential(tenant, id, { certificatePath: path }, { ...azureOptions, sendCertificateChain: true }),
      resource,
    ),

  environment: (resource) => azureToken(new EnvironmentCredential({ disableInstanceDiscovery: true }), resource),

  refusal: (error) => {
    const own = [AuthenticationError, AuthenticationRequiredError, CredentialUnavailableError];
    if (own.some((type) => error instanceof type)) {
      return error.message;
    }
  },
  noDiscovery: 'endpoints_resolution_error',
  probe: 'identity',
  lacks: [],
};

async function azureToken(credential, resource) {
  const { token } = await credential.getToken(`${resource}/.default`);
  return token;
}

export const msalNode = {
  name: '@azure/msal-node',
  version: installedVersion('@azure/msal-node'),

  secret: (tenant, id, clientSecret, resource) => msalToken(tenant, id, { clientSecret }, resource),

  certificate: (tenant, id, { privateKey, thumbprint }, resource) =>
    msalToken(tenant, id, { clientCertificate: { privateKey, thumbprint } }, resource),

  chain: (tenant, id, { privateKey, thumbprintSha256, x5c }, resource) =>
    msalToken(tenant, id, { clientCertificate: { privateKey, thumbprintSha256, x5c } }, resource),

  refusal: (error) => {
    if (error instanceof AuthError) {
      return error.message;
    }
  },
  noDiscovery: 'endpoints_resolution_error',
  probe: 'msal',
  lacks: ['IMDS by proxy', 'workload identity', 'DefaultAzureCredential', 'az', 'azd'],
};

async function msalToken(tenant, clientId, credential, resource) {
  const app = new ConfidentialClientApplication({
    auth: {
      clientId,
      authority: `${authority}/${tenant}`,
      knownAuthorities: [new URL(authority).host], // with the port; no instance discovery then
      ...credential,
    },
  });
  const { accessToken } = await app.acquireTokenByClientCredential({ scopes: [`${resource}/.default`] });
  return accessToken;
}

const adalNode = {
  name: 'adal-node',
  version: installedVersion('adal-node'),

  secret: (tenant, id, secret, resource) =>
    adalToken(tenant, 'acquireTokenWithClientCredentials', resource, id, secret),

  certificate: (tenant, id, { privateKey, thumbprint }, resource) =>
    adalToken(tenant, 'acquireTokenWithClientCertificate', resource, id, privateKey, thumbprint),

  // ADAL has no error class: it hands over an Error and, beside it, the answer.
  refusal: (error) => error.answer?.error_description,
};

function adalToken(tenant, method, ...args) {
  // A cache of its own: contexts share one otherwise, and a wrong secret finds a token in it.
  const context = new adal.AuthenticationContext(`${authority}/${tenant}`, false, new adal.MemoryCache());
  return new Promise((resolve, reject) => {
    context[method](...args, (error, answer) => {
      if (error) {
        reject(Object.assign(error, { answer }));
      } else {
        resolve(answer.accessToken);
      }
    });
  });
}

export const clients = [azureIdentity, msalNode, adalNode];
