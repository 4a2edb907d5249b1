// A program of a managed identity keeps orders in Azure Storage, which Azurite stands for.
// Started by run.sh, under `rolecall run`.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ManagedIdentityCredential } from '@azure/identity';
import { BlobServiceClient } from '@azure/storage-blob';

const service = (credential) => new BlobServiceClient(process.env.COMPAT_BLOBS, credential, { retryOptions: { maxTries: 1 } });

test('a container is made, a blob is written and read', async () => {
  const container = service(new ManagedIdentityCredential()).getContainerClient('orders');
  await container.create();
  const blob = container.getBlockBlobClient('order.json');
  await blob.upload('{"id":1}', 8);
  assert.equal((await blob.downloadToBuffer()).toString(), '{"id":1}');
  assert.equal(await container.getBlockBlobClient('none.json').exists(), false);
});

test('a token for another resource is refused', async () => {
  const credential = new ManagedIdentityCredential();
  const forVaults = { getToken: () => credential.getToken('https://vault.azure.net/.default') };
  await assert.rejects(service(forVaults).getContainerClient('vaults').create(), (error) => [401, 403].includes(error.statusCode));
});

test('a token for one account is taken', async () => {
  const credential = new ManagedIdentityCredential();
  const forAccount = { getToken: () => credential.getToken('https://devstoreaccount1.blob.core.windows.net/.default') };
  await service(forAccount).getContainerClient('account').create();
});
