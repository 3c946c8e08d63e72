// In charge of: `millrace engine`: which engine a project's data is of, and its move to another: built beside, compared, then switched by a rename.
import { existsSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { OperatorError } from '../base/errors.ts';
import type { Observe } from '../base/observe.ts';
import { syncPath } from '../base/sync-path.ts';
import { type CopyReport, copyDatabase } from '../engine/db/dump/copy-database.ts';
import { pgliteFolderName } from '../engine/db/pglite/folder.ts';
import { takeLock } from '../engine/db/postgres/lock.ts';
import type { PostgresServer } from '../engine/db/postgres/server.ts';
import {
  findStateFolder,
  readStateFile,
  type StateFile,
  stateFormat,
  writeStateFile,
} from '../engine/db/postgres/state-folder.ts';
import { dataIn, type EngineName } from './choose-engine.ts';
import type { Prepared } from './prepare.ts';
import { openServer } from './project-database.ts';

/** Whose data a project has. */
export interface EngineFacts {
  /** Undefined: there is no data yet. */
  readonly engine: string | undefined;
  readonly version: string | undefined;
  readonly stateFolder: string;
  /** Data that an earlier move left where it was. */
  readonly kept: readonly string[];
}

export interface MoveReport extends CopyReport {
  readonly from: string;
  readonly to: string;
  readonly version: string;
  /** Where the old data is. */
  readonly kept: string;
}

interface MoveOptions {
  readonly observe: Observe;
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal;
}

/** An engine that has its data in the state folder. */
type Movable = Exclude<EngineName, 'external'>;

const nativeFolderName = 'db';
/** The state folder of the engine that is being filled. What a broken-off move left of one is thrown away by the next. */
const movingFolderName = 'moving';

export async function loadEngineFacts(prepared: Pick<Prepared, 'project' | 'data'>): Promise<EngineFacts> {
  const stateFolder = await findStateFolder({ project: prepared.project.project, data: prepared.data });
  const there = dataIn(stateFolder);
  const state = there === undefined ? undefined : await readStateFile(stateFolder);
  const names = await readdir(stateFolder).catch(() => []);
  return {
    engine: there === undefined ? undefined : engineOf(there, state),
    version: state?.version,
    stateFolder,
    kept: names.filter((name) => name.includes('.before-move')).map((name) => join(stateFolder, name)),
  };
}

/**
 * Moves the project's data to another engine. The old data stays until a person removes it; until the last rename it is also what counts.
 * @throws OperatorError when there is nothing to move, when it is there already, or when the other engine refuses something
 */
export async function moveEngine(prepared: Prepared, to: Movable, options: MoveOptions): Promise<MoveReport> {
  const facts = await loadEngineFacts(prepared);
  const { stateFolder } = facts;
  if (facts.engine === undefined) {
    throw new OperatorError(
      `There is no data in "${stateFolder}" yet, so there is nothing to move.`,
      `Start with it: millrace start --engine ${to}`,
    );
  }
  const from = facts.engine === 'pglite' ? 'pglite' : facts.engine === 'system' ? 'system' : 'embedded';
  if ((from === 'pglite') === (to === 'pglite')) {
    throw new OperatorError(
      `The data in "${stateFolder}" is of the engine ${from}${from === to ? ' already' : `, and ${to} works on the same`}.`,
      from === to ? undefined : 'Start with --pg-bin DIR, or without it.',
    );
  }
  const { report, version, major } = await fillBeside(prepared, stateFolder, from, to, options);
  // The source gave the lock back with its end. Whoever took it meanwhile may have written since the copy: nothing is switched then.
  const lock = await takeLock(stateFolder, options.signal);
  try {
    const kept = await switchData(stateFolder, to === 'pglite');
    const known = await readStateFile(stateFolder);
    await writeStateFile(stateFolder, { ...known, format: stateFormat, engine: to, version, major });
    await rm(join(stateFolder, movingFolderName), { recursive: true, force: true });
    return { ...report, from, to, version, kept };
  } finally {
    await lock.release();
  }
}

/** Makes the other engine's data beside the old. Both engines are stopped behind it, and of a copy that failed nothing is left. */
async function fillBeside(
  prepared: Prepared,
  stateFolder: string,
  from: Movable,
  to: Movable,
  { observe, progress, signal }: MoveOptions,
): Promise<{ readonly report: CopyReport } & Pick<PostgresServer, 'version' | 'major'>> {
  const moving = join(stateFolder, movingFolderName);
  const source = await openServer(prepared, from, { observe, signal }, 0);
  try {
    // Nobody else is in this state folder: the source holds its lock.
    await rm(moving, { recursive: true, force: true });
    const target = await openServer({ ...prepared, data: moving }, to, { observe, signal }, 0);
    try {
      const report = await copyDatabase({
        source: source.login('supabase_admin'),
        target: target.login('supabase_admin'),
        progress,
        signal,
      });
      return { report, version: target.version, major: target.major };
    } finally {
      await target.stop();
    }
  } catch (error) {
    await rm(moving, { recursive: true, force: true });
    throw error;
  } finally {
    await source.stop();
  }
}

/**
 * Puts the new data in its place and the old aside. PGlite's folder decides whose data a state folder holds, so its own rename is the moment of
 * the switch, and a kill before or behind it leaves one whole database that counts.
 */
async function switchData(stateFolder: string, isToPglite: boolean): Promise<string> {
  const native = join(stateFolder, nativeFolderName);
  const pglite = join(stateFolder, pgliteFolderName);
  const moving = join(stateFolder, movingFolderName);
  if (isToPglite) {
    await rename(join(moving, pgliteFolderName), pglite);
    const kept = freeName(native);
    await rename(native, kept);
    await syncPath(stateFolder);
    return kept;
  }
  // What a switch that was killed left there does not count: PGlite's folder was there.
  if (existsSync(native)) await rename(native, freeName(native));
  await rename(join(moving, nativeFolderName), native);
  const kept = freeName(pglite);
  await rename(pglite, kept);
  await syncPath(stateFolder);
  return kept;
}

function freeName(folder: string): string {
  for (let number = 1; ; number++) {
    const name = `${folder}.before-move${number === 1 ? '' : `-${number}`}`;
    if (!existsSync(name)) return name;
  }
}

function engineOf(there: 'native' | 'pglite', state: StateFile | undefined): string {
  if (there === 'pglite') return 'pglite';
  return state?.engine === 'system' ? 'system' : 'embedded';
}
