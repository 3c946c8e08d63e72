// In charge of: one walk over the tree of an expression or of a function's body: what it reads of the claims, and which names it names.
import { parseSql } from '../../../engine/db/migrations/parser.ts';
import type { FunctionReads, Reads, ReadsAnalyst } from './reads.ts';
import { constant, isTree, isUnsetSetting, items, onlyValue, strings, type Tree } from './tree.ts';

/** One walk over the tree of a text. */
export class Walk {
  all = false;
  readonly claims = new Set<string>();
  readonly columns = new Set<string>();
  readonly wholeRows = new Set<string>();
  readonly calls: { readonly at: number; readonly type: string }[] = [];
  readonly callReads: Reads[] = [];
  readonly met = new Set<string>();
  isImpure = false;
  isOnlyClaims = false;
  readonly #analyst: ReadsAnalyst;
  readonly #in: 'policy' | 'body';
  readonly #depth: number;

  constructor(analyst: ReadsAnalyst, where: 'policy' | 'body', depth: number) {
    this.#analyst = analyst;
    this.#in = where;
    this.#depth = depth;
  }

  merge(reads: Reads): void {
    this.all ||= reads.all;
    for (const claim of reads.claims) this.claims.add(claim);
  }

  async text(text: string): Promise<void> {
    let statements: readonly unknown[];
    try {
      statements =
        (parseSql(text) as { stmts?: readonly { stmt?: unknown }[] }).stmts?.map((one) => one.stmt) ?? [];
    } catch {
      // `BEGIN ATOMIC`, or what only a later PostgreSQL reads.
      statements = [];
    }
    if (
      statements.length === 0 ||
      statements.some((statement) => !isTree(statement) || !('SelectStmt' in statement))
    ) {
      this.all = true;
      this.isImpure = true;
      return;
    }
    if (statements.length === 1) {
      const value = onlyValue((statements[0] as Tree)['SelectStmt']);
      this.isOnlyClaims = value !== undefined && (await this.#isClaims(value));
    }
    await this.#visit(statements);
  }

  async #visit(node: unknown): Promise<void> {
    if (Array.isArray(node)) {
      for (const item of node) await this.#visit(item);
      return;
    }
    if (!isTree(node)) return;
    for (const [kind, value] of Object.entries(node)) {
      if (isTree(value) && (await this.#enter(kind, value))) continue;
      await this.#visit(value);
    }
  }

  /** True: everything below is seen to. */
  async #enter(kind: string, node: Tree): Promise<boolean> {
    switch (kind) {
      case 'A_Expr':
        return this.#operator(node);
      case 'FuncCall':
        return this.#call(node);
      case 'ColumnRef':
        this.#column(node);
        return true;
      case 'SQLValueFunction':
        if (!/USER|ROLE|CATALOG|SCHEMA/.test(String(node['op']))) this.isImpure = true;
        return true;
      case 'RangeVar':
        await this.#relation(node);
        return true;
      case 'typeName':
        await this.#type(node);
        return true;
      case 'RangeFunction':
      case 'JsonTable':
      case 'RangeTableFunc':
        this.isImpure = true;
        return false;
      default:
        return false;
    }
  }

  async #operator(node: Tree): Promise<boolean> {
    const names = strings(node['name']);
    const operator = names.at(-1) ?? '';
    // A policy's own operators are in pg_depend.
    if (this.#in === 'body' && (await this.#analyst.isOwnOperator(operator))) this.all = true;
    if (names.length > 1) this.isImpure = true;
    if (!/^(->>?|#>>?)$/.test(operator)) return false;
    const path = constant(node['rexpr']);
    const claim = operator.startsWith('-') ? path : /^\{"?([\w:/.-]+)"?[,}]/.exec(path ?? '')?.[1];
    if (claim === undefined || !(await this.#isClaims(node['lexpr']))) return false;
    this.claims.add(claim);
    await this.#meet(node['lexpr']);
    return true;
  }

  /** Functions in an expression that is known already: nobody has to look again. */
  async #meet(node: unknown): Promise<void> {
    if (Array.isArray(node)) for (const item of node) await this.#meet(item);
    if (!isTree(node)) return;
    const call = node['FuncCall'];
    if (isTree(call)) {
      const names = strings(call['funcname']);
      for (const one of await this.#analyst.named(names.at(-1) ?? '', names.at(-2))) {
        this.met.add(one.oid);
        this.#analyst.functions.add(one.oid);
      }
    }
    for (const value of Object.values(node)) await this.#meet(value);
  }

  async #call(node: Tree): Promise<boolean> {
    const names = strings(node['funcname']);
    const name = names.at(-1) ?? '';
    const schema = names.at(-2);
    if (name === 'current_setting' && (schema === undefined || schema === 'pg_catalog')) {
      const setting = constant(items(node['args'])[0])?.toLowerCase();
      if (setting === undefined || setting === 'request.jwt.claims') this.all = true;
      return false;
    }
    const own = schema === 'pg_catalog' ? [] : await this.#analyst.named(name, schema);
    if (own.length === 0 || (schema === undefined && this.#in === 'body')) {
      if (readsSettings.test(name)) this.all = true;
      if (!pureBuiltIns.has(name)) this.isImpure = true;
    }
    // With nothing in the search path, a name without a schema is Postgres's own.
    if (schema === undefined && this.#in === 'policy') return false;
    if (schema !== undefined && schema !== 'pg_catalog' && own.length === 0) this.all = true;
    const reads: FunctionReads[] = [];
    for (const one of own) {
      this.met.add(one.oid);
      reads.push(await this.#analyst.ofFunction(one, this.#depth + 1));
    }
    if (reads.some((one) => !one.isPure)) this.isImpure = true;
    const [only] = reads;
    const isCall = this.#in === 'policy' && this.#depth === 0 && reads.length === 1 && only?.isPure === true;
    // A list of arrays would be taken apart to the last element.
    if (
      isCall &&
      !own[0]?.type.endsWith('[]') &&
      node['args'] === undefined &&
      (only.all || only.claims.size > 0)
    ) {
      // Sound: there is one, as there is one reading of it.
      this.calls.push({ at: Number(node['location']), type: own[0]!.type });
      this.callReads.push(only);
    } else for (const one of reads) this.merge(one);
    return false;
  }

  #column(node: Tree): void {
    const fields = items(node['fields']);
    const names = strings(fields);
    const isRow = fields.some((field) => isTree(field) && 'A_Star' in field);
    const last = names.at(-1);
    if (last === undefined) return;
    if (isRow) this.wholeRows.add(last);
    else this.columns.add(last);
    // `t` alone may be the row of t.
    if (!isRow && names.length === 1) this.wholeRows.add(last);
  }

  async #relation(node: Tree): Promise<void> {
    this.isImpure = true;
    const name = String(node['relname']);
    const schema = typeof node['schemaname'] === 'string' ? node['schemaname'] : undefined;
    // The name of a WITH stands here too: what a table of that name would read is counted, which is too much rather than too little.
    this.merge(await this.#analyst.ofRelations(name, schema, this.#depth + 1));
  }

  async #type(node: Tree): Promise<void> {
    const names = strings(node['names']);
    const schema = names.at(-2);
    if (schema === 'pg_catalog' || (schema === undefined && this.#in === 'policy')) return;
    if (await this.#analyst.isDomain(names.at(-1) ?? '', schema)) this.all = true;
  }

  /** Whether the value is the claims as a whole and nothing else. */
  async #isClaims(node: unknown): Promise<boolean> {
    if (!isTree(node)) return false;
    const [kind] = Object.keys(node);
    const inner = kind === undefined ? undefined : node[kind];
    if (!isTree(inner)) return false;
    switch (kind) {
      case 'TypeCast':
        return /^(jsonb?|text)$/.test(
          strings(isTree(inner['typeName']) ? inner['typeName']['names'] : []).at(-1) ?? '',
        )
          ? this.#isClaims(inner['arg'])
          : false;
      case 'A_Expr':
        return inner['kind'] === 'AEXPR_NULLIF' && constant(inner['rexpr']) !== undefined
          ? this.#isClaims(inner['lexpr'])
          : false;
      case 'CoalesceExpr':
        return this.#isCoalesced(items(inner['args']));
      case 'SubLink': {
        const value = onlyValue(isTree(inner['subselect']) ? inner['subselect']['SelectStmt'] : undefined);
        return inner['subLinkType'] === 'EXPR_SUBLINK' && value !== undefined ? this.#isClaims(value) : false;
      }
      case 'FuncCall':
        return this.#isClaimsCall(inner);
      default:
        return false;
    }
  }

  /** The claims, or constants; `request.jwt.claim` alone is a setting of older versions that nobody sets. */
  async #isCoalesced(parts: readonly unknown[]): Promise<boolean> {
    let hasClaims = false;
    for (const part of parts) {
      if (await this.#isClaims(part)) hasClaims = true;
      else if (constant(part) === undefined && !isUnsetSetting(part)) return false;
    }
    return hasClaims;
  }

  async #isClaimsCall(call: Tree): Promise<boolean> {
    const names = strings(call['funcname']);
    const name = names.at(-1) ?? '';
    if (name === 'current_setting' && names.length === 1)
      return constant(items(call['args'])[0])?.toLowerCase() === 'request.jwt.claims';
    const schema = names.at(-2);
    if (schema === undefined || call['args'] !== undefined) return false;
    const [only, ...more] = await this.#analyst.named(name, schema);
    if (only === undefined || more.length > 0) return false;
    return (await this.#analyst.ofFunction(only, this.#depth + 1)).isClaims;
  }
}

/** Postgres's own that run a text, or read settings, where one would not think so. */
const readsSettings =
  /^(query_to_xml.*|table_to_xml.*|schema_to_xml.*|database_to_xml.*|cursor_to_xml.*|set_config|pg_show_all_settings|show_all_settings|ts_stat|ts_rewrite|lo_.*|pg_read_.*|current_setting)$/;
const pureBuiltIns: ReadonlySet<string> = new Set([
  'current_setting',
  'lower',
  'upper',
  'btrim',
  'jsonb_extract_path',
  'jsonb_extract_path_text',
]);
