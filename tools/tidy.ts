// In charge of: what the house rules say that no linter knows. Each complaint is one sentence with file and line.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

// A file imports from its own folder or from a lower floor. `engine/identity/caller.ts` is a type that the database session names.
const floors: readonly (readonly [folder: string, floor: number])[] = [
  ['src/base', 0],
  ['src/engine/settings', 1],
  ['src/engine/project', 1],
  ['src/engine/db', 1],
  ['src/engine/catalog', 2],
  ['src/engine/identity', 2],
  ['src/engine/egress', 2],
  ['src/engine/fanout', 2],
  ['src/engine/limits', 2],
  ['src/engine/queue', 2],
  ['src/engine/mail', 2],
  ['src/engine/secrets', 2],
  ['src/engine/net', 2],
  ['src/engine/cron', 2],
  ['src/engine/query', 3],
  ['src/engine/service', 4],
  ['src/services', 5],
  ['src/server', 6],
];
const typeExceptions = new Set(['src/engine/identity/caller.ts']);

// Where an external package may be imported.
const homes: Readonly<Record<string, readonly string[]>> = {
  pg: ['src/engine/db'],
  croner: ['src/engine/cron'],
  'pg-copy-streams': ['src/engine/db'],
  'libpg-query': ['src/engine/db'],
  '@electric-sql/pglite': ['src/engine/db/pglite'],
  'smol-toml': ['src/engine/project'],
  '@electric-sql/pglite-tools': ['src/engine/db/dump'],
  '@supabase/pg-delta': ['src/engine/db/schema-diff'],
  '@supabase/postgrest-typegen': ['src/engine/db/typegen'],
  jose: ['src/engine/identity'],
  hono: ['src/engine/service', 'src/services', 'src/server'],
  '@hono/node-server': ['src/server'],
  pino: ['src/server'],
  'prom-client': ['src/server/admin'],
  undici: ['src/engine/egress'],
  '@nats-io/transport-node': ['src/engine/fanout'],
  ioredis: ['src/engine/fanout'],
  nodemailer: ['src/engine/mail'],
  '@node-rs/bcrypt': ['src/services/auth/passwords'],
  '@node-rs/argon2': ['src/services/auth/passwords'],
  '@simplewebauthn/server': ['src/services/auth/webauthn'],
  otpauth: ['src/services/auth/mfa'],
  'qrcode-svg': ['src/services/auth/mfa'],
  oauth4webapi: ['src/services/auth/oauth'],
  '@node-saml/node-saml': ['src/services/auth/saml'],
  '@noble/curves': ['src/services/auth/web3'],
  '@noble/hashes': ['src/services/auth/web3'],
  'acme-client': ['src/server/tls'],
  '@peculiar/x509': ['src/server/tls'],
  '@fastify/busboy': ['src/services/storage'],
  '@tus/server': ['src/services/storage/tus'],
  'fast-xml-parser': ['src/services/storage/s3'],
  sharp: ['src/services/storage/images'],
  ws: ['src/services/realtime'],
  '@aws-sdk/client-s3': ['src/services/storage/blobs'],
  '@azure/storage-blob': ['src/services/storage/blobs'],
  'ipaddr.js': ['src/base', 'src/engine/egress', 'src/engine/identity', 'src/engine/limits'],
};

const maxLines = 400;

export interface Complaint {
  readonly file: string;
  readonly line: number;
  readonly sentence: string;
}

/** Reads the whole tree and gives every complaint; pure but for reading. */
export function findComplaints(): readonly Complaint[] {
  const files = sourceFiles(join(root, 'src'));
  const complaints = files.flatMap((file) => complaintsAbout(file));
  return [...complaints, ...cyclesBetween(files), ...sqlComplaints()];
}

function complaintsAbout(file: string): Complaint[] {
  const name = relative(root, file);
  const text = readFileSync(file, 'utf8');
  const lines = text.split('\n');
  const found: Complaint[] = [];
  const complain = (line: number, sentence: string) => found.push({ file: name, line, sentence });
  const isTest = name.endsWith('.test.ts');
  if (!/^(#!.*\n)?\/\/ In charge of: /.test(text))
    complain(1, 'does not open with a line "// In charge of: …"');
  if (!isTest && lines.length > maxLines)
    complain(lines.length, `has ${lines.length} lines; more than ${maxLines} are two files`);
  if (/(^|\/)index\.ts$/.test(name)) complain(1, 'is a barrel; import from the file that has the thing');
  if (!/^[a-z0-9.-]+\.ts$/.test(name.slice(name.lastIndexOf('/') + 1)))
    complain(1, 'is not named in kebab-case');
  for (const [index, line] of lines.entries()) {
    const at = index + 1;
    const specifier = /^(?:import|export)\b.*?from '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/.exec(
      line,
    );
    const target = specifier?.[1] ?? specifier?.[2] ?? specifier?.[3] ?? /^} from '([^']+)'/.exec(line)?.[1];
    if (target !== undefined && !isTest)
      checkImport(file, target, line, (sentence) => complain(at, sentence));
    if (/\bconsole\.log\(/.test(line) && !name.startsWith('src/server/cli'))
      complain(at, 'logs by console.log; say it by observe()');
    if (/@ts-(ignore|expect-error|nocheck)/.test(line)) complain(at, 'silences the type checker');
    if (/\bprocess\.env\b/.test(line) && !name.startsWith('src/server/cli') && !isTest)
      complain(at, 'reads the environment; take it as an argument');
  }
  return found;
}

function checkImport(file: string, target: string, line: string, complain: (sentence: string) => void): void {
  const name = relative(root, file);
  if (!target.startsWith('.')) {
    // A type is no dependency at run time.
    if (target.startsWith('node:') || line.startsWith('import type')) return;
    const packageName = target.startsWith('@')
      ? target.split('/').slice(0, 2).join('/')
      : target.split('/')[0]!;
    const allowed = homes[packageName];
    if (allowed === undefined)
      complain(`imports the package "${packageName}", which has no home in tools/tidy.ts`);
    else if (!allowed.some((home) => name.startsWith(`${home}/`)))
      complain(`imports "${packageName}", whose home is ${allowed.join(', ')}`);
    return;
  }
  if (!/\.(ts|json)$/.test(target)) complain(`imports "${target}" without its ending .ts`);
  const imported = relative(root, resolve(dirname(file), target));
  const [fromFloor, toFloor] = [floorOf(name), floorOf(imported)];
  if (fromFloor === undefined || toFloor === undefined) {
    complain(`imports "${target}", which stands on no floor`);
    return;
  }
  if (typeExceptions.has(imported) && line.startsWith('import type')) return;
  if (toFloor.floor > fromFloor.floor) complain(`imports from a higher floor: ${imported}`);
  else if (toFloor.floor === fromFloor.floor && toFloor.folder !== fromFloor.folder && fromFloor.floor > 2) {
    complain(`imports from a neighbour on the same floor: ${imported}`);
  }
  const [service, other] = [serviceOf(name), serviceOf(imported)];
  if (service !== undefined && other !== undefined && service !== other)
    complain(`one service imports another: ${imported}`);
}

function floorOf(name: string): { folder: string; floor: number } | undefined {
  const found = floors.find(([folder]) => name.startsWith(`${folder}/`));
  return found && { folder: found[0], floor: found[1] };
}

function serviceOf(name: string): string | undefined {
  return /^src\/services\/([^/]+)\//.exec(name)?.[1];
}

/** Circles between folders: two folders on one floor may use each other in one direction only. */
function cyclesBetween(files: readonly string[]): Complaint[] {
  const uses = new Map<string, string>();
  const found: Complaint[] = [];
  for (const file of files.filter((candidate) => !candidate.endsWith('.test.ts'))) {
    const from = floorOf(relative(root, file))?.folder;
    for (const [, target] of readFileSync(file, 'utf8').matchAll(
      /^(?:import|export)(?! type)[^']*from '(\.[^']+)'/gm,
    )) {
      const to = floorOf(relative(root, resolve(dirname(file), target!)))?.folder;
      if (from === undefined || to === undefined || from === to) continue;
      uses.set(`${from} > ${to}`, relative(root, file));
      const back = uses.get(`${to} > ${from}`);
      if (back !== undefined)
        found.push({
          file: relative(root, file),
          line: 1,
          sentence: `makes a circle: ${to} uses ${from} in ${back}`,
        });
    }
  }
  return found;
}

/** SQL: lower case keywords, and a comment on every table. */
function sqlComplaints(): Complaint[] {
  const found: Complaint[] = [];
  for (const file of walk(join(root, 'src')).filter((candidate) => candidate.endsWith('.sql'))) {
    const name = relative(root, file);
    const text = readFileSync(file, 'utf8');
    for (const match of text.matchAll(/^create (?:unlogged )?table (?:if not exists )?([\w.]+)/gm)) {
      if (!new RegExp(`comment on table ${match[1]!.replace('.', '\\.')}\\b`).test(text)) {
        const line = text.slice(0, match.index).split('\n').length;
        found.push({
          file: name,
          line,
          sentence: `creates table ${match[1]} without a \`comment on table\``,
        });
      }
    }
    const shouting = /^(SELECT|CREATE|ALTER|INSERT|UPDATE|DELETE|GRANT)\b/m.exec(text);
    if (shouting) {
      found.push({
        file: name,
        line: text.slice(0, shouting.index).split('\n').length,
        sentence: 'writes keywords in capitals',
      });
    }
  }
  return found;
}

function sourceFiles(folder: string): string[] {
  return walk(folder).filter((file) => file.endsWith('.ts'));
}

function walk(folder: string): string[] {
  return readdirSync(folder)
    .sort()
    .flatMap((entry) => {
      const path = join(folder, entry);
      return statSync(path).isDirectory() ? walk(path) : [path];
    });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const complaints = findComplaints();
  for (const { file, line, sentence } of complaints) console.error(`${file}:${line} ${sentence}`);
  if (complaints.length > 0) process.exit(1);
}
