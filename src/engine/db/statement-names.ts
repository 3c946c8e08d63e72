// In charge of: which statements one connection has prepared, by name, and which of them it drops when there are too many.
import { createHash } from 'node:crypto';
import type { PoolClient } from 'pg';

/** More distinct statements than this on one connection, and the one used longest ago is closed. */
export const maxPreparedPerConnection = 256;

export interface UsedName {
  readonly name: string;
  readonly isNew: boolean;
  /** Names that have to be closed on the server before this one is parsed. */
  readonly dropped: readonly string[];
}

interface Named {
  readonly name: string;
  /** The exchange that used it last. */
  exchange: number;
}

const none: readonly string[] = [];

export class StatementNames {
  /** How many Parse messages the server has confirmed on this connection. */
  parsed = 0;
  /** How often the schema had changed when these were prepared. */
  schemaChanges = 0;
  // Two levels, because one joined key would be built and hashed anew for every request.
  readonly #byOwner = new Map<string, Map<string, Named>>();
  #stale: string[] = [];
  #size = 0;
  #exchange = 0;

  /** What is used from now on belongs to one exchange: none of it is dropped for the rest of it. */
  beginExchange(): void {
    this.#exchange += 1;
  }

  /** The name of `text` as prepared for `owner`; marks it as used last. */
  use(owner: string, text: string): UsedName {
    let names = this.#byOwner.get(owner);
    if (names === undefined) {
      names = new Map();
      this.#byOwner.set(owner, names);
    }
    const known = names.get(text);
    if (known !== undefined) {
      names.delete(text);
      names.set(text, known);
      known.exchange = this.#exchange;
      return { name: known.name, isNew: false, dropped: none };
    }
    const name = nameOf(owner, text);
    const full = this.#size >= maxPreparedPerConnection;
    const dropped =
      full || this.#stale.length > 0 ? [...this.#stale, ...(full ? this.#dropOldest() : none)] : none;
    this.#stale = [];
    names.set(text, { name, exchange: this.#exchange });
    this.#size += 1;
    return { name, isNew: true, dropped };
  }

  /** The server does not have it after all. */
  forget(name: string): void {
    for (const names of this.#byOwner.values()) {
      for (const [text, known] of names) {
        if (known.name !== name) continue;
        names.delete(text);
        this.#size -= 1;
      }
    }
  }

  /** The plans of these texts are stale: they are closed with the next exchange, before it prepares them again. */
  forgetText(texts: readonly string[]): void {
    for (const names of this.#byOwner.values()) {
      for (const text of texts) {
        const known = names.get(text);
        if (known === undefined) continue;
        names.delete(text);
        this.#size -= 1;
        this.#stale.push(known.name);
      }
    }
  }

  /** All plans may be stale. */
  forgetAll(): void {
    for (const names of this.#byOwner.values()) {
      for (const { name } of names.values()) this.#stale.push(name);
      names.clear();
    }
    this.#size = 0;
  }

  /** Drops the statement that was used longest ago of the owner who has most. What this exchange uses stays: it is closed before it runs. */
  #dropOldest(): readonly string[] {
    let most: Map<string, Named> | undefined;
    let oldest: readonly [text: string, known: Named] | undefined;
    for (const names of this.#byOwner.values()) {
      if (names.size <= (most?.size ?? 0)) continue;
      const [first] = names;
      if (first === undefined || first[1].exchange === this.#exchange) continue;
      most = names;
      oldest = first;
    }
    if (most === undefined || oldest === undefined) return none;
    most.delete(oldest[0]);
    this.#size -= 1;
    return [oldest[1].name];
  }
}

/**
 * The name is of the text, not a number: behind a pooler that nobody told us of, another client's session may answer to it,
 * and a number would run that client's statement. The role stands in it as well, so that pg_prepared_statements tells a reader whose plan it is.
 */
function nameOf(owner: string, text: string): string {
  const digest = createHash('sha256').update(`${owner}\0${text}`).digest('base64url').slice(0, digestLength);
  // Postgres cuts names to 63 bytes, in the middle of a letter if need be.
  return Buffer.from(`mr_${digest}_${owner}`)
    .subarray(0, 63)
    .toString()
    .replace(/\ufffd$/, '');
}

/** 120 bits. */
const digestLength = 20;

const perClient = new WeakMap<PoolClient, StatementNames>();

/**
 * The names of this client's connection; made at first use and gone with it. When the schema has changed since, all are forgotten:
 * Postgres plans a statement anew by itself after DDL, but its parameters keep the types that they had, and a value would be read
 * as the old type of its column. Source: PostgreSQL src/backend/utils/cache/plancache.c, RevalidateCachedQuery.
 */
export function statementNamesOf(client: PoolClient, schemaChanges: number): StatementNames {
  const known = perClient.get(client);
  if (known) {
    if (known.schemaChanges !== schemaChanges) known.forgetAll();
    known.schemaChanges = schemaChanges;
    return known;
  }
  const names = new StatementNames();
  names.schemaChanges = schemaChanges;
  perClient.set(client, names);
  // Sound: `pg`'s Client has its Connection as `connection`; @types/pg leaves it out.
  const connection = (client as unknown as { connection: NodeJS.EventEmitter }).connection;
  connection.on('parseComplete', () => {
    names.parsed += 1;
  });
  return names;
}
