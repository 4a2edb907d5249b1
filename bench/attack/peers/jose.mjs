// jose as a validator: see run.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const [settingsFile, library] = process.argv.slice(2);
const { createLocalJWKSet, jwtVerify } = await import(library);
const settings = JSON.parse(readFileSync(settingsFile, 'utf8'));
const keys = createLocalJWKSet(settings.keys);
const options = {
  issuer: settings.issuer,
  audience: settings.audiences,
  algorithms: ['RS256', 'ES256'],
  clockTolerance: settings.skew,
  requiredClaims: ['exp'],
};

for await (const line of createInterface({ input: process.stdin })) {
  const token = Buffer.from(line, 'base64').toString('utf8');
  let answer = '1';
  try {
    await jwtVerify(token, keys, options);
  } catch {
    answer = '0';
  }
  process.stdout.write(answer + '\n');
}
