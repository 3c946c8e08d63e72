// In charge of: the secrets that the Supabase CLI gives every local project, so that an existing .env.local works. They are public.
import type { JWK } from 'jose';

// Source: supabase/cli apps/cli-go/pkg/config/apikeys.go and config.go (SigningKeys).
export const developmentJwtSecret = 'super-secret-jwt-token-with-at-least-32-characters-long';
export const developmentPublishableKey = 'sb_publishable_ACJWlzQHlZjBrEguHvfOxg_3BJgxAaH';
export const developmentSecretKey = 'sb_secret_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz';
export const developmentSigningKey: JWK = {
  kty: 'EC',
  kid: 'b81269f1-21d8-4f2e-b719-c2240a840d90',
  use: 'sig',
  key_ops: ['sign', 'verify'],
  alg: 'ES256',
  ext: true,
  crv: 'P-256',
  x: 'M5Sjqn5zwC9Kl1zVfUUGvv9boQjCGd45G8sdopBExB4',
  y: 'P6IXMvA2WYXSHSOMTBH2jsw_9rrzGy89FjPf6oOsIxQ',
  d: 'dIhR8wywJlqlua4y_yMq2SLhlFXDZJBCvFrY1DCHyVU',
};
// Source: supabase/cli apps/cli-go/pkg/config/config.go, S3Credentials.
export const developmentS3Keys = {
  accessKeyId: '625729a08b95bf1b7ff351a663f3a23c',
  secretAccessKey: '850181e4652dd023b7a98c58ae0d2d34bd487ee0cc3254aed6eda37307425907',
};
export const developmentDatabasePassword = 'postgres';

/** 2032-11-12: the end of the legacy keys that the CLI prints. */
export const legacyKeyExpiresAtSeconds = 1983812996;
