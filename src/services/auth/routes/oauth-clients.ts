// In charge of: applications that have users sign in with this project: registered by themselves (POST /oauth/clients/register) or by an
// administrator (/admin/oauth/clients). Source: supabase/auth internal/api/oauthserver/handlers.go.
import { Fault } from '../../../base/errors.ts';
import { isUuid, requireAdmin } from '../authenticate.ts';
import type { Answer, Handle, Visit } from '../context.ts';
import { badRequest, forbidden, notFound } from '../errors.ts';
import { json } from '../go-json.ts';
import {
  changesShape,
  parseChanges,
  parseRegistration,
  registrationShape,
} from '../oauth-server/client-rules.ts';
import {
  type Client,
  type ClientFacts,
  clientJson,
  deleteClient,
  findClient,
  insertClient,
  listClients,
  newSecret,
  replaceSecret,
  updateClient,
} from '../oauth-server/clients.ts';
import { type Params, readParams, type Shape } from '../request.ts';
import { withTables } from '../transaction.ts';

/** @throws Fault 404 feature_disabled */
export function requireOAuthServer({ config }: Visit): void {
  if (!config.oauthServer) throw notFound('feature_disabled', 'OAuth server is disabled');
}

export async function registerClient(visit: Visit): Promise<Answer> {
  requireOAuthServer(visit);
  if (!visit.config.oauthServerRegistration)
    throw forbidden(
      'oauth_dynamic_client_registration_disabled',
      'Dynamic client registration is not enabled',
    );
  return register(visit, 'dynamic');
}

/** Who asks is looked at before the setting, as upstream. */
const byAdmin =
  (handle: (visit: Visit) => Promise<Answer>): Handle =>
  async (visit) => {
    await requireAdmin(visit);
    requireOAuthServer(visit);
    return handle(visit);
  };

export const createClientByAdmin = byAdmin((visit) => register(visit, 'manual'));

/** All of them: upstream knows no pages here. */
const maxListed = 10_000;

export const listAllClients = byAdmin(async ({ auth }) => {
  const clients = await withTables(auth.db, (tx) => listClients(tx, maxListed));
  // Left out when there are none. Source: `OAuthServerClientListResponse`, omitempty.
  return json(200, {
    clients: clients.length === 0 ? undefined : clients.map((client) => clientJson(client)),
  });
});

export const getClient = byAdmin(async (visit) => json(200, clientJson(await clientOfPath(visit))));

export const changeClient = byAdmin(async (visit) => {
  const client = await clientOfPath(visit);
  const changes = parseChanges(await readBody(visit, changesShape), client.client_type);
  const { auth } = visit;
  const changed = await withTables(auth.db, (tx) => updateClient(tx, client.id, changes, auth.now()));
  return json(200, clientJson(there(changed)));
});

export const removeClient = byAdmin(async (visit) => {
  const { auth } = visit;
  const { id } = await clientOfPath(visit);
  await withTables(auth.db, (tx) => deleteClient(tx, id, auth.now()));
  return { status: 204, headers: [], body: null };
});

export const regenerateSecret = byAdmin(async (visit) => {
  const { auth } = visit;
  const client = await clientOfPath(visit);
  if (client.client_type !== 'confidential')
    throw badRequest('validation_failed', 'Cannot regenerate secret for public client');
  const secret = newSecret();
  const changed = await withTables(auth.db, (tx) => replaceSecret(tx, client.id, secret, auth.now()));
  return json(200, clientJson(there(changed), secret));
});

async function register(visit: Visit, type: ClientFacts['registrationType']): Promise<Answer> {
  const { auth } = visit;
  const facts = parseRegistration(await readBody(visit, registrationShape), type);
  const secret = facts.clientType === 'confidential' ? newSecret() : undefined;
  const client = await withTables(auth.db, (tx) => insertClient(tx, facts, secret, auth.now()));
  // RFC 7591 section 3.2.1 demands to be told when a secret ends, and strict clients refuse what upstream answers; 0 is never.
  const ends = secret !== undefined && type === 'dynamic' ? { client_secret_expires_at: 0 } : {};
  return json(201, { ...clientJson(client, secret), ...ends });
}

/** @throws Fault 400 validation_failed, 404 oauth_client_not_found */
async function clientOfPath({ auth, params }: Visit): Promise<Client> {
  const { client_id: id = '' } = params;
  if (!isUuid(id)) throw badRequest('validation_failed', 'invalid client_id format');
  return there(await withTables(auth.db, (tx) => findClient(tx, id)));
}

function there(client: Client | undefined): Client {
  if (client === undefined) throw notFound('oauth_client_not_found', 'OAuth client not found');
  return client;
}

/** Other words than elsewhere. */
async function readBody<S extends Shape>({ request }: Visit, shape: S): Promise<Params<S>> {
  try {
    return await readParams(request, '', shape, 'first_value');
  } catch (error) {
    if (error instanceof Fault && error.code === 'bad_json')
      throw badRequest('bad_json', 'Invalid JSON body', error);
    throw error;
  }
}
