// In charge of: which claims an expression of a policy can read, and which columns. Who has the same claims in those gets the same answer, so
// that it is asked for once. What cannot be seen into counts as reading all.
import type { PoolClient } from 'pg';
import { Walk } from './walk.ts';

export interface Reads {
  /** All claims, or the setting that holds them as a whole. */
  readonly all: boolean;
  /** The names of claims at the top of the token. */
  readonly claims: ReadonlySet<string>;
}

/** A call without arguments whose value depends on the claims alone: `auth.uid()`. */
export interface ClaimCall {
  /** As it stands in the text. */
  readonly text: string;
  /** Where, in bytes. */
  readonly at: number;
  /** What it gives. */
  readonly type: string;
}

export interface ExpressionReads extends Reads {
  /** What it reads beside `calls`. */
  readonly rest: Reads;
  readonly calls: readonly ClaimCall[];
  /** Names that may be columns of the policy's own table. */
  readonly columns: ReadonlySet<string>;
  /** Aliases whose whole row is read. */
  readonly wholeRows: ReadonlySet<string>;
}

interface FunctionFacts {
  readonly oid: string;
  readonly language: string;
  readonly kind: string;
  readonly source: string;
  /** Of a body that Postgres keeps parsed. */
  readonly body: string | null;
  readonly type: string;
  readonly isSet: boolean;
}

export interface FunctionReads extends Reads {
  /** The value is nothing but the claims: `auth.jwt()`. */
  readonly isClaims: boolean;
  /** Gives the same for the same claims, whenever it is called. */
  readonly isPure: boolean;
}

const prefix = 'select ';
const nothing: FunctionReads = { all: false, claims: new Set(), isClaims: false, isPure: false };
const everything: FunctionReads = { all: true, claims: new Set(), isClaims: false, isPure: false };

/** Looks into expressions, functions and tables; remembers what it has looked into. One for each version of the schema. */
export class ReadsAnalyst {
  /** What it has looked into: another version of one of these may read something else. */
  readonly tables = new Set<string>();
  readonly functions = new Set<string>();
  readonly #client: PoolClient;
  readonly #byName = new Map<string, Promise<readonly FunctionFacts[]>>();
  readonly #ofFunction = new Map<string, FunctionReads>();
  readonly #ofTable = new Map<string, Reads>();
  #casts: { readonly hasOwn: boolean; readonly operators: ReadonlySet<string> } | undefined;

  constructor(client: PoolClient) {
    this.#client = client;
  }

  /** Of the `USING` of a policy, as Postgres writes it with nothing in the search path. */
  async ofPolicy(policy: { readonly oid: string; readonly using: string }): Promise<ExpressionReads> {
    const walk = new Walk(this, 'policy', 0);
    await walk.text(`${prefix}${policy.using}`);
    await this.#dependencies(policy.oid, walk);
    const bytes = Buffer.from(policy.using);
    const calls = walk.calls.map((call) => {
      const at = call.at - prefix.length;
      const end = bytes.indexOf('()', at) + 2;
      return { text: bytes.subarray(at, end).toString(), at, type: call.type };
    });
    return {
      all: walk.all || walk.callReads.some((reads) => reads.all),
      claims: new Set([...walk.claims, ...walk.callReads.flatMap((reads) => [...reads.claims])]),
      rest: { all: walk.all, claims: walk.claims },
      calls,
      columns: walk.columns,
      wholeRows: walk.wholeRows,
    };
  }

  /** Functions behind operators and casts do not stand in the text. Source: Postgres records in pg_depend what an expression is made of. */
  async #dependencies(policy: string, walk: Walk): Promise<void> {
    const { rows } = await this.#client.query<{ oid: string }>(
      `select refobjid::text as oid from pg_catalog.pg_depend
       where classid = 'pg_catalog.pg_policy'::pg_catalog.regclass and objid = $1
         and refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
       union
       select o.oprcode::oid::text from pg_catalog.pg_depend d join pg_catalog.pg_operator o on o.oid = d.refobjid
       where d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass and d.objid = $1
         and d.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass`,
      [policy],
    );
    for (const { oid } of rows) {
      if (walk.met.has(oid)) continue;
      const [facts] = await this.#load('p.oid = $1::oid', [oid]);
      walk.merge(facts === undefined ? everything : await this.ofFunction(facts, 1));
    }
  }

  /** Functions of that name that Postgres does not bring. */
  named(name: string, schema: string | undefined): Promise<readonly FunctionFacts[]> {
    const key = `${schema ?? ''}\0${name}`;
    let found = this.#byName.get(key);
    if (found === undefined) {
      found = this.#load(
        `p.proname = $1 and n.nspname <> 'pg_catalog' and n.nspname = coalesce($2, n.nspname)`,
        [name, schema ?? null],
      );
      this.#byName.set(key, found);
    }
    return found;
  }

  async #load(condition: string, values: readonly (string | null)[]): Promise<readonly FunctionFacts[]> {
    const { rows } = await this.#client.query<FunctionFacts>(
      `select p.oid::text as oid, l.lanname::text as language, p.prokind::text as kind, p.prosrc as source,
         pg_catalog.pg_get_function_sqlbody(p.oid) as body, pg_catalog.format_type(p.prorettype, -1) as type, p.proretset as "isSet"
       from pg_catalog.pg_proc p
       join pg_catalog.pg_namespace n on n.oid = p.pronamespace
       join pg_catalog.pg_language l on l.oid = p.prolang
       where ${condition}`,
      [...values],
    );
    return rows;
  }

  async ofFunction(facts: FunctionFacts, depth: number): Promise<FunctionReads> {
    this.functions.add(facts.oid);
    // Only a superuser can make one of these; what they read of settings is Postgres's own and is known by name.
    if (facts.kind !== 'a' && (facts.language === 'c' || facts.language === 'internal')) return nothing;
    if (facts.kind !== 'f' || facts.language !== 'sql' || depth > maxDepth) return everything;
    const known = this.#ofFunction.get(facts.oid);
    if (known !== undefined) return known;
    // Whoever comes back here before it is done goes round in a circle.
    this.#ofFunction.set(facts.oid, everything);
    const reads = await this.#ofBody(facts, depth);
    this.#ofFunction.set(facts.oid, reads);
    return reads;
  }

  async #ofBody(facts: FunctionFacts, depth: number): Promise<FunctionReads> {
    if ((await this.#ownCasts()).hasOwn) return everything;
    const text = facts.body === null ? facts.source : facts.body.replace(/^\s*RETURN\s/u, prefix);
    const walk = new Walk(this, 'body', depth);
    await walk.text(text);
    return {
      all: walk.all,
      claims: walk.claims,
      isClaims: walk.isOnlyClaims,
      isPure: !walk.isImpure && !facts.isSet,
    };
  }

  /** Casts and operators whose functions are no C: they run where no name shows it. */
  async #ownCasts(): Promise<{ readonly hasOwn: boolean; readonly operators: ReadonlySet<string> }> {
    if (this.#casts !== undefined) return this.#casts;
    const { rows } = await this.#client.query<{ hasOwn: boolean; operators: string[] }>(
      `select exists (
         select from pg_catalog.pg_cast k join pg_catalog.pg_proc p on p.oid = k.castfunc
         join pg_catalog.pg_language l on l.oid = p.prolang
         where k.oid >= 16384 and l.lanname not in ('c', 'internal')
       ) as "hasOwn", array(
         select distinct o.oprname::text from pg_catalog.pg_operator o join pg_catalog.pg_proc p on p.oid = o.oprcode
         join pg_catalog.pg_language l on l.oid = p.prolang
         where o.oid >= 16384 and l.lanname not in ('c', 'internal')
       ) as operators`,
    );
    this.#casts = {
      hasOwn: rows[0]?.hasOwn ?? true,
      operators: new Set(rows[0]?.operators ?? []),
    };
    return this.#casts;
  }

  async isOwnOperator(name: string): Promise<boolean> {
    return (await this.#ownCasts()).operators.has(name);
  }

  /** Whether a type of that name has conditions of its own. */
  async isDomain(name: string, schema: string | undefined): Promise<boolean> {
    const { rows } = await this.#client.query<{ found: boolean }>(
      `select exists (
         select from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
         where t.typname = $1 and n.nspname = coalesce($2, n.nspname) and n.nspname <> 'pg_catalog' and t.typtype = 'd'
       ) as found`,
      [name, schema ?? null],
    );
    return rows[0]?.found ?? true;
  }

  /** Reading a table brings in its policies, whoever reads. */
  async ofRelations(name: string, schema: string | undefined, depth: number): Promise<Reads> {
    const key = `${schema ?? ''}\0${name}`;
    const known = this.#ofTable.get(key);
    if (known !== undefined) return known;
    this.#ofTable.set(key, everything);
    const reads = depth > maxDepth ? everything : await this.#ofRelations(name, schema, depth);
    this.#ofTable.set(key, reads);
    return reads;
  }

  async #ofRelations(name: string, schema: string | undefined, depth: number): Promise<Reads> {
    const { rows } = await this.#client.query<{
      oid: string;
      kind: string;
      policies: { oid: string; using: string }[];
    }>(
      `select c.oid::text as oid, c.relkind::text as kind, coalesce((
         select pg_catalog.json_agg(pg_catalog.json_build_object('oid', p.oid::text, 'using', pg_catalog.pg_get_expr(p.polqual, p.polrelid)))
         from pg_catalog.pg_policy p
         where p.polrelid = c.oid and c.relrowsecurity and p.polcmd in ('r', '*') and p.polqual is not null
       ), '[]'::json) as policies
       from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
       where c.relname = $1 and n.nspname = coalesce($2, n.nspname)`,
      [name, schema ?? null],
    );
    const all = new Walk(this, 'policy', depth);
    for (const { oid, kind, policies } of rows) {
      this.tables.add(oid);
      if (!'rpm'.includes(kind)) all.merge(everything);
      for (const policy of policies) {
        const walk = new Walk(this, 'policy', depth + 1);
        await walk.text(`${prefix}${policy.using}`);
        await this.#dependencies(policy.oid, walk);
        for (const reads of [walk, ...walk.callReads]) all.merge(reads);
      }
    }
    return { all: all.all, claims: all.claims };
  }
}

/** How deep functions may call functions, and policies read tables. */
const maxDepth = 10;
