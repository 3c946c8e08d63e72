// In charge of: docs/auth-coverage.md, made from the routes of the auth API and the paths of upstream's openapi.yaml.
import { openRoutes } from '../src/engine/service/routes.ts';
import { providerNames } from '../src/services/auth/oauth/providers/settings.ts';
import { providerTable } from '../src/services/auth/oauth/providers/table.ts';
import { addedRoutes, answeredRoutes } from '../src/services/auth/routes/table.ts';

/** Every method and path of upstream's description. Source: supabase/auth v2.196 openapi.yaml. */
const upstream = `
POST /token
POST /logout
GET /verify
POST /verify
GET /authorize
POST /signup
POST /recover
POST /resend
POST /magiclink
POST /otp
GET /user
PUT /user
GET /user/identities/authorize
DELETE /user/identities/{identityId}
GET /user/oauth/grants
DELETE /user/oauth/grants
POST /reauthenticate
POST /factors
POST /factors/{factorId}/challenge
POST /factors/{factorId}/verify
DELETE /factors/{factorId}
GET /callback
POST /callback
POST /sso
GET /saml/metadata
POST /saml/acs
POST /invite
POST /admin/generate_link
GET /admin/audit
GET /admin/users
GET /admin/users/{userId}
PUT /admin/users/{userId}
DELETE /admin/users/{userId}
GET /admin/users/{userId}/factors
PUT /admin/users/{userId}/factors/{factorId}
DELETE /admin/users/{userId}/factors/{factorId}
GET /admin/sso/providers
POST /admin/sso/providers
GET /admin/sso/providers/{ssoProviderId}
PUT /admin/sso/providers/{ssoProviderId}
DELETE /admin/sso/providers/{ssoProviderId}
GET /admin/oauth/clients
POST /admin/oauth/clients
GET /admin/oauth/clients/{client_id}
PUT /admin/oauth/clients/{client_id}
DELETE /admin/oauth/clients/{client_id}
POST /admin/oauth/clients/{client_id}/regenerate_secret
GET /admin/custom-providers
POST /admin/custom-providers
GET /admin/custom-providers/{identifier}
PUT /admin/custom-providers/{identifier}
DELETE /admin/custom-providers/{identifier}
POST /oauth/clients/register
POST /oauth/token
GET /oauth/authorize
GET /oauth/authorizations/{authorization_id}
POST /oauth/authorizations/{authorization_id}/consent
GET /health
GET /settings
`;

/** Where upstream's description and its router differ: the router is what clients meet. Source: supabase/auth internal/api/api.go. */
const routerSays: Readonly<Record<string, string>> = {
  'POST /reauthenticate': 'GET /reauthenticate',
  'GET /saml/metadata': 'GET /sso/saml/metadata',
  'POST /saml/acs': 'POST /sso/saml/acs',
};

type Finder = ReturnType<typeof openRoutes<unknown>>;

export function renderAuthCoverage(): string {
  const find = openRoutes<unknown>(answeredRoutes);
  const described = upstream.trim().split('\n');
  const seen = new Set(described.map((line) => normal(routerSays[line] ?? line)));
  const beyond = answeredRoutes
    .map(({ method, pattern }) => `${method} ${pattern}`)
    .filter((line) => !seen.has(normal(line)));
  const rows = described.map((line) => {
    const routed = routerSays[line];
    const note = routed === undefined ? '' : ` (upstream's router: \`${routed}\`)`;
    return `| \`${line}\`${note} | ${stateOf(find, routed ?? line)} |`;
  });
  return [
    '# Coverage of the auth API',
    '',
    '<!-- Made by `npm run docs` from the routes in the code. -->',
    '',
    "Every path and method of upstream's `openapi.yaml` (supabase/auth v2.196), and what answers it here. Whatever stands neither here nor",
    "below is answered as by upstream's router: 404 `404 page not found`, or 405 for a path with other methods.",
    '',
    '| Path | Here |',
    '|---|---|',
    ...rows,
    '',
    "In upstream's router and not in its description:",
    '',
    '| Path | Here |',
    '|---|---|',
    ...beyond.map((line) => `| \`${line.replaceAll(/:(\w+)/g, '{$1}')}\` | ${stateOf(find, line)} |`),
    '',
    '## Providers of sign-in',
    '',
    "What each provider documents is held as a whole against what is kept of it, with upstream's file as the authority",
    '(`src/services/auth/oauth/providers/{users,id-token-users,find}.test.ts`). None of them was run against the real service; Keycloak was run against',
    'a real OpenID Connect provider (`oidc-provider`), and the others share its engine.',
    '',
    '| Provider | Source: upstream `internal/api/provider/` | Who the user is | Against the real service |',
    '|---|---|---|---|',
    ...providerNames.map(providerRow),
    '| `custom:…` | `custom_oauth.go` | id_token, or the user info address | not run |',
    '',
    '## Additions',
    '',
    'Paths of our own, which upstream does not have:',
    '',
    ...addedRoutes.map(({ method, pattern }) => `- \`${method} ${pattern.replaceAll(/:(\w+)/g, '{$1}')}\``),
    '',
    '## Deviations',
    '',
    ...deviations.map((line) => `- ${line}`),
    '',
  ].join('\n');
}

function providerRow(name: (typeof providerNames)[number]): string {
  if (name === 'twitter')
    return '| `twitter` | `twitter.go` | its user info address, by OAuth 1.0a | not run |';
  const { source, person } = providerTable[name];
  const ways = [
    person.idToken && 'id_token',
    person.json && 'its user info address',
    person.inTokens && 'the answer with the tokens',
  ].filter((way) => way !== undefined);
  return `| \`${name}\` | \`${source}\` | ${ways.join(', or ')} | not run |`;
}

function stateOf(find: Finder, line: string): string {
  const [method = '', path = ''] = line.replaceAll(/[{}:]/g, '').split(' ');
  if (find(method, path).kind !== 'route') throw new Error(`No route answers "${line}".`);
  return 'answered';
}

function normal(line: string): string {
  return line.replaceAll(/\{\w+\}|:\w+/g, '*');
}

const deviations = [
  'Hooks: one that is a function of the database runs below a savepoint, and what it leaves of the statement timeout is what was there. A status of its `error` below 400 or above 599 is 500, and an `error` that cannot be read is a refusal; upstream takes the first as it is and overlooks the second.',
  'Hooks: an address without a secret is asked nothing (500). Upstream signs with none.',
  'Hooks: `Error running hook URI: …` shows the address without its login, query and fragment; upstream shows it whole.',
  'Hooks: transactions in which one is asked by HTTP (claims of access tokens, mails) have eight connections of their own. Who would wait more than a second for one, or two for a row that such a transaction has, is 429 `over_request_rate_limit` with `Retry-After`, and so is at once whoever comes while none came free for a second; a refresh is 504 `request_timeout` then, which clients try again. Everything else goes on. Upstream has one pool, where a hook that hangs stops all of sign-in.',
  'The hook `after_user_created` is asked for everybody who was made, once; upstream leaves out a sign-up that nobody has to confirm, and asks again when somebody signs up twice before they have confirmed.',
  'Limits of requests hold for a window of the same length, counted for all processes together, by the client address of the gateway; 429 says `Retry-After`. Upstream fills a bucket of 30 bit by bit, in each process by itself, by a header that the CLI does not set. Loopback is not counted in development; in production, and for requests that a proxy on this machine passes on which `gateway.trusted_proxies` does not name, it is one address like any other, and the log and the start say so.',
  'Wrong passwords, and codes that are tried, are also counted by account (`auth.rate_limit.failed_attempts`), whether there is such an account or not; upstream counts by address alone.',
  'Limits are whole numbers; `10/1h` is taken for mails and text messages, as upstream, and is a window of that length as well. Mails count where a mail server is set; the inbox takes all, as with the CLI.',
  'A captcha whose secret is empty refuses every request (500), where upstream does not start; nothing but `true` for `success` lets somebody in.',
  'Web3: a signed message is good for one sign-in (`invalid_grant`), and an Ethereum message has an end also when it has no beginning. Upstream takes a message again and again for ten minutes, and looks at `Expiration Time` of Ethereum only beside `Not Before`.',
  'SAML: an assertion is good for one sign-in. An answer to a request counts with the `RelayState` of that request alone, never as one that nobody asked for. A bearer confirmation and an audience have to be there. Upstream checks none of these.',
  'SAML: what is wrong with an assertion stands in the log; the application hears `SAML Assertion is not valid`, where upstream puts the whole response into the address.',
  'SAML: `SessionNotOnOrAfter` ends the session of a client with PKCE as well; upstream forgets it there, and makes a second session that nobody uses.',
  'SAML: metadata that is old is fetched before an answer is verified, once a minute at most, and is taken when it is of the same entity; upstream fetches it for the next answer, which never comes after a change of keys.',
  'SAML: the metadata of this server names the POST binding alone; upstream names artifacts and single logout, too, and answers neither.',
  'SAML: mail domains are compared without their case. Metadata that is no XML, an empty `resource_id` and what two administrators register at once are 400 or 422; upstream answers 500.',
  'OAuth server: a redirect address with a comma cannot be registered. Upstream keeps the addresses with commas between them, so that one such is two, of which it has judged the first alone.',
  'OAuth server: `client_uri` and `logo_uri` are http addresses; upstream takes `javascript:` there, too.',
  'OAuth server: the token of an application cannot answer `/oauth/authorizations` for its user (403 `bad_jwt`); upstream lets one application say yes to another.',
  'OAuth server: a withdrawn grant ends codes as well that were not exchanged yet, and a code that fails for want of an asymmetric signing key stays good.',
  'OAuth server: `client_secret_expires_at` comes with a registration, `Cache-Control: no-store` with tokens, and id and secret in `Authorization: Basic` may be form-encoded, as the RFCs demand; upstream has none of these.',
  'OAuth server: its metadata is also at `/.well-known/oauth-authorization-server/auth/v1` and names `revocation_endpoint`.',
  'After a stolen refresh token ended its session, the newest token of the session is refused at once. Upstream lets it through for one more reuse interval, because revoking it counts as its last use.',
  'A sign-in of an unknown address, and a sign-up with a known one, hash a password as well, so that the time does not tell who has an account.',
  '`/recover`, `/magiclink`, `/otp` for a mail address and `/resend` answer at the next full 200 ms, and a magic link for somebody who is known costs a hash as for a new one, for the same reason.',
  'Where addresses are confirmed, a sign-up with a known address never tells that it is known. Upstream tells it as soon as phone numbers need no confirmation, which is the default of the CLI.',
  'Of redirects an address is refused that a browser reads in another way than it is written (`https:host`, `\\`, a name before the host); upstream judges only what Go reads.',
  'A new row in `auth.users` has its role from the start; upstream inserts it without and updates it, so that a trigger on insert sees none.',
  "The address of a client in `auth.sessions.ip` is the gateway's, which believes `X-Forwarded-For` only of trusted proxies; upstream takes the header from anybody.",
  'A text with the character U+0000 anywhere in a body is 400 `bad_json`; upstream answers 500 where it reaches the database. So is a body of more than 500 levels.',
  'A row of `auth.users` with nulls in its token columns, as seed files write them, is read as if they were empty; upstream answers 500.',
  'A database that is away is 503 with `Retry-After`; upstream answers 500.',
  "What refuses an API key is 401 in GoTrue's shape; upstream's gateway answers in its own.",
  'Refresh tokens of the second kind (`GOTRUE_SECURITY_REFRESH_TOKEN_ALGORITHM_VERSION=2`): which sessions a percentage takes over is drawn by another generator, so that they are others. The session gets a new key with a second factor, so that no token from before is given the new assurance; upstream counts on by two, which the reuse interval lets through. A last token of the first kind that comes again after its session has gone over gets the present one for as long as that was not used; upstream makes one more.',
  'Of many sign-ups at once with one address one makes the user, and the others are answered as a moment later; upstream answers 500.',
  'Of many requests at once for a mail of one kind to one user one sends, and the others are 429; upstream sends for each that read the row before.',
  'How often somebody may ask for a mail (`max_frequency`) is counted by the address that they name, whether it has an account or not, at `/signup` with confirmation, `/recover`, `/otp`, `/magiclink` and `/resend`; a link to sign in counts as a confirmation and as a recovery, because which of the two it sends depends on the account. Upstream counts in the row of the user, so that 429 tells who has an account. Where a mail of another path went out a moment ago, these answer 200 and send nothing. While the hourly limit of mails is used up, who has no account is refused as well, as far as the process that is asked has heard of it.',
  'Two administrators, invitations or generated links at once for one new address: one makes the user, the others are 422 `email_exists` or `phone_exists`; so is `PUT /admin/users/{id}` with an address that somebody has. Upstream answers 500.',
  'An address whose mail servers are blocked (`GOTRUE_MAILER_EMAIL_VALIDATION_BLOCKED_MX`) is 400 `email_address_invalid`; upstream answers 500.',
  '`[inbucket].smtp_port` and `pop3_port` are not listened on: the inbox takes what this server sends, not what others would.',
  'A text message goes out between two transactions, not within one: its moment is claimed first, with the row of the user locked. Of many requests at once one sends, where upstream sends for all of them, and a slow provider or hook holds no connection. What fails leaves nothing, as upstream.',
  'Where several users wait for one new number, it goes to the one whose code it is, and to nobody where the provider made the code; upstream takes any of them. A number that somebody else has confirmed since is 422 `phone_exists`; upstream answers 500.',
  'Codes in text messages are good for 60 seconds (`auth.sms.otp_expiry`), as with a GoTrue that is told nothing; the CLI says 6000.',
  'A redirect of a provider of text messages is refused; upstream follows it. What Textlocal says of a text that is none of its templates is told without the code in it. Twilio gets the prefix `whatsapp:` before a number that sends by WhatsApp, which upstream makes and forgets.',
  'Where `[auth.sms]` is on and nobody is set who sends, messages are in the inbox of development; the CLI switches sign-in by phone off.',
  'What upstream encrypted in the database is read by the keys of `GOTRUE_SECURITY_DB_ENCRYPTION_DECRYPTION_KEYS`: password hashes, secrets and codes of factors, keys of sessions, secrets of custom providers. Nothing is written in that form: new hashes stand as without it, new secrets of providers are wrapped by the master key. `…_ENCRYPT`, `…_ENCRYPTION_KEY` and `…_ENCRYPTION_KEY_ID` say nothing here.',
  'A `state` of `/callback` is taken before the provider is asked, and counts once whatever comes of it; a replay is refused before the provider hears of it. Upstream sends every replay to the provider, which may then take back what it gave for the first.',
  'The hook `after_user_created` hears of a sign-in by `/callback` that made a user; upstream asks it at every sign-in by `/callback`.',
  'Unlinking holds the row of the user, so that two requests at once leave one of two identities; upstream counts them before.',
  'Where Google and Apple send people to stands in the table of providers; upstream asks for it before each sign-in. Their keys are found by discovery, as there.',
  'An id_token whose `iat` is more than five minutes ahead is refused; upstream looks at `nbf` alone. Azure’s issuer has to be Azure’s also where no tenant is set; upstream asks whatever issuer the token names. PS… algorithms are not known.',
  'Keys of a provider are fetched once in 30 s at most for a `kid` that is not known, and its last good ones count for a day while it is away; upstream fetches for each.',
  "The secret of a custom provider is always wrapped by the master key and never in `auth.custom_oauth_providers`; one that upstream stored there in plain text is read. Where its addresses may lead is the setting `egress.allow`'s to say.",
  'Two administrators at once cannot set up more custom providers than `max_providers`, and get `conflict` for one identifier; upstream counts before, and answers 500.',
  'What is wrong inside is told by `/callback` as `server_error` with a sentence of ours; upstream writes what its libraries say into the address.',
  'Second factors: a code of an authenticator app is good once; upstream takes it again, with another challenge, for as long as its time lasts.',
  'Second factors: with a session that becomes aal2 every refresh token from before is gone; upstream lets the last one through for the reuse interval, with the new assurance.',
  'Second factors: a factor that is not verified yet is not verified at aal1 where another one is (403 `insufficient_aal`); upstream lets who prepared it before do that.',
  'Second factors: whether an answer of a key is of a new one follows from the challenge; upstream believes the client. An answer that does not hold is 422 `mfa_verification_failed`; upstream answers 500.',
  'Second factors: codes are counted for each factor, before they are looked at (429 after `auth.rate_limit.failed_attempts`). A code by text message counts for `auth.rate_limit.sms_sent`; its moment is taken before it is sent, and given back when it cannot be; what its sending says is told as it is, which is 500 upstream.',
  'Second factors: who has a phone number and no mail address can enrol an authenticator app; upstream answers 500. A name of more than 1024 bytes is 400.',
  'Second factors: `last_webauthn_challenge_data` is stored and not told in answers.',
  'Passkeys and security keys: a sign count that does not go up is refused; upstream notes it. Without `[auth.webauthn]` domain and origin are those of `site_url`; upstream fails. A new passkey is called after its keeper where that is one of some twenty, of which upstream knows some hundred.',
  'A token that an application got from the OAuth server changes nothing of its user: 403 `bad_jwt` on whatever changes an account, its factors, sessions or grants. Upstream lets it change the password.',
  'An id_token of the OAuth server is refused wherever an access token is wanted, by every service; upstream’s gateway takes it for somebody without a name.',
  'Identities are linked and unlinked at aal2 only, for who has a second factor.',
  'An account whose address nobody had confirmed loses whatever would still open it when somebody proves the address, by a provider, an invitation or a mail: sessions, factors, passkeys, number, grants, links that were begun. By a mail for a forgotten password or a magic link that an administrator made, password and other identities go as well.',
  'Of two who sign up with one unconfirmed address or number and two passwords, neither has a password then: whoever confirms it gets in by that and sets one. So it is when its owner asks for a magic link or is invited meanwhile; identities that somebody put there go as well then. Upstream keeps the first password, whoever chose it. A link to sign up that an administrator makes with a password for somebody unconfirmed sets that one.',
  'The address of a linked identity that its provider has not verified becomes the user’s once a mail to it was answered (`new_email` until then); upstream puts it into the user’s row at once. Unlinking that would leave nothing but such addresses is 422 `email_conflict_identity_not_deletable`. Where everybody is confirmed at once, both are as upstream.',
  'A provider confirms the address of an unconfirmed account that has its identity only when it has verified that very address; upstream takes any that it has verified.',
  'An `invite_token` is the code of an invitation, for as long as a link in a mail is good; upstream takes the code of any mail that confirms an address, however old.',
  'A sign-in at a provider without PKCE ends in the browser in which it began, known again by a cookie of ten minutes (`sb-sign-in`); `/authorize` at another host than that of the provider’s `redirect_uri` leads there first. Where the API’s URL is https, the browser keeps the cookie over https alone (`__Host-sb-sign-in`): a sign-in that begins at `http://` of the same host ends in `bad_oauth_state`, so let the proxy lead to https. A `redirect_uri` that is not this API’s callback is not looked at. Upstream signs in whoever is led to the end of what somebody else began. `auth.one_browser` switches it off for programs that fetch `/authorize` themselves.',
  'The `state` of linking by hand and the `RelayState` of SAML belong to no browser, as upstream: client libraries ask for the address by `fetch`, which keeps no cookie. With PKCE nobody is signed in but who began.',
  'Codes for a new password and present passwords are counted per account as other codes are.',
  'Names in a JSON body are taken as they are written; Go takes `Email` for `email`, too.',
  'Keys, the JWT secret and `auth.enabled` are read at the start; every other setting of `[auth]` can be changed while the program runs.',
  'SMS providers (Twilio, Twilio Verify, Vonage, MessageBird, Textlocal) were not run against the real services: what is sent and read is held to their documents by tests.',
  'Codes are hashed under a key (`token_hash` is an HMAC of address and code). Upstream hashes without one, so that links can be computed from the address and every possible code. Codes in flight when a dump is restored elsewhere have to be sent again.',
];
