// In charge of: types for applications, made from a database, in the languages that upstream has.

import type { GeneratorMetadata } from '@supabase/postgrest-typegen';
import {
  generateGo,
  generatePython,
  generateSwift,
  sortGeneratorMetadata,
} from '@supabase/postgrest-typegen/generation';
import { introspect } from '@supabase/postgrest-typegen/introspection';
import type { Client, ClientConfig } from 'pg';
import { withClient } from '../client.ts';
import { renderTypescript } from './typescript.ts';
import { findSolidViewColumns } from './view-columns.ts';

export const languages = ['typescript', 'go', 'swift', 'python'] as const;
export type Language = (typeof languages)[number];

export interface TypegenOptions {
  readonly language: Language;
  readonly schemas: readonly string[];
  readonly swiftAccess: 'internal' | 'public';
  /** TypeScript: whether relationships say `isOneToOne`. */
  readonly oneToOne: boolean;
}

/** Reads the catalog over a session of its own and renders the file. */
export async function generateTypes(login: ClientConfig, options: TypegenOptions): Promise<string> {
  const sorted = sortGeneratorMetadata(
    await withClient(login, (client) => readMetadata(client, options.schemas)),
  );
  const text = await render(sorted, options);
  return text.endsWith('\n') ? text : `${text}\n`;
}

/** What the catalog says, with what the published introspection leaves out and the Supabase CLI's own does not. */
async function readMetadata(client: Client, schemas: readonly string[]): Promise<GeneratorMetadata> {
  // It asks everything at once; a session answers one after the other.
  let last: Promise<unknown> = Promise.resolve();
  const query = (sql: string) => {
    const answer = last.then(() => client.query(sql));
    last = answer;
    return answer;
  };
  const metadata = await introspect({ query }, { includedSchemas: [...schemas] });
  // A view may show a table of another schema, and with it that table's foreign keys: they are read everywhere, and nothing else is.
  const nothing = Promise.resolve({ rows: [] });
  const everywhere = await introspect({
    query: (sql) => (relationshipQuery.test(sql) ? query(sql) : nothing),
  });
  const solid = await findSolidViewColumns(client, schemas);
  const views = new Set([...metadata.views, ...metadata.materializedViews].map(({ id }) => id));
  return {
    ...metadata,
    relationships: everywhere.relationships.filter(({ schema }) => schemas.includes(schema)),
    columns: metadata.columns.map((column) =>
      views.has(column.table_id) && (solid.has(column.id) || markedSolid.test(column.comment ?? ''))
        ? { ...column, is_nullable: false }
        : column,
    ),
  };
}

/** The two queries of the package that are about foreign keys. */
const relationshipQuery = /\bAS foreign_key_name\b|\bas column_dependencies\b/;

/** A comment on a view's column that says so. */
const markedSolid = /^\s*@notNull\s*$/m;

async function render(
  metadata: ReturnType<typeof sortGeneratorMetadata>,
  { language, swiftAccess, oneToOne }: TypegenOptions,
): Promise<string> {
  switch (language) {
    case 'typescript':
      return renderTypescript(metadata, { oneToOne });
    case 'go':
      return generateGo(metadata);
    case 'python':
      return generatePython(metadata);
    case 'swift':
      return generateSwift(metadata, { accessControl: swiftAccess });
  }
}
