// In charge of: an extension as PostgreSQL reads it: a control file and a script, made from its row and its SQL.
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { errorCode, OperatorError } from '../../../base/errors.ts';
import { literal } from '../ident.ts';
import { type AbsentExtension, extensions, type PlacedExtension, versionOf } from './registry.ts';
import { readArchive } from './tar.ts';

/** A file of PostgreSQL's folder `extension`. */
export interface ExtensionFile {
  readonly name: string;
  readonly text: string;
}

/** The control files and scripts of everything whose SQL can be placed; for the state folder, or for a bundle of pglite. */
export async function loadExtensionFiles(): Promise<readonly ExtensionFile[]> {
  const files = await Promise.all(
    extensions.map(async (extension) => (extension.kind === 'elsewhere' ? [] : filesOf(extension))),
  );
  return files.flat();
}

async function filesOf(extension: PlacedExtension): Promise<readonly ExtensionFile[]> {
  const { name } = extension;
  return [
    { name: `${name}.control`, text: renderControl(extension) },
    { name: `${name}--${versionOf(extension)}.sql`, text: await loadScript(extension) },
  ];
}

/**
 * The script of an extension, in which `@extschema@` is its schema and `@extschema:other@` that of another one.
 * @throws OperatorError when the npm package that holds it is not installed.
 */
export async function loadScript(extension: PlacedExtension): Promise<string> {
  if (extension.kind === 'absent') return absentScript(extension);
  const upstream =
    extension.package === undefined
      ? ''
      : await loadFromPackage(extension.package, `${extension.name}--${extension.version}.sql`);
  // `\echo` speaks to psql; PostgreSQL itself leaves such a line out of a script, too.
  const text = `${upstream.replaceAll(/^\\echo.*$/gm, '')}\n${await loadOwnSql(extension.name)}`.trim();
  return runsAsSuperuser(extension) ? `${pinnedPath}\n\n${text}` : `${text}\n\n${everybodys(extension.name)}`;
}

/** Whether its functions are everybody's unless its script says something else. */
export function isEverybodys(extension: PlacedExtension): boolean {
  return extension.kind === 'provided' && !runsAsSuperuser(extension);
}

/**
 * Hosted projects have a superuser create these, too, so that `alter default privileges … revoke execute on functions from public` of a project does not
 * reach them, and every role can run its tests. Here whoever creates it owns it, and what others may is said.
 */
function everybodys(name: string): string {
  return `do $everybodys$
declare
  signature text;
begin
  for signature in
    select member.objid::pg_catalog.regprocedure::text from pg_catalog.pg_depend as member
      join pg_catalog.pg_extension as created on created.oid = member.refobjid and created.extname = ${literal(name)}
      join pg_catalog.pg_proc as routine on routine.oid = member.objid and not pg_catalog.has_function_privilege('public', routine.oid, 'execute')
    where member.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
      and member.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass and member.deptype = 'e'
  loop
    execute pg_catalog.format('grant execute on routine %s to public', signature);
  end loop;
end
$everybodys$;`;
}

/**
 * A script runs with its schema in front of the search path, and that one is the project's to fill: a `format(text, name)` of its own fits
 * better than the system's, and would run as the superuser. PostgreSQL takes this back at the script's end.
 */
const pinnedPath = 'set local search_path = pg_catalog, pg_temp;';

/** A trusted script runs as the superuser although whoever creates it is none. */
function runsAsSuperuser(extension: PlacedExtension): boolean {
  return extension.kind === 'provided' && extension.runsAs === 'superuser';
}

/** What is in `sql/<name>/`, in the order of its numbers; empty when there is none. */
async function loadOwnSql(name: string): Promise<string> {
  const folder = new URL(`./sql/${name}/`, import.meta.url);
  const names = await readdir(folder).catch((error) => {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  });
  const parts = names
    .filter((file) => file.endsWith('.sql') && !file.endsWith('.test.sql'))
    .sort()
    .map((file) => readFile(new URL(file, folder), 'utf8'));
  return (await Promise.all(parts)).join('\n');
}

/**
 * Another one where a file would be another. Without unpacking what comes from packages, whose name and version stand for it:
 * each start asks, and seldom has anything to write.
 */
export async function digestOfFiles(): Promise<string> {
  const texts = await Promise.all(
    extensions.map(async (extension) => {
      if (extension.kind === 'elsewhere') return '';
      if (extension.kind === 'absent') return renderControl(extension) + absentScript(extension);
      const manifest =
        extension.package === undefined
          ? ''
          : await readFile(join(folderOf(extension.package), '..', 'package.json'), 'utf8');
      const pin = runsAsSuperuser(extension) ? pinnedPath : everybodys(extension.name);
      return renderControl(extension) + manifest + pin + (await loadOwnSql(extension.name));
    }),
  );
  return createHash('sha256').update(texts.join('\0')).digest('hex');
}

/** What an absent extension has: functions, of which whoever calls one hears what is missing, and not that it does not exist. */
function absentScript({ name, functions, written, sentence }: AbsentExtension): string {
  const message = literal(
    `the extension "${name}" is not in this PostgreSQL, so its functions cannot be called`,
  );
  const refusing = (functions ?? []).map(
    (signature) => `create function ${signature} language plpgsql as $absent$
begin
  raise exception using errcode = '0A000', message = ${message}, hint = ${literal(sentence)};
end
$absent$;`,
  );
  return [...refusing, ...(written === undefined ? [] : [written])].join('\n\n');
}

/** Source: PostgreSQL manual, "Extension Files". */
function renderControl(extension: PlacedExtension): string {
  const provided = extension.kind === 'provided' ? extension : undefined;
  const comment =
    provided?.comment ?? `Not in this PostgreSQL. ${'sentence' in extension ? extension.sentence : ''}`;
  const superuser = runsAsSuperuser(extension);
  return [
    '# Written by Millrace at each start.',
    `comment = ${quote(comment)}`,
    `default_version = ${quote(versionOf(extension))}`,
    `superuser = ${superuser}`,
    ...(superuser ? ['trusted = true'] : []),
    `relocatable = ${provided?.relocatable === true}`,
    ...(extension.schema === undefined ? [] : [`schema = ${quote(extension.schema)}`]),
    ...(extension.requires === undefined ? [] : [`requires = ${quote(extension.requires.join(', '))}`]),
    '',
  ].join('\n');
}

function quote(value: string): string {
  return `'${value.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`;
}

/** The packages bundle an extension for pglite as an archive beside their code. */
async function loadFromPackage(name: string, file: string): Promise<string> {
  const archive = join(folderOf(name), `${name.replace(/^.*pglite-/, '')}.tar.gz`);
  const bytes = await promisify(gunzip)(await readFile(archive));
  const found = readArchive(bytes).find(({ path }) => path.endsWith(`/extension/${file}`));
  if (found === undefined) throw new Error(`"${archive}" holds no "${file}"`);
  return found.bytes.toString('utf8');
}

/** The folder of a package's code. @throws OperatorError when it is not installed. */
function folderOf(name: string): string {
  try {
    return dirname(createRequire(import.meta.url).resolve(name));
  } catch (error) {
    throw new OperatorError(`The package "${name}" is not installed.`, 'Run: npm install', error);
  }
}
