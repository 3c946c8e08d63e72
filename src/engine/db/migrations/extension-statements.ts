// In charge of: what a script's statement about an extension becomes on this server: itself, without a version that is not there, or SQL of ours.
import {
  type CreateOptions,
  createTle,
  dropStatement,
  installStatement,
  recordTle,
  unlessRecorded,
  updateTle,
} from '../extensions/install.ts';
import { absentVersion, type Extension, findExtension, sayAbsent } from '../extensions/registry.ts';
import { ident, literal } from '../ident.ts';
import type { Privileged } from './privileged.ts';
import type { MigrationSession } from './session.ts';

export interface ExtensionStatement {
  /** As it is to be run. */
  readonly statement: string;
  /** Whether `supabase_admin` is to run it. */
  readonly elevates: boolean;
  /** `postgres` runs it, and it calls one statement as `supabase_admin` by the nonce under which that is registered. */
  readonly calls?: { readonly statement: string; readonly within: (nonce: string) => string };
  /** Sentences for the person who runs the migration. */
  readonly warnings: readonly string[];
}

/**
 * Nothing is left out here: an extension that neither the server nor this program has is left to Postgres, which refuses it, and
 * `failure.ts` names who has it.
 */
export async function adaptExtension(
  session: MigrationSession,
  statement: string,
  privileged: Privileged,
): Promise<ExtensionStatement> {
  if (privileged.kind === 'text extension') return adaptText(session, statement, privileged);
  if (privileged.kind !== 'extension') return { statement, elevates: true, warnings: [] };
  return privileged.act === 'create'
    ? adaptCreate(session, statement, privileged)
    : adaptOther(session, statement, privileged);
}

async function adaptCreate(
  session: MigrationSession,
  statement: string,
  { name = '', options }: Privileged,
): Promise<ExtensionStatement> {
  const known = findExtension(name);
  const available = (await session.availableExtensions()).get(name);
  const versions = available?.versions;
  const warnings: string[] = [];
  if (
    known?.kind === 'absent' &&
    (versions === undefined || [...versions].every((one) => one === absentVersion))
  )
    warnings.push(sayAbsent(known));

  if (available !== undefined && versions !== undefined) {
    // A script of ours that needs no superuser gets none: whatever stands in the schema already would run as one.
    const elevates = available.needsSuperuser || known === undefined || known.kind === 'elsewhere';
    const wanted = options ?? { mayExist: false };
    // A dump of a hosted project pins what was current there on that day; those projects get what is current, too.
    const lacksVersion = wanted.version !== undefined && !versions.has(wanted.version);
    if (lacksVersion && known?.kind !== 'absent')
      warnings.push(noSuchVersion(name, wanted.version ?? '', versions));
    const ownsSchema = wanted.schema !== undefined && isInOwnSchema(known, wanted.schema);
    if (!lacksVersion && !ownsSchema) return { statement, elevates, warnings };
    const kept = {
      ...wanted,
      ...(lacksVersion ? { version: undefined } : {}),
      ...(ownsSchema ? { schema: undefined } : {}),
    };
    return { statement: createStatement(name, kept), elevates, warnings };
  }
  if (known === undefined || known.kind === 'elsewhere') return { statement, elevates: true, warnings };
  await session.preparePlainExtensions();
  const plain = await installStatement(known, options ?? { mayExist: false }, session.mayElevate);
  return { statement: plain, elevates: true, warnings };
}

/** DROP, ALTER, COMMENT: as they stand where the catalog knows the extension. */
async function adaptOther(
  session: MigrationSession,
  statement: string,
  { act, name, names, cascades, updatesTo }: Privileged,
): Promise<ExtensionStatement> {
  const about = names ?? (name === undefined ? [] : [name]);
  const available = await session.availableExtensions();
  const versions = available.get(name ?? '')?.versions;
  if (name !== undefined && updatesTo !== undefined && versions !== undefined && !versions.has(updatesTo)) {
    return {
      statement: `alter extension ${ident(name)} update`,
      elevates: true,
      warnings: [noSuchVersion(name, updatesTo, versions)],
    };
  }
  const isPlain = about.some((one) => {
    const kind = findExtension(one)?.kind;
    return (kind === 'provided' || kind === 'absent') && !available.has(one);
  });
  if (session.mayElevate || !isPlain) return { statement, elevates: true, warnings: [] };
  await session.preparePlainExtensions();
  return {
    statement:
      act === 'drop'
        ? dropStatement(about, cascades === true, statement)
        : unlessRecorded(about[0]!, statement),
    elevates: true,
    warnings: [],
  };
}

/** One that runs with the rights of `postgres`: the server's own files, or else the text that pg_tle keeps. */
async function adaptText(
  session: MigrationSession,
  statement: string,
  privileged: Privileged,
): Promise<ExtensionStatement> {
  const { act, name, names, cascades, options, updates, updatesTo } = privileged;
  const asItIs = { statement, elevates: false, warnings: [] };
  const available = await session.availableExtensions();
  const about = names ?? (name === undefined ? [] : [name]);
  if (about.every((one) => available.has(one))) return asItIs;
  const ours = (within: (nonce?: string) => string): ExtensionStatement => ({
    ...asItIs,
    statement: within(),
    ...(session.mayElevate ? { calls: { statement: recordTle, within } } : {}),
  });
  if (name !== undefined && act === 'create' && options !== undefined) {
    await session.preparePlainExtensions();
    return ours((nonce) => createTle(name, options, nonce));
  }
  if (name !== undefined && updates === true) {
    await session.preparePlainExtensions();
    return ours((nonce) => updateTle(name, updatesTo, nonce));
  }
  if (session.mayElevate) return asItIs;
  await session.preparePlainExtensions();
  return {
    ...asItIs,
    statement:
      act === 'drop'
        ? dropStatement(about, cascades === true, statement)
        : unlessRecorded(about[0]!, statement),
  };
}

function noSuchVersion(name: string, version: string, versions: ReadonlySet<string>): string {
  return `The extension "${name}" has no version "${version}" here; ${[...versions].join(' or ')} was taken.`;
}

/**
 * The schema is the only one that it can be in: one that a hosted project had before the extension, and no dump makes; named, Postgres would not
 * make it either.
 */
function isInOwnSchema(known: Extension | undefined, schema: string): boolean {
  if (known === undefined || known.kind === 'elsewhere') return false;
  return known.schema === schema || (known.kind === 'provided' && known.overridesSchema === true);
}

function createStatement(name: string, { schema, version, mayExist, cascades }: CreateOptions): string {
  return [
    'create extension',
    mayExist ? 'if not exists' : '',
    ident(name),
    schema === undefined ? '' : `schema ${ident(schema)}`,
    version === undefined ? '' : `version ${literal(version)}`,
    cascades === true ? 'cascade' : '',
  ]
    .filter((part) => part !== '')
    .join(' ');
}
