// In charge of: the secrets of a project's database, and the keys that sign its tokens.
import type { Observe } from '../base/observe.ts';
import type { Clock } from '../base/time.ts';
import type { Database } from '../engine/db/database.ts';
import type { PostgresServer } from '../engine/db/postgres/server.ts';
import { fixedSigningKeys, openSigningKeys, type SigningKeys } from '../engine/identity/signing-keys.ts';
import { findMasterKeys } from '../engine/secrets/master-key.ts';
import { openSecrets, type Secrets } from '../engine/secrets/secrets.ts';
import { stateFolderOf } from './boot-port.ts';
import type { Prepared } from './prepare.ts';

export interface SigningParts {
  readonly server: PostgresServer;
  readonly database: Database;
  readonly observe: Observe;
  readonly now: Clock;
}

export interface ProjectSigning {
  readonly secrets: Secrets;
  readonly signing: SigningKeys;
  readonly notices: readonly string[];
}

/** @throws OperatorError when the master key is another one than the database's, or the key that signs cannot be read. */
export async function openProjectSigning(
  prepared: Prepared,
  { server, database, observe, now }: SigningParts,
): Promise<ProjectSigning> {
  const { db, fanout } = database;
  const { environment } = prepared.project;
  const { jwks, signingKey, jwtSecret: text } = prepared.secrets;
  const stateFolder = await stateFolderOf(prepared, server);
  const secrets = await openSecrets({
    db,
    keys: await findMasterKeys({ environment, stateFolder }),
    observe,
  });
  const jwtSecret = new TextEncoder().encode(text);
  // Keys that are settings, the public development key among them, are used as they are.
  const signing =
    jwks.keys.length > 0
      ? fixedSigningKeys(jwtSecret, jwks, signingKey)
      : await openSigningKeys({ db, fanout, secrets, jwtSecret, observe, now });
  return { secrets, signing, notices: [...secrets.notices, ...signing.notices] };
}
