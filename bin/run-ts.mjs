#!/usr/bin/env node
// Runs a TypeScript file of this checkout on a Node that strips types (24 from the `node` package when the
// system's is older). As a module it is the one place that knows which Node runs the program.
import { spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
// Type stripping without a flag: Node 22.18. The published dist/ needs only 22.12.
const needed = { ts: [22, 18], js: [22, 12] };

/**
 * What `npm start` gives to Node. V8 lets the young generation grow to 64 MiB, of which the collector stops everybody for longer: with half of that reads under load
 * were as many a second at a quarter of the p99, in 86 MiB less.
 */
export const nodeFlags = ['--max-semi-space-size=16'];

/** Runs `src/<entry>.ts` in a checkout, `dist/<entry>.js` in a published package, with `args`. */
export async function launch(entry, args) {
  const source = join(root, 'src', `${entry}.ts`);
  const kind = existsSync(source) ? 'ts' : 'js';
  keepCompiled();
  await run(kind === 'ts' ? source : join(root, 'dist', `${entry}.js`), kind, args, nodeFlags);
}

/**
 * Keeps what Node made of each module, so that the next start need not strip types and compile: half of the time that importing takes.
 * In a folder of ours: what lies in the system's shared one could be another user's. Where it cannot be written, Node goes on without.
 */
function keepCompiled() {
  process.env.NODE_COMPILE_CACHE ??= join(root, 'node_modules', '.cache', 'millrace');
  // Absent before Node 22.1, which only hands over to a newer one: that reads the variable.
  nodeModule.enableCompileCache?.(process.env.NODE_COMPILE_CACHE);
}

async function run(file, kind, args, flags = []) {
  if (isAtLeast(needed[kind])) {
    process.argv = [process.argv[0], file, ...args];
    await import(pathToFileURL(file).href);
    return;
  }
  const node = join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  if (!existsSync(node)) {
    console.error(
      `Millrace needs Node ${needed[kind].join('.')} or newer; this is ${process.version}, and node_modules/node holds none.\n` +
        'Run `npm rebuild node` (it was skipped if the installation ran with --ignore-scripts), or install Node 24.',
    );
    process.exit(1);
  }
  const child = spawn(node, [...flags, file, ...args], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    if (signal) {
      process.removeAllListeners(signal);
      process.kill(process.pid, signal);
    } else process.exit(code ?? 1);
  });
}

function isAtLeast([major, minor]) {
  const [haveMajor, haveMinor] = process.versions.node.split('.').map(Number);
  return haveMajor > major || (haveMajor === major && haveMinor >= minor);
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [file, ...args] = process.argv.slice(2);
  if (!file) {
    console.error('usage: run-ts.mjs FILE [ARGUMENT…]');
    process.exit(1);
  }
  // For the tests' workers and what they start, too.
  keepCompiled();
  await run(resolve(file), 'ts', args);
}
