// In charge of: secrets in the database: wrapped, found, and wrapped anew when the master key changes.
import type { ClientBase, PoolClient } from 'pg';
import { Fault, OperatorError } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import type { Db } from '../db/db.ts';
import { type MasterKeys, newMasterKey } from './master-key.ts';
import { keyIdOf, openWrap, type SecretPurpose, SecretUnreadable, type Wrap } from './wrap.ts';

export interface Secrets {
  /**
   * Keeps a secret in the place of what was there, in the transaction of `client`, a session of `millrace_admin`.
   * @throws Fault `master_key_changed` when another process has gone over to another master key since this one started.
   */
  put(client: PoolClient, purpose: SecretPurpose, id: string, value: Uint8Array): Promise<void>;
  /** Undefined when there is none. @throws SecretUnreadable */
  find(client: PoolClient, purpose: SecretPurpose, id: string): Promise<Buffer | undefined>;
  /** For what stands in a table of its own, and not for long: nothing wraps it anew when the master key changes. */
  seal(purpose: SecretPurpose, id: string, value: Uint8Array): Buffer;
  /** For rows that were read beside others. @throws SecretUnreadable */
  unwrap(purpose: SecretPurpose, id: string, sealed: Uint8Array): Buffer;
  /** False when there was none. */
  remove(client: PoolClient, purpose: SecretPurpose, id: string): Promise<boolean>;
  /** Which master key counts, and where it is kept. */
  masterKey(): { readonly id: string; readonly from: string };
  /**
   * Puts a new master key in the place of the one in the file, and wraps every secret by it. Interrupted at any point, the next start goes on.
   * @throws Fault `master_key_from_environment`: there a start with MILLRACE_MASTER_KEY_PREVIOUS does it.
   */
  rotateMasterKey(): Promise<{ readonly rewrapped: number }>;
  /** Sentences for the person who starts the program. */
  readonly notices: readonly string[];
}

export interface SecretsOptions {
  readonly db: Pick<Db, 'asOwner'>;
  readonly keys: MasterKeys;
  readonly observe: Observe;
}

/** The row that says which master key counts. Whoever writes a secret looks at it in the same transaction. */
const check = { purpose: 'check', id: 'master key' } as const;
const checkValue = Buffer.from('This is the master key of this database.');
const rowsPerBatch = 100;

/**
 * Opens the secrets of a database. The first start says which master key counts; each later one has to have it. What an earlier
 * master key wraps is wrapped anew, in steps that are kept one by one.
 * @throws OperatorError when the master key is another one than the database's, or an earlier one is still needed.
 */
export async function openSecrets({ db, keys, observe }: SecretsOptions): Promise<Secrets> {
  let current = openWrap(keys.current);
  let previous = keys.previous.map(openWrap);

  const asOwner = <T>(run: (client: PoolClient) => Promise<T>) => db.asOwner('millrace_admin', run);
  const wrapOf = (sealed: Uint8Array): Wrap =>
    previous.find(({ keyId }) => keyId === keyIdOf(sealed)) ?? current;

  async function takeOver(): Promise<void> {
    const before = await asOwner((client) => transact(client, (inside) => adopt(inside, current, previous)));
    if (before === 'refused') {
      await keys.discard();
      throw wrongKey(keys);
    }
    if (before === 'rotated') observe({ kind: 'secrets.master_key_changed', keyId: current.keyId });
  }

  /** Until nothing is left that an earlier key wraps. Two processes may do it at once: a row is changed only as it was read. */
  async function rewrap(): Promise<number> {
    let count = 0;
    for (;;) {
      const wrapped = await asOwner((client) =>
        transact(client, async (inside) => {
          const { rows } = await inside.query<Row>(earlierRows, [current.keyId, rowsPerBatch]);
          for (const { purpose, id, sealed } of rows) {
            const again = current.seal(purpose, id, unwrapEarlier(purpose, id, sealed));
            await inside.query(replaceRow, [purpose, id, sealed, again]);
          }
          return rows.length;
        }),
      );
      if (wrapped === 0) return count;
      count += wrapped;
      observe({ kind: 'secrets.rewrapped', level: 'debug', count });
    }
  }

  function unwrapEarlier(purpose: SecretPurpose, id: string, sealed: Buffer): Buffer {
    try {
      return wrapOf(sealed).unwrap(purpose, id, sealed);
    } catch (error) {
      if (!(error instanceof SecretUnreadable)) throw error;
      throw new OperatorError(
        `${error.message} It was to be wrapped by the master key from ${keys.from}.`,
        error.reason === 'other key'
          ? 'Give the earlier master key with MILLRACE_MASTER_KEY_PREVIOUS until a start has said that it is needed no longer.'
          : 'Restore the row of _millrace.secrets from a backup, or delete it and set that secret again.',
        error,
      );
    }
  }

  await takeOver();
  const rewrapped = await rewrap();
  // A file that is still there beside MILLRACE_MASTER_KEY is no news.
  const notices = keys.isChanging || rewrapped > 0 ? [spent(keys, rewrapped)] : [];
  if (keys.write !== undefined && keys.previous.length > 0)
    await keys.write({ current: keys.current, previous: [] });

  let rotating: Promise<{ readonly rewrapped: number }> | undefined;

  async function rotate(): Promise<{ readonly rewrapped: number }> {
    const { write } = keys;
    if (write === undefined) throw fromEnvironment;
    const next = newMasterKey();
    const before = await keys.read();
    // On disk before anything is wrapped by it; the old one stays beside it until nothing needs it.
    await write({ current: next, previous: before });
    previous = [current, ...previous];
    current = openWrap(next);
    await takeOver();
    const count = await rewrap();
    await write({ current: next, previous: [] });
    return { rewrapped: count };
  }

  return {
    async put(client, purpose, id, value) {
      // Within a reset there is none: the tables are new.
      const state = await adopt(client, current, []);
      if (state === 'refused') throw masterKeyChanged;
      await client.query(putRow, [purpose, id, current.seal(purpose, id, value)]);
    },
    async find(client, purpose, id) {
      const { rows } = await client.query<Pick<Row, 'sealed'>>(findRow, [purpose, id]);
      const sealed = rows[0]?.sealed;
      return sealed && wrapOf(sealed).unwrap(purpose, id, sealed);
    },
    seal: (purpose, id, value) => current.seal(purpose, id, value),
    unwrap: (purpose, id, sealed) => wrapOf(sealed).unwrap(purpose, id, sealed),
    async remove(client, purpose, id) {
      const { rowCount } = await client.query(deleteRow, [purpose, id]);
      return rowCount === 1;
    },
    masterKey: () => ({ id: current.keyId, from: keys.from }),
    rotateMasterKey() {
      rotating ??= rotate().finally(() => {
        rotating = undefined;
      });
      return rotating;
    },
    notices,
  };
}

/**
 * Looks whether a start with these keys could open the secrets, and changes nothing: before anything else is derived from the master key.
 * @throws OperatorError
 */
export async function refuseOtherMasterKey(
  client: Pick<ClientBase, 'query'>,
  keys: MasterKeys,
): Promise<void> {
  const { rows } = await client.query<Pick<Row, 'sealed'>>(findRow, [check.purpose, check.id]);
  const counts = rows[0]?.sealed;
  if (counts === undefined) return;
  if (![keys.current, ...keys.previous].some((key) => opens(openWrap(key), counts))) throw wrongKey(keys);
}

interface Row {
  readonly purpose: SecretPurpose;
  readonly id: string;
  readonly sealed: Buffer;
}

/**
 * Looks whose master key counts, and keeps that so until the transaction ends. `current` counts where none did, and from now on
 * where one of `previous` did.
 */
async function adopt(
  client: PoolClient,
  current: Wrap,
  previous: readonly Wrap[],
): Promise<'known' | 'rotated' | 'refused'> {
  const { purpose, id } = check;
  const sealed = current.seal(purpose, id, checkValue);
  // Without previous keys nothing is changed, so that writers do not wait for each other.
  const found = async () =>
    (await client.query<Pick<Row, 'sealed'>>(previous.length === 0 ? shareRow : lockRow, [purpose, id]))
      .rows[0]?.sealed;
  let counts = await found();
  if (counts === undefined) {
    await client.query(makeRow, [purpose, id, sealed]);
    counts = await found();
  }
  if (counts === undefined) throw new Error('the check value of the master key was neither found nor made');
  if (opens(current, counts)) return 'known';
  const known = counts;
  if (!previous.some((wrap) => opens(wrap, known))) return 'refused';
  await client.query(replaceRow, [purpose, id, known, sealed]);
  return 'rotated';
}

function opens(wrap: Wrap, sealed: Uint8Array): boolean {
  try {
    return wrap.unwrap(check.purpose, check.id, sealed).equals(checkValue);
  } catch (error) {
    if (error instanceof SecretUnreadable) return false;
    throw error;
  }
}

async function transact<T>(client: PoolClient, work: (client: PoolClient) => Promise<T>): Promise<T> {
  // A rotation waits for writers, and they for it; none of them takes long.
  await client.query(`begin; set local statement_timeout = ${boundMs}`);
  try {
    const result = await work(client);
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch(() => {});
    throw error;
  }
}

const boundMs = 10_000;

function wrongKey({ from, isNew }: MasterKeys): OperatorError {
  return from === 'MILLRACE_MASTER_KEY'
    ? new OperatorError(
        'MILLRACE_MASTER_KEY is not the master key that wraps the secrets in this database.',
        'Set it to the one that the other processes of this database have. To change it, start with the new one there and the old one in MILLRACE_MASTER_KEY_PREVIOUS.',
      )
    : new OperatorError(
        `The secrets in this database are wrapped by another master key than ${isNew ? `a new one, and there was none in "${from}"` : `the one in "${from}"`}.`,
        'Several processes over one database share the master key by MILLRACE_MASTER_KEY: set it here, and there, to the content of the file of the process that was first. After a restore of the database, put the file back that belongs to it.',
      );
}

function spent({ from, write }: MasterKeys, rewrapped: number): string {
  const what =
    write === undefined
      ? 'Once every process has MILLRACE_MASTER_KEY, the earlier master key (MILLRACE_MASTER_KEY_PREVIOUS, or the file in the state folder) is needed no longer.'
      : 'The earlier one is needed no longer.';
  return `Every secret in the database is wrapped by the master key from ${from} (${rewrapped} were wrapped anew). ${what}`;
}

const masterKeyChanged = new Fault({
  status: 503,
  code: 'master_key_changed',
  message: 'Another process of this database has gone over to another master key; nothing was kept.',
  hint: 'Restart this one with that MILLRACE_MASTER_KEY.',
  headers: { 'retry-after': '60' },
});

const fromEnvironment = new Fault({
  status: 409,
  code: 'master_key_from_environment',
  message: 'The master key comes from MILLRACE_MASTER_KEY, which cannot be changed from here.',
  hint: 'Start every process with a new MILLRACE_MASTER_KEY and the present one in MILLRACE_MASTER_KEY_PREVIOUS.',
});

const findRow = 'select sealed from _millrace.secrets where purpose = $1 and id = $2';
const shareRow = `${findRow} for share`;
const lockRow = `${findRow} for update`;
const makeRow =
  'insert into _millrace.secrets (purpose, id, sealed) values ($1, $2, $3) on conflict do nothing';
const putRow = `insert into _millrace.secrets (purpose, id, sealed) values ($1, $2, $3)
  on conflict (purpose, id) do update set sealed = excluded.sealed, changed_at = now()`;
const replaceRow =
  'update _millrace.secrets set sealed = $4, changed_at = now() where purpose = $1 and id = $2 and sealed = $3';
const deleteRow = 'delete from _millrace.secrets where purpose = $1 and id = $2';
const earlierRows =
  'select purpose, id, sealed from _millrace.secrets where key_id <> $1 order by purpose, id limit $2';
