// In charge of: a connection string as libpq takes it, as the URL that the rest of the program reads.
// Source: PostgreSQL's manual, "Connection Strings" and "Environment Variables" of libpq.

type Variables = Readonly<Record<string, string | undefined>>;

/** `host=db user=me` and what `PGHOST`, `PGUSER`, … say, as a URL. A URL stays what it is, but for parts that it leaves out. */
export function databaseUrlOf(connection: string, environment: Variables): string {
  if (!/^postgres(ql)?:\/\//.test(connection) && connection.includes('=')) {
    return urlOf({ ...fromEnvironment(environment), ...parsePairs(connection) });
  }
  if (!URL.canParse(connection)) return connection;
  const url = new URL(connection);
  const given = fromEnvironment(environment);
  // As parameters: a URL without a host takes no user before the place where the host would stand.
  const put = (name: string, isGiven: boolean) => {
    if (!isGiven && given[name] !== undefined && !url.searchParams.has(name))
      url.searchParams.set(name, given[name]);
  };
  put('host', url.hostname !== '');
  put('port', url.port !== '');
  put('user', url.username !== '');
  put('password', url.password !== '');
  put('dbname', url.pathname.length > 1);
  put('sslmode', false);
  return url.href;
}

function fromEnvironment(environment: Variables): Record<string, string> {
  const names = {
    host: 'PGHOST',
    port: 'PGPORT',
    user: 'PGUSER',
    password: 'PGPASSWORD',
    dbname: 'PGDATABASE',
    sslmode: 'PGSSLMODE',
  };
  return Object.fromEntries(
    Object.entries(names).flatMap(([name, variable]) => {
      const value = environment[variable];
      return value === undefined || value === '' ? [] : [[name, value]];
    }),
  );
}

/** `name=value` pairs; a value with spaces stands in single quotes, with backslashes. */
function parsePairs(text: string): Record<string, string> {
  const pairs = text.matchAll(/(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s\\]|\\.)*))/gs);
  return Object.fromEntries(
    [...pairs].map(([, name, quoted, plain]) => [name!, (quoted ?? plain ?? '').replace(/\\(.)/gs, '$1')]),
  );
}

function urlOf(parameters: Readonly<Record<string, string>>): string {
  return `postgresql://?${new URLSearchParams(parameters)}`;
}
