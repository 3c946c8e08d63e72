// In charge of: what is remembered of an import that is not through, in the database that it fills: each step in the transaction that does it.
import type { Client } from 'pg';
import { literal } from '../ident.ts';

export interface Steps {
  /** What was written down with a step; undefined while it is not done. */
  of(step: string): Readonly<Record<string, unknown>> | undefined;
  /** In the transaction that is open on `client`. */
  record(
    client: Pick<Client, 'query'>,
    step: string,
    facts?: Readonly<Record<string, unknown>>,
  ): Promise<void>;
}

/** Opens the record, made as role `postgres` where there is none. */
export async function openSteps(client: Pick<Client, 'query'>): Promise<Steps> {
  await client.query(makeTable);
  const { rows } = await client.query<{ step: string; facts: Readonly<Record<string, unknown>> }>(
    'select step, facts from _millrace_import.steps',
  );
  const known = new Map(rows.map(({ step, facts }) => [step, facts]));
  return {
    of: (step) => known.get(step),
    async record(on, step, facts = {}) {
      await on.query(recordOf(step, facts));
      known.set(step, facts);
    },
  };
}

/** Takes the record away, when the import is through. */
export const dropSteps = 'drop schema if exists _millrace_import cascade';

const makeTable = `create schema if not exists _millrace_import;
  create table if not exists _millrace_import.steps (step text primary key, facts jsonb not null)`;

/** The statement that records a step. */
export function recordOf(step: string, facts: Readonly<Record<string, unknown>>): string {
  return `insert into _millrace_import.steps (step, facts) values (${literal(step)}, ${literal(JSON.stringify(facts))})
    on conflict (step) do update set facts = excluded.facts`;
}
