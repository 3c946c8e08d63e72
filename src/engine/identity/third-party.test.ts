// In charge of: what `[auth.third_party]` of config.toml makes of each provider. Source: supabase/cli apps/cli-go/pkg/config/config.go.
import { describe, expect, it } from 'vitest';
import { OperatorError } from '../../base/errors.ts';
import { openSettings } from '../settings/live.ts';
import { configuredIssuers, thirdPartySettings } from './third-party.ts';

const issuers = (thirdParty: object, environment: Record<string, string> = {}) =>
  configuredIssuers(
    openSettings([thirdPartySettings], { file: { auth: { third_party: thirdParty } }, environment })
      .of(thirdPartySettings)
      .now(),
  );
const complaint = (thirdParty: object) => {
  try {
    return issuers(thirdParty);
  } catch (error) {
    return error instanceof OperatorError ? error.message : error;
  }
};

describe('[auth.third_party]', () => {
  it.each([
    [{}, []],
    [{ firebase: { enabled: false, project_id: 'my-app' } }, []],
    [
      { firebase: { enabled: true, project_id: 'my-app' } },
      [{ name: 'firebase', url: 'https://securetoken.google.com/my-app', audience: 'my-app' }],
    ],
    [
      { auth0: { enabled: true, tenant: 'my-tenant' } },
      [{ name: 'auth0', url: 'https://my-tenant.auth0.com' }],
    ],
    [
      { auth0: { enabled: true, tenant: 'my-tenant', tenant_region: 'eu' } },
      [{ name: 'auth0', url: 'https://my-tenant.eu.auth0.com' }],
    ],
    [
      { aws_cognito: { enabled: true, user_pool_id: 'eu-west-1_a1B2c3', user_pool_region: 'eu-west-1' } },
      [{ name: 'aws_cognito', url: 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_a1B2c3' }],
    ],
    [
      { clerk: { enabled: true, domain: 'example.clerk.accounts.dev' } },
      [{ name: 'clerk', url: 'https://example.clerk.accounts.dev' }],
    ],
    [
      { clerk: { enabled: true, domain: 'clerk.example.com' } },
      [{ name: 'clerk', url: 'https://clerk.example.com' }],
    ],
    [
      { workos: { enabled: true, issuer_url: 'https://api.workos.com/user_management/client_1' } },
      [{ name: 'workos', url: 'https://api.workos.com/user_management/client_1' }],
    ],
  ])('%j makes %j', (thirdParty, expected) => {
    expect(issuers(thirdParty)).toEqual(expected);
  });

  it('is read from the environment under the CLI’s names', () => {
    const environment = {
      SUPABASE_AUTH_THIRD_PARTY_AWS_COGNITO_ENABLED: 'true',
      SUPABASE_AUTH_THIRD_PARTY_AWS_COGNITO_USER_POOL_ID: 'eu-west-1_x',
      SUPABASE_AUTH_THIRD_PARTY_AWS_COGNITO_USER_POOL_REGION: 'eu-west-1',
    };
    expect(issuers({}, environment)).toHaveLength(1);
  });

  it.each([
    [{ firebase: { enabled: true } }, '"auth.third_party.firebase.project_id" is not set'],
    [{ auth0: { enabled: true } }, '"auth.third_party.auth0.tenant" is not set'],
    [{ auth0: { enabled: true, tenant: 'evil.example/#' } }, '"evil.example/#"'],
    [{ auth0: { enabled: true, tenant: 't', tenant_region: '@evil' } }, '"@evil"'],
    [{ aws_cognito: { enabled: true, user_pool_region: 'x' } }, 'user_pool_id" is not set'],
    [{ aws_cognito: { enabled: true, user_pool_id: 'env(POOL)', user_pool_region: 'x' } }, '"env(POOL)"'],
    [{ aws_cognito: { enabled: true, user_pool_id: 'x' } }, 'user_pool_region" is not set'],
    [{ clerk: { enabled: true } }, '"auth.third_party.clerk.domain" is not set'],
    [{ clerk: { enabled: true, domain: 'example.com' } }, '"example.com"'],
    [{ clerk: { enabled: true, domain: 'clerk.example.com/../..' } }, '"clerk.example.com/../.."'],
    [{ workos: { enabled: true } }, '"auth.third_party.workos.issuer_url" is not set'],
    [{ workos: { enabled: true, issuer_url: 'http://api.workos.com' } }, '"http://api.workos.com"'],
    [{ workos: { enabled: true, issuer_url: 'https://user@api.workos.com' } }, 'https URL'],
    [{ workos: { enabled: true, issuer_url: 'file:///etc/passwd' } }, 'https URL'],
  ])('%j is refused: %s', (thirdParty, words) => {
    expect(complaint(thirdParty)).toContain(words);
  });

  it('takes an http issuer on this machine only', () => {
    expect(issuers({ workos: { enabled: true, issuer_url: 'http://127.0.0.1:9000/x' } })).toHaveLength(1);
  });
});
