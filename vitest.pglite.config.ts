import { defineConfig } from 'vitest/config';

/** The stories of the Data API, of auth and of files on the engine PGlite; docs/engines.md says what is left out and why. */
const files = [
  'auth',
  'auth-limits',
  'auth-mail',
  'auth-mfa',
  'auth-oauth',
  'auth-oauth-custom',
  'auth-oauth-server',
  'auth-passkeys',
  'auth-phone',
  'auth-phone-hook',
  'auth-phone-provider',
  'auth-providers',
  'auth-refusals',
  'auth-restored',
  'auth-saml',
  'auth-sessions',
  'auth-stories',
  'auth-web3',
  'gateway',
  'gateway-guards',
  'inbox',
  'keys',
  'storage',
  'storage-encrypted',
  'storage-images',
  'storage-policies',
  'storage-quotas',
  'storage-s3',
  'storage-s3-keys',
  'storage-scan',
  'storage-seed',
  'supabase-js',
  'supabase-js-methods',
];

export default defineConfig({
  test: {
    include: files.map((file) => `test/${file}.test.ts`),
    env: { MILLRACE_TEST_ENGINE: 'pglite' },
    globalSetup: ['test/harness/global-setup.ts'],
    expect: { poll: { timeout: 60_000 } },
    // Each backend makes an engine of its own: starts take seconds, more of them beside each other.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    isolate: false,
    maxWorkers: 2,
  },
});
