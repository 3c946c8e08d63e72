// In charge of: many sessions on the one that the engine has. Whoever's turn it is finds its role, its settings, its statements and its
// channels as it left them, and nothing of the others.
import { ident, literal } from '../ident.ts';
import { type Engine, EngineEnded } from './engine.ts';
import { faultOf, follow, maxMessageBytes, Output, type RunEnds, rowOf } from './output.ts';
import { prepareStatementIn } from './prepare-statement.ts';
import { loadRole, type RoleFacts } from './role-facts.ts';
import { SessionRefused } from './session-refused.ts';
import { SessionStatements } from './statements.ts';
import type { SessionLogin } from './talk.ts';
import { type ErrorFields, MessageCutter, query, sync, type TransactionStatus } from './wire.ts';

interface Session {
  readonly id: number;
  readonly role: RoleFacts;
  /** What its login set: what RESET goes back to. */
  base: ReadonlyMap<string, string>;
  /** Its settings when it last had the engine. */
  settings: ReadonlyMap<string, string>;
  /** SET ROLE */
  setRole: string | undefined;
  /** It has reset settings in a transaction that is not over. */
  wasReset: boolean;
  readonly statements: SessionStatements;
  /**
   * What it prepared by PREPARE: it is taken away while others have the engine, who may use the same names. Without a text it stays away: the
   * statement was not found in what was sent.
   */
  prepared: readonly { readonly name: string; readonly text: string | undefined }[];
  /** It has prepared since that was read. */
  hasPrepared: boolean;
  readonly channels: Set<string>;
}

export interface Answer {
  readonly rows: readonly (readonly (string | null)[])[];
  readonly error: ErrorFields | undefined;
}

const reported: readonly string[] = [
  'server_version',
  'server_encoding',
  'client_encoding',
  'application_name',
  'default_transaction_read_only',
  'in_hot_standby',
  'is_superuser',
  'session_authorization',
  'DateStyle',
  'IntervalStyle',
  'TimeZone',
  'integer_datetimes',
  'standard_conforming_strings',
  'scram_iterations',
  'search_path',
];

export class Sessions {
  readonly #engine: Engine;
  readonly #sessions = new Map<number, Session>();
  /** What the engine has prepared, by its own names. */
  readonly #inEngine = new Set<string>();
  #unnamedOf: number | undefined;
  /** Who has the engine's session; undefined: the superuser, for the program itself. */
  #current: Session | undefined;
  #status: TransactionStatus | undefined = 'I';

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#tryGuard();
  }

  /** Opens a session, and gives the settings that a client is told. @throws SessionRefused, EngineEnded */
  open(id: number, { user, settings }: SessionLogin): readonly (readonly [string, string])[] {
    this.#leave();
    const role = loadRole(user, (sql) => this.#asked(sql));
    const base = new Map(role.settings);
    const session: Session = {
      id,
      role,
      base,
      settings: base,
      setRole: undefined,
      wasReset: false,
      statements: new SessionStatements(id),
      prepared: [],
      hasPrepared: false,
      channels: new Set(),
    };
    this.#dress(session);
    // With the role's own rights: a startup message may set no more than a SET.
    for (const [name, value] of settings) {
      const { error } = this.#quietly(
        `select pg_catalog.set_config(${literal(name)}, ${literal(value)}, false)`,
      );
      if (error === undefined) continue;
      this.#leave();
      throw new SessionRefused({ ...error, severity: 'FATAL' });
    }
    session.base = this.#engine.memory.sessionSettings().settings;
    session.settings = session.base;
    this.#sessions.set(id, session);
    return reported.map((name) => [name, this.#engine.memory.setting(name) ?? ''] as const);
  }

  /** Ends a session: an open transaction is undone, its statements are dropped. */
  close(id: number): void {
    const session = this.#sessions.get(id);
    if (session === undefined) return;
    this.#sessions.delete(id);
    if (this.#current === session && this.#status !== 'I') {
      this.#runQuietly(Buffer.concat([sync(), query('rollback')]));
      this.#status = 'I';
    }
    this.#leave();
    const drop = session.statements.internals.filter((internal) => this.#inEngine.delete(internal));
    const gone = [...session.channels].filter((channel) => this.#listeners(channel).length === 0);
    const sql = [
      ...drop.map((internal) => `deallocate ${internal}`),
      ...gone.map((channel) => `unlisten ${ident(channel)}`),
    ];
    // One by one: the first that fails would undo the others.
    for (const one of sql) this.#quietly(one);
  }

  /** Runs whole messages of a session. Gives what the transaction's state is then; undefined: no Sync has come. @throws SessionRefused, EngineEnded */
  run(id: number, bytes: Uint8Array, ends: RunEnds): TransactionStatus | undefined {
    const session = this.#sessions.get(id);
    if (session === undefined) throw new Error(`there is no session ${id}`);
    this.#enter(session);
    const rewritten = session.statements.rewrite(bytes, (internal) =>
      internal === '' ? this.#unnamedOf === id : this.#inEngine.has(internal),
    );
    const parsed = (internal: string) => {
      if (internal === '') this.#unnamedOf = id;
      else this.#inEngine.add(internal);
    };
    const { before } = rewritten;
    if (before !== undefined && this.#runQuietly(before.bytes).error === undefined)
      before.internals.forEach(parsed);
    const output = new Output(session, rewritten.parsed, ends, {
      parsed,
      listeners: (channel) => this.#listeners(channel),
    });
    this.#engine.memory.clearCancel();
    this.#engine.run(rewritten.bytes, (part) => output.push(part), ends.more, ends.before);
    this.#status = output.status;
    this.#settle(session, output.tags, rewritten.texts);
    return output.status;
  }

  /** As the superuser. @throws EngineEnded */
  ask(sql: string): Answer {
    this.#leave();
    return this.#quietly(sql);
  }

  /** What commands changed that is not the session's alone, put right for the others. */
  #settle(session: Session, tags: ReadonlySet<string>, texts: readonly string[]): void {
    const discards = tags.has('DISCARD ALL');
    if (tags.has('PREPARE') || tags.has('DEALLOCATE')) session.hasPrepared = true;
    if (discards || tags.has('DEALLOCATE ALL')) {
      session.prepared = [];
      session.hasPrepared = false;
      this.#inEngine.clear();
      session.statements.forgetAll();
    }
    if (tags.has('LISTEN') || tags.has('UNLISTEN')) for (const text of texts) follow(session.channels, text);
    if (discards) session.channels.clear();
    if (discards || tags.has('RESET')) session.wasReset = true;
    if (this.#status !== 'I') return;
    if (discards || tags.has('UNLISTEN')) this.#listenAgain();
    if (!session.wasReset) return;
    // What the role and the startup message set is where RESET goes back to.
    const { settings, role } = this.#engine.memory.sessionSettings();
    session.settings = new Map([...session.base, ...settings]);
    session.setRole = role;
    session.wasReset = false;
    this.#current = undefined;
    this.#dress(session);
  }

  /** The engine listens for all of them, and was told to stop for one. */
  #listenAgain(): void {
    const channels = new Set([...this.#sessions.values()].flatMap((session) => [...session.channels]));
    for (const channel of channels) this.#quietly(`listen ${ident(channel)}`);
  }

  #listeners(channel: string): readonly number[] {
    return [...this.#sessions.values()].filter(({ channels }) => channels.has(channel)).map(({ id }) => id);
  }

  /** Gives the engine to a session. Two of one role that have the same settings find it alike. */
  #enter(session: Session): void {
    const left = this.#current;
    if (left === session) return;
    this.#remember();
    const isAlready =
      left !== undefined &&
      left.role.oid === session.role.oid &&
      left.setRole === undefined &&
      session.setRole === undefined &&
      session.prepared.length === 0 &&
      isAlike(left.settings, session.settings) &&
      this.#engine.memory.isSessionOf(session.role.oid);
    if (isAlready) this.#current = session;
    else this.#dress(session);
  }

  /** What the session that has the engine leaves behind. */
  #remember(): void {
    if (this.#current === undefined) return;
    const left = this.#current;
    const { settings, role } = this.#engine.memory.sessionSettings();
    left.settings = settings;
    left.setRole = role;
    if (!left.hasPrepared && left.prepared.length === 0) return;
    if (left.hasPrepared) {
      const { rows } = this.#quietly(
        'select name, statement from pg_catalog.pg_prepared_statements where from_sql',
      );
      left.prepared = rows.map(([name, text]) => ({
        name: name ?? '',
        text: prepareStatementIn(text ?? '', name ?? ''),
      }));
      left.hasPrepared = false;
    }
    for (const { name } of left.prepared) this.#quietly(`deallocate ${ident(name)}`);
  }

  /** The engine is the superuser's, and so is how its statements are read: not by the last session's search path. */
  #leave(): void {
    this.#remember();
    this.#current = undefined;
    this.#engine.memory.becomeSuperuser();
    this.#quietly('reset all');
    // What RESET goes back to is the database's own setting, if it has one.
    this.#quietly('set search_path = pg_catalog, pg_temp');
  }

  /** Makes the engine a session's from the ground up. @throws SessionRefused when its role is gone */
  #dress(session: Session): void {
    const { memory } = this.#engine;
    this.#current = undefined;
    memory.becomeSuperuser();
    // Alone and first: how the next text is read must not be the last session's to say.
    this.#quietly('reset all');
    const put = ([name, value]: readonly [string, string]) =>
      `pg_catalog.set_config(${literal(name)}, ${literal(value)}, false)`;
    const settings = [...session.settings];
    if (settings.length > 0 && this.#quietly(`select ${settings.map(put).join(', ')}`).error !== undefined) {
      // One of them is refused by now; the others hold.
      for (const setting of settings) this.#quietly(`select ${put(setting)}`);
    }
    const become = this.#quietly(`set role none; set session authorization ${ident(session.role.name)}`);
    if (become.error !== undefined) throw new SessionRefused({ ...become.error, severity: 'FATAL' });
    memory.loggedInAs(session.role.oid);
    if (!memory.isSessionOf(session.role.oid))
      throw new EngineEnded("the engine did not become a role's session");
    if (session.setRole !== undefined) {
      this.#quietly(`select pg_catalog.set_config('role', ${literal(session.setRole)}, false)`);
    }
    for (const { text } of session.prepared) if (text !== undefined) this.#quietly(text);
    this.#current = session;
  }

  #asked(sql: string): readonly (readonly (string | null)[])[] {
    const { rows, error } = this.#quietly(sql);
    if (error !== undefined) throw new SessionRefused({ ...error, severity: 'FATAL' });
    return rows;
  }

  #quietly(sql: string): Answer {
    return this.#runQuietly(query(sql));
  }

  #runQuietly(bytes: Uint8Array): Answer {
    const cutter = new MessageCutter(maxMessageBytes);
    const rows: (string | null)[][] = [];
    let error: ErrorFields | undefined;
    // A request to stop is never about a statement of ours.
    this.#engine.memory.clearCancel();
    this.#engine.run(bytes, (part) => {
      cutter.push(part);
      for (let one = cutter.next(); one !== undefined; one = cutter.next()) {
        if (one.type === 'D') rows.push(rowOf(one));
        if (one.type === 'E') error ??= faultOf(one);
      }
    });
    return { rows, error };
  }

  /**
   * Tries once what all rests on: that a role that has the engine cannot become another by itself. Better no start than one without it.
   * @throws when it can
   */
  #tryGuard(): void {
    const { memory } = this.#engine;
    this.#quietly('create role millrace_guard nologin');
    try {
      const oid = Number(this.#asked("select 'millrace_guard'::pg_catalog.regrole::pg_catalog.oid")[0]?.[0]);
      this.#quietly('set session authorization millrace_guard');
      memory.loggedInAs(oid);
      const ways = [
        'reset session authorization',
        'set session authorization default',
        `set session authorization ${superuserName}`,
        `select pg_catalog.set_config('session_authorization', '${superuserName}', false)`,
        `set role ${superuserName}`,
      ];
      for (const way of ways) {
        this.#quietly(way);
        const who = this.#quietly('select session_user, current_user').rows[0];
        if (!memory.isSessionOf(oid) || who?.some((name) => name !== 'millrace_guard')) {
          throw new Error(`on this build of PGlite a role becomes the superuser by "${way}"`);
        }
      }
    } finally {
      memory.becomeSuperuser();
      this.#quietly(`set session authorization ${superuserName}`);
      this.#quietly('drop role millrace_guard');
    }
  }
}

const superuserName = 'supabase_admin';

function isAlike(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  if (a.size !== b.size) return false;
  for (const [name, value] of a) if (b.get(name) !== value) return false;
  return true;
}
