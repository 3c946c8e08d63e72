// In charge of: the one sentence that tells a person why PostgreSQL does not run.
import { OperatorError } from '../../../base/errors.ts';
import type { LogEntry } from './server-log.ts';

export interface FailureFacts {
  readonly dataFolder: string;
  readonly host: string;
  readonly port: number;
  /** What was tried: `PostgreSQL did not start`. */
  readonly what: string;
}

/** The reason that the server's last complaints give, as a sentence with the next move. */
export function explainFailure(
  complaints: readonly LogEntry[],
  ending: string,
  facts: FailureFacts,
): OperatorError {
  const last = complaints.findLast((entry) => entry.severity === 'FATAL' || entry.severity === 'PANIC');
  const all = complaints.map((entry) => `${entry.message}\n${entry.detail ?? ''}`).join('\n');
  const { what, dataFolder } = facts;

  if (/shared memory|semaphore/i.test(all) && /No space left on device/.test(all)) {
    return new OperatorError(
      `${what}: the machine gives it too little shared memory.`,
      'In a container, give it more (docker run --shm-size=256m).',
    );
  }
  if (/No space left on device|Disk quota exceeded/.test(all)) return diskFull(dataFolder, what);
  if (/could not bind|Address already in use|could not create any TCP/i.test(all))
    return new PortTaken(facts.host, facts.port);
  if (/lock file "postmaster\.pid" already exists|pre-existing shared memory block/.test(all))
    return new DataInUse(`${what}: another PostgreSQL runs on the data in "${dataFolder}".`, last?.hint);
  const library = /(?:error while loading shared libraries: |Library not loaded: )(\S+?):?\s/.exec(
    `${all} `,
  )?.[1];
  if (library !== undefined) {
    return new OperatorError(
      `${what}: this machine does not have the library "${library}".`,
      "Install it with the system's package manager, or give another PostgreSQL with --pg-bin or DATABASE_URL.",
    );
  }
  if (/has (invalid permissions|wrong ownership|group or world access)/.test(all)) {
    return new OperatorError(
      `${what}: the file system of "${dataFolder}" does not keep owners and permissions (${last?.message ?? 'refused by PostgreSQL'}).`,
      "Give a folder on the machine's own disk with --data DIR.",
    );
  }
  if (/Read-only file system/.test(all)) {
    return new OperatorError(
      `${what}: "${dataFolder}" is on a read-only file system.`,
      'Give another folder with --data DIR.',
    );
  }
  if (
    /(invalid value for|unrecognized configuration|configuration file .* contains errors|out of range|must be)/.test(
      all,
    )
  ) {
    const reason = complaints.find((entry) =>
      /invalid value for|unrecognized|out of range|must be|valid range/.test(entry.message),
    );
    return new OperatorError(
      `${what}: ${reason?.message ?? all}.`,
      'Look at [db.settings] in supabase/config.toml.',
    );
  }
  if (
    /(could not locate a valid checkpoint|invalid (primary )?checkpoint record|could not find .*pg_control|incorrect checksum in control file)/i.test(
      all,
    )
  ) {
    return new OperatorError(
      `${what}: the data in "${dataFolder}" is damaged (${last?.message}).`,
      'Restore a backup. The folder is left as it is.',
    );
  }
  const reason =
    last === undefined ? ending : [last.message, last.detail].filter((part) => part !== undefined).join(' ');
  return new OperatorError(
    `${what}: ${reason.replace(/\.$/, '')}.`,
    last?.hint ?? `The data is in "${dataFolder}".`,
  );
}

export function diskFull(folder: string, what: string): OperatorError {
  return new OperatorError(
    `${what}: the disk that holds "${folder}" is full.`,
    'Free some space and start again; nothing that was acknowledged is lost.',
  );
}

export class PortTaken extends OperatorError {
  constructor(host: string, port: number) {
    super(
      `The database's port ${port} on "${host}" is taken by another program.`,
      'Stop that program, or give another port with --db-port or [db].port in supabase/config.toml.',
    );
  }
}

/** Whoever holds the folder's lock knows that it is a leftover. */
export class DataInUse extends OperatorError {}

/** PG_VERSION says another major version than the binaries are. */
export function otherVersion(
  dataFolder: string,
  dataMajor: number,
  major: number,
  engine: 'embedded' | 'system',
): OperatorError {
  return new OperatorError(
    `The data in "${dataFolder}" was made by PostgreSQL ${dataMajor}, and this start would run PostgreSQL ${major}.`,
    `${
      engine === 'embedded' && (dataMajor === 17 || dataMajor === 18)
        ? `Set [db].major_version = ${dataMajor} in supabase/config.toml.`
        : `Give the bin folder of a PostgreSQL ${dataMajor} with --pg-bin.`
    } To begin with an empty database instead, move that folder away or give another with --data DIR.`,
  );
}
