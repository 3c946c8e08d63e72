// In charge of: writing a migration into the project, with a version that is new and the highest.
import { link, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, OperatorError } from '../../base/errors.ts';

const folder = 'supabase/migrations';

/** `20260701120000`: UTC. Source: supabase/cli apps/cli-go/internal/utils/misc.go, `GetCurrentTimestamp`. */
export function timestamp(now: Date): string {
  return now.toISOString().replaceAll(/[-:T]|\..*$/g, '');
}

/** A migration that is to be written. */
export interface NewMigration {
  readonly version: string;
  readonly name: string;
  /** From the project's folder. */
  readonly path: string;
  readonly text: string;
}

/** Texts as migrations a second apart. @throws OperatorError */
export async function planMigrations(
  project: string,
  name: string,
  texts: readonly string[],
  now: Date,
): Promise<readonly NewMigration[]> {
  if (texts.length === 0) return [];
  const word = name.trim().replaceAll(/[\s/\\]+/g, '_');
  if (word === '') throw noName();
  await mkdir(join(project, folder), { recursive: true });
  const first = after(await readdir(join(project, folder)), now);
  return texts.map((text, at) => {
    const version = timestamp(new Date(first.getTime() + at * 1000));
    const whole = texts.length === 1 ? word : `${word}_${at + 1}`;
    return { version, name: whole, path: `${folder}/${version}_${whole}.sql`, text };
  });
}

/** Writes all of them or none; each is whole from the moment that it has its name. @throws OperatorError when a name is taken. */
export async function writeMigrations(project: string, migrations: readonly NewMigration[]): Promise<void> {
  const draftOf = ({ path }: NewMigration) => join(project, `${path}.${process.pid}.new`);
  const named: NewMigration[] = [];
  try {
    for (const migration of migrations) await writeFile(draftOf(migration), migration.text);
    for (const migration of migrations) {
      // Other than `rename` it takes no name that is taken.
      await link(draftOf(migration), join(project, migration.path)).catch((error: unknown) => {
        if (errorCode(error) !== 'EEXIST') throw error;
        throw new OperatorError(
          `"${migration.path}" is there already.`,
          'Wait a second, or give another name.',
          error,
        );
      });
      named.push(migration);
    }
  } catch (error) {
    await removeMigrations(project, named);
    throw error;
  } finally {
    for (const migration of migrations) await rm(draftOf(migration), { force: true });
  }
}

export async function removeMigrations(project: string, migrations: readonly NewMigration[]): Promise<void> {
  for (const { path } of migrations) await rm(join(project, path), { force: true });
}

/** The moment, or a second behind the newest file when that is from the future: a migration goes in behind those that there are. */
function after(names: readonly string[], now: Date): Date {
  const newest = names
    .map((name) => /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)_/.exec(name))
    .filter((match) => match !== null)
    .map(([, year, month, day, hour, minute, second]) =>
      Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`),
    )
    .filter((time) => !Number.isNaN(time));
  return new Date(Math.max(now.getTime(), ...newest.map((time) => time + 1000)));
}

export function noName(): OperatorError {
  return new OperatorError('The migration has no name.', 'Give one: `millrace migrate new add_films`.');
}
