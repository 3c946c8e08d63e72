// In charge of: which engine a project runs on: the one that was named, that of its data, or the one that its migrations need.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { OperatorError } from '../base/errors.ts';
import { extensionsForPglite } from '../engine/db/extensions/needs.ts';
import { hasPgliteData } from '../engine/db/pglite/folder.ts';
import { findStateFolder } from '../engine/db/postgres/state-folder.ts';
import type { ProjectFiles } from '../engine/project/files.ts';
import type { Prepared } from './prepare.ts';

export const engineNames = ['embedded', 'system', 'pglite', 'external'] as const;
export type EngineName = (typeof engineNames)[number];

export interface EngineChoice {
  readonly engine: EngineName;
  /** Said once at start, when nobody had named the engine. */
  readonly notice: string | undefined;
}

/**
 * The engine of a start. Data that is there never changes its engine by this: `millrace engine move` does.
 * @throws OperatorError when what was named and what is there do not fit, with the way out
 */
export async function chooseEngine(
  prepared: Pick<Prepared, 'project' | 'data' | 'pgBin' | 'engine' | 'memory' | 'production'>,
  files: Pick<ProjectFiles, 'migrations'>,
): Promise<EngineChoice> {
  const { project, pgBin, production, memory } = prepared;
  const named = prepared.engine ?? (memory ? 'pglite' : pgBin === undefined ? undefined : 'system');
  if (project.environment.DATABASE_URL) {
    if (named !== undefined && named !== 'external') {
      throw new OperatorError(
        `--engine ${named} and DATABASE_URL name two databases.`,
        'Take DATABASE_URL out of the environment (and of .env), or leave --engine away.',
      );
    }
    return { engine: 'external', notice: undefined };
  }
  if (named === 'external') {
    throw new OperatorError('--engine external needs a DATABASE_URL.', 'Give it in the environment.');
  }
  if (memory && named !== 'pglite') {
    throw new OperatorError('--memory is for the engine pglite.', 'Leave --engine away, or --memory.');
  }
  const folder = await findStateFolder({ project: project.project, data: prepared.data });
  const there = dataIn(folder);
  if (there !== undefined) return fitting(there, named, folder, files, production);
  if (named !== undefined) return { engine: named, notice: undefined };
  const needed = extensionsForPglite(await textsOf(files));
  if (needed.length === 0) return { engine: 'embedded', notice: undefined };
  if (production) {
    throw notInProduction(
      `The migrations create ${list(needed)}, which the embedded PostgreSQL does not have; PGlite has, and`,
    );
  }
  return {
    engine: 'pglite',
    notice: `This project runs on PGlite, because its migrations create ${list(needed)}, which the embedded PostgreSQL does not have. What it does otherwise: docs/engines.md.`,
  };
}

/** Data is there already. */
async function fitting(
  there: 'native' | 'pglite',
  named: EngineName | undefined,
  folder: string,
  files: Pick<ProjectFiles, 'migrations'>,
  production: boolean,
): Promise<EngineChoice> {
  if (named !== undefined && (named === 'pglite') !== (there === 'pglite')) {
    throw new OperatorError(
      `The data in "${folder}" is of the engine ${there === 'pglite' ? 'pglite' : 'embedded'}, and a start does not change that.`,
      `Move it: millrace engine move ${named}. Or give this engine other data with --data DIR.`,
    );
  }
  if (there === 'pglite') {
    if (production && named === undefined)
      throw notInProduction(`The data in "${folder}" is of the engine pglite, which`);
    return { engine: 'pglite', notice: undefined };
  }
  if (named === 'system') return { engine: named, notice: undefined };
  const needed = extensionsForPglite(await textsOf(files));
  if (needed.length > 0) {
    throw new OperatorError(
      `The migrations create ${list(needed)}, which the engine of the data in "${folder}" (embedded) does not have.`,
      'Move the data to an engine that has: millrace engine move pglite. Or start an installed PostgreSQL that has it: --pg-bin DIR.',
    );
  }
  return { engine: 'embedded', notice: undefined };
}

function notInProduction(what: string): OperatorError {
  return new OperatorError(
    `${what} is not taken in production by itself.`,
    'Say --engine pglite if you mean it (docs/engines.md says what it lacks), or take an installed PostgreSQL (--pg-bin DIR) or an external one (DATABASE_URL) that has what the project needs.',
  );
}

/** Whose data a state folder holds. */
export function dataIn(folder: string): 'native' | 'pglite' | undefined {
  if (hasPgliteData(folder)) return 'pglite';
  return existsSync(join(folder, 'db', 'PG_VERSION')) ? 'native' : undefined;
}

async function textsOf({ migrations }: Pick<ProjectFiles, 'migrations'>): Promise<readonly string[]> {
  return Promise.all(migrations.map(async ({ read }) => (await read()).toString('utf8')));
}

function list(names: readonly string[]): string {
  return `${names.length === 1 ? 'the extension' : 'the extensions'} ${names.map((name) => `"${name}"`).join(', ')}`;
}
