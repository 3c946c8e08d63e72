// In charge of: `[auth.third_party.…]` of config.toml: which other issuers' tokens are taken.
// Source: supabase/cli apps/cli-go/pkg/config/auth.go `thirdParty`, config.go `issuerURL` and `validate` of each provider.
import { OperatorError } from '../../base/errors.ts';
import { flag, parsed, text, type ValuesOf } from '../../base/settings.ts';
import { parseDurationSeconds } from '../../base/time.ts';
import type { ConfiguredIssuer } from './issuers.ts';

const enabled = (key: string, env: string, name: string) =>
  flag({
    key: `auth.third_party.${key}.enabled`,
    env: [`SUPABASE_AUTH_THIRD_PARTY_${env}_ENABLED`],
    default: false,
    live: true,
    sentence: `Take the tokens of ${name}, verified by its published keys.`,
  });

const fact = (key: string, member: string, sentence: string) =>
  text({
    key: `auth.third_party.${key}.${member}`,
    env: [`SUPABASE_AUTH_THIRD_PARTY_${key.toUpperCase()}_${member.toUpperCase()}`],
    default: '',
    live: true,
    sentence,
  });

const duration = (raw: unknown) => {
  const seconds = parseDurationSeconds(raw);
  return seconds !== undefined && seconds > 0 ? seconds : undefined;
};

export const thirdPartySettings = {
  firebase: enabled('firebase', 'FIREBASE', 'Firebase Auth'),
  firebaseProject: fact(
    'firebase',
    'project_id',
    'The Firebase project, which is also the audience of its tokens.',
  ),
  auth0: enabled('auth0', 'AUTH0', 'Auth0'),
  auth0Tenant: fact('auth0', 'tenant', 'The Auth0 tenant.'),
  auth0Region: fact('auth0', 'tenant_region', 'The region of the Auth0 tenant, where its name has one.'),
  cognito: enabled('aws_cognito', 'AWS_COGNITO', 'AWS Cognito'),
  cognitoPool: fact('aws_cognito', 'user_pool_id', 'The user pool.'),
  cognitoRegion: fact('aws_cognito', 'user_pool_region', 'The region of the user pool.'),
  clerk: enabled('clerk', 'CLERK', 'Clerk'),
  clerkDomain: fact('clerk', 'domain', 'The domain of the Clerk instance.'),
  workos: enabled('workos', 'WORKOS', 'WorkOS'),
  workosIssuer: fact('workos', 'issuer_url', 'The issuer of the WorkOS environment, an https URL.'),
  freshSeconds: parsed(
    {
      key: 'gateway.issuer_keys_fresh',
      env: ['MILLRACE_ISSUER_KEYS_FRESH'],
      default: 600,
      unit: 'seconds',
      live: true,
      sentence:
        'How old the keys of a third-party issuer get before they are fetched again. A key that it withdrew counts that long.',
    },
    'a duration such as "10m"',
    duration,
  ),
  keptSeconds: parsed(
    {
      key: 'gateway.issuer_keys_kept',
      env: ['MILLRACE_ISSUER_KEYS_KEPT'],
      default: 24 * 3600,
      unit: 'seconds',
      live: true,
      sentence:
        'How long the last good keys of a third-party issuer count while it cannot be reached. After that its tokens are answered with 503.',
    },
    'a duration such as "24h"',
    duration,
  ),
};

/**
 * The issuers that are switched on. Upstream takes one at a time; here each token is bound to the issuer that it names, so that
 * several do not get in each other's way.
 * @throws OperatorError when what makes up an issuer's URL is missing, is a variable that is not set, or is not of its form.
 */
export function configuredIssuers(
  settings: ValuesOf<typeof thirdPartySettings>,
): readonly ConfiguredIssuer[] {
  const issuers: ConfiguredIssuer[] = [];
  if (settings.firebase) {
    const project = need('firebase', 'project_id', settings.firebaseProject, projectShape);
    // All projects of Firebase share their keys; the audience is what tells them apart. Source: firebase.google.com "Verify ID tokens", third-party JWT library.
    issuers.push({ name: 'firebase', url: `https://securetoken.google.com/${project}`, audience: project });
  }
  if (settings.auth0) {
    const tenant = need('auth0', 'tenant', settings.auth0Tenant, labelShape);
    const region =
      settings.auth0Region === ''
        ? ''
        : `.${need('auth0', 'tenant_region', settings.auth0Region, labelShape)}`;
    issuers.push({ name: 'auth0', url: `https://${tenant}${region}.auth0.com` });
  }
  if (settings.cognito) {
    const pool = need('aws_cognito', 'user_pool_id', settings.cognitoPool, poolShape);
    const region = need('aws_cognito', 'user_pool_region', settings.cognitoRegion, labelShape);
    issuers.push({ name: 'aws_cognito', url: `https://cognito-idp.${region}.amazonaws.com/${pool}` });
  }
  if (settings.clerk) {
    issuers.push({
      name: 'clerk',
      url: `https://${need('clerk', 'domain', settings.clerkDomain, clerkShape)}`,
    });
  }
  if (settings.workos) {
    const url = need('workos', 'issuer_url', settings.workosIssuer, urlShape);
    issuers.push({ name: 'workos', url });
  }
  return issuers;
}

interface Shape {
  readonly fits: (value: string) => boolean;
  readonly expects: string;
}

function need(provider: string, member: string, value: string, shape: Shape): string {
  const key = `auth.third_party.${provider}.${member}`;
  if (value === '')
    throw new OperatorError(
      `auth.third_party.${provider} is switched on, but "${key}" is not set.`,
      `Set it, or set auth.third_party.${provider}.enabled to false.`,
    );
  if (!shape.fits(value))
    throw new OperatorError(
      `"${key}" is ${JSON.stringify(value)}, but must be ${shape.expects}.`,
      value.startsWith('env(') ? `Set the variable that it names.` : 'Correct it in supabase/config.toml.',
    );
  return value;
}

// What goes into a URL must not be able to make another one of it.
const labelShape: Shape = {
  fits: (value) => /^[a-z0-9-]+$/i.test(value),
  expects: 'letters, digits and hyphens',
};
const poolShape: Shape = {
  fits: (value) => /^[\w-]+$/.test(value),
  expects: 'an id such as "eu-west-1_a1B2c3"',
};
const projectShape: Shape = {
  fits: (value) => /^[a-z0-9][a-z0-9.:-]*$/i.test(value),
  expects: 'the id of a Firebase project',
};
const clerkShape: Shape = {
  fits: (value) => /^(clerk(\.[a-z0-9-]+){2,}|([a-z0-9-]+\.)+clerk\.accounts\.dev)$/.test(value),
  expects: 'a domain such as "clerk.example.com" or "example.clerk.accounts.dev"',
};
const urlShape: Shape = {
  fits(value) {
    if (!URL.canParse(value)) return false;
    const { protocol, hostname, search, hash, username, password } = new URL(value);
    const isPlain = search === '' && hash === '' && username === '' && password === '';
    // Keys that come over plain http are anybody's; on this machine they serve for trying things out.
    const isLocal = /^(localhost|127\.0\.0\.1|\[::1\])$/.test(hostname);
    return isPlain && (protocol === 'https:' || (protocol === 'http:' && isLocal));
  },
  expects: 'an https URL without query',
};
