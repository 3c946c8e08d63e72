// In charge of: writing a migration into the project, with a version that is new and the highest.
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, OperatorError } from '../../base/errors.ts';

const folder = 'supabase/migrations';

/** `20260701120000`: UTC. Source: supabase/cli apps/cli-go/internal/utils/misc.go, `GetCurrentTimestamp`. */
export function timestamp(now: Date): string {
  return now.toISOString().replaceAll(/[-:T]|\..*$/g, '');
}

/** Writes texts as migrations a second apart, and gives their paths from the project's folder. @throws OperatorError */
export async function writeMigrations(
  project: string,
  name: string,
  texts: readonly string[],
  now: Date,
): Promise<readonly string[]> {
  const word = name.trim().replaceAll(/[\s/\\]+/g, '_');
  if (word === '') throw noName();
  await mkdir(join(project, folder), { recursive: true });
  const first = after(await readdir(join(project, folder)), now);
  const paths: string[] = [];
  for (const [at, text] of texts.entries()) {
    const suffix = texts.length === 1 ? '' : `_${at + 1}`;
    const path = `${folder}/${timestamp(new Date(first.getTime() + at * 1000))}_${word}${suffix}.sql`;
    try {
      await writeFile(join(project, path), text, { flag: 'wx' });
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
      throw new OperatorError(`"${path}" is there already.`, 'Wait a second, or give another name.', error);
    }
    paths.push(path);
  }
  return paths;
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
