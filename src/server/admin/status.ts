// In charge of: what the operator plane says about the running backend: what `millrace status --json` knows, without secrets.
export interface StatusSources {
  readonly version: string;
  readonly project: string;
  readonly production: boolean;
  readonly apiUrl: () => string;
  readonly engine: string;
  readonly postgresVersion: string;
  readonly startedAt: Date;
  readonly services: () => Promise<readonly ServiceStatus[]>;
  readonly database: () => Promise<{ readonly ok: boolean; readonly sentence: string }>;
  /** Names of the secrets that are the public development ones. */
  readonly development: readonly string[];
  /** Sentences that whoever starts the program reads once. */
  readonly notices: () => readonly string[];
}

export interface ServiceStatus {
  readonly name: string;
  readonly mount: string;
  readonly ok: boolean;
  readonly sentence: string;
}

/** How long the parts have to say how they are. */
const timeoutMs = 2_000;

export async function statusOf(sources: StatusSources): Promise<Readonly<Record<string, unknown>>> {
  const late = 'did not say in time how it is';
  const [database, services] = await Promise.all([
    inTime(sources.database(), { ok: false, sentence: `The database ${late}.` }),
    inTime(sources.services(), undefined),
  ]);
  return {
    version: sources.version,
    project: sources.project,
    production: sources.production,
    api_url: sources.apiUrl(),
    engine: sources.engine,
    postgres_version: sources.postgresVersion,
    node_version: process.versions.node,
    pid: process.pid,
    started_at: sources.startedAt.toISOString(),
    database,
    services: services ?? [],
    development_secrets: sources.development,
    notices: sources.notices(),
  };
}

/** What a promise gives, or `otherwise` when it takes too long or fails. */
async function inTime<T, U>(promise: Promise<T>, otherwise: U): Promise<T | U> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<U>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, otherwise);
  });
  try {
    return await Promise.race([promise, late]);
  } catch {
    return otherwise;
  } finally {
    clearTimeout(timer);
  }
}
