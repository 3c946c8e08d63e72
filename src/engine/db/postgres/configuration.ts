// In charge of: what our PostgreSQL is configured with: lean, safe, and rewritten at each start, so that a newer Millrace brings its own.
import { OperatorError } from '../../../base/errors.ts';
import { anyRoleSince } from './job-login.ts';
import { loginRoles } from './server.ts';

export interface ConfigurationFacts {
  readonly major: number;
  readonly maxConnections: number;
  /** Kept free for the gateway's pool, beside the superuser's three. */
  readonly reservedConnections: number;
  /** Libraries that every session has, of those that the server's build holds. */
  readonly preloaded?: readonly string[];
  /** Where extensions are looked for, beside the server's own folder; undefined: only there. */
  readonly extensionPath?: string | undefined;
  /** Nobody will miss the data: nothing waits for the disk. */
  readonly throwAway?: boolean | undefined;
  /** A person's own, by name: `[db.settings]` of config.toml. They beat ours, but for those that the design fixes. */
  readonly parameters: Readonly<Record<string, string | number | boolean>>;
}

/** The text of `millrace.conf`, which postgresql.conf includes. */
export function renderConfiguration(facts: ConfigurationFacts): string {
  const settings = new Map<string, string | number | boolean>(Object.entries(ours(facts)));
  for (const [name, value] of Object.entries(facts.parameters)) {
    if (!/^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$/i.test(name)) {
      throw new OperatorError(
        `"${name}" is not the name of a PostgreSQL setting.`,
        'Correct it under [db.settings] in supabase/config.toml.',
      );
    }
    if (!startsKnow.has(name.toLowerCase())) settings.set(name.toLowerCase(), value);
  }
  for (const [name, value] of Object.entries(fixed)) settings.set(name, value);
  if (facts.throwAway === true)
    for (const [name, value] of Object.entries(careless)) settings.set(name, value);
  return `# Written by Millrace at each start. Your own settings belong under [db.settings] in supabase/config.toml.\n${[
    ...settings,
  ]
    .map(([name, value]) => `${name} = ${quote(value)}\n`)
    .join('')}`;
}

/** A person's settings that are not acted on, each with the reason. */
export function ignoredParameters(parameters: ConfigurationFacts['parameters']): readonly string[] {
  return Object.entries(parameters).flatMap(([name, value]) => {
    const lower = name.toLowerCase();
    if (startsKnow.has(lower))
      return [
        `[db.settings].${name} is not acted on: where the database is and who may log in is decided by Millrace.`,
      ];
    const kept = fixed[lower];
    if (kept === undefined || quote(kept) === quote(value)) return [];
    return [
      `[db.settings].${name} is not acted on: Millrace keeps it at ${typeof kept === 'boolean' ? quote(kept) : kept}.`,
    ];
  });
}

function ours(facts: ConfigurationFacts): Record<string, string | number | boolean> {
  return {
    max_connections: facts.maxConnections,
    ...(facts.major >= 16 ? { reserved_connections: facts.reservedConnections } : {}),
    // Without workers for reading ahead: three processes less, and rows by key do not use them.
    ...(facts.major >= 18 ? { io_method: 'sync' } : {}),
    ...(facts.preloaded?.length ? { shared_preload_libraries: facts.preloaded.join(',') } : {}),
    ...(facts.extensionPath === undefined ? {} : { extension_control_path: facts.extensionPath }),
    shared_buffers: '128MB',
    jit: false,
    max_wal_senders: 10,
    max_replication_slots: 10,
    // A forgotten replication slot may not fill the disk.
    max_slot_wal_keep_size: '1GB',
    wal_sender_timeout: '60s',
    checkpoint_completion_target: 0.9,
    // Postgres's own answer to a client that has gone while its query runs.
    client_connection_check_interval: '10s',
    log_checkpoints: false,
    log_min_messages: 'warning',
    track_functions: 'none',
  };
}

/** Where and for whom the server is; decided by each start. */
const startsKnow: ReadonlySet<string> = new Set([
  'config_file',
  'data_directory',
  'external_pid_file',
  'hba_file',
  'ident_file',
  'include',
  'include_dir',
  'include_if_exists',
  'listen_addresses',
  'port',
  'unix_socket_directories',
  'unix_socket_group',
  'unix_socket_permissions',
]);

/** What the design promises; no setting of a project changes it. */
const fixed: Readonly<Record<string, string | number | boolean>> = {
  wal_level: 'logical',
  fsync: true,
  full_page_writes: true,
  password_encryption: 'scram-sha-256',
  ssl: false,
  timezone: 'UTC',
  log_timezone: 'UTC',
  lc_messages: 'C',
  restart_after_crash: true,
  logging_collector: false,
  log_destination: 'stderr',
  log_line_prefix: '%p|%e|%b| ',
  // A failing statement may hold a password or a person's data.
  log_min_error_statement: 'panic',
  log_error_verbosity: 'default',
};

/** Of data that is thrown away: what it is fixed at elsewhere is there for a crash of the machine. */
const careless: Readonly<Record<string, string | number | boolean>> = {
  fsync: false,
  full_page_writes: false,
  synchronous_commit: false,
  // Nobody waits for the log to be written, but whoever reads it does.
  wal_writer_delay: '10ms',
  wal_recycle: false,
  min_wal_size: '2MB',
};

function quote(value: string | number | boolean): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (/[\r\n\0]/.test(value))
    throw new OperatorError(
      'A PostgreSQL setting holds a line break.',
      'Correct it under [db.settings] in supabase/config.toml.',
    );
  return `'${value.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`;
}

export interface AccessFacts {
  /** `peer` through the socket; on Windows passwords over loopback, because Node has no Unix sockets there. */
  readonly transport: 'socket' | 'tcp';
  /** Whether the TCP port is bound to more than this machine. */
  readonly open: boolean;
}

/** The text of pg_hba.conf. Never `trust`; the superuser only through the socket. */
export function renderAccess(facts: AccessFacts): string {
  const anywhere = ['0.0.0.0/0', '::/0'];
  const loopback = ['127.0.0.1/32', '::1/128'];
  const lines: string[] = ['# Written by Millrace at each start.'];
  if (facts.transport === 'socket') {
    lines.push('local all,replication all peer map=millrace');
    for (const address of anywhere) lines.push(`host all,replication supabase_admin ${address} reject`);
  } else {
    for (const address of loopback)
      lines.push(`host all,replication supabase_admin ${address} scram-sha-256`);
    for (const address of anywhere) lines.push(`host all,replication supabase_admin ${address} reject`);
  }
  for (const address of facts.open ? anywhere : loopback)
    lines.push(`host all,replication all ${address} scram-sha-256`);
  return `${lines.join('\n')}\n`;
}

/**
 * The text of pg_ident.conf: the user that runs Node may be each of Millrace's login roles, and whoever else may log in, for a scheduled job is
 * run as its own role; and nobody else may be anybody. Before 16 a map cannot say "every role".
 */
export function renderIdentities(osUser: string, major: number): string {
  const quoted = `"${osUser.replaceAll('"', '""')}"`;
  const roles = major >= anyRoleSince ? ['all'] : loginRoles;
  return `# Written by Millrace at each start.\n${roles.map((role) => `millrace ${quoted} ${role}\n`).join('')}`;
}

/** The arguments that beat every file: where this start listens. */
export function listenArguments(facts: {
  readonly dataFolder: string;
  readonly socketFolder: string | undefined;
  readonly host: string;
  readonly port: number;
}): readonly string[] {
  // A list by commas, in which a quoted member may hold anything.
  const socket = facts.socketFolder === undefined ? '' : `"${facts.socketFolder.replaceAll('"', '""')}"`;
  return [
    '-D',
    facts.dataFolder,
    '-c',
    `port=${facts.port}`,
    '-c',
    `listen_addresses=${facts.host}`,
    '-c',
    `unix_socket_directories=${socket}`,
    '-c',
    'unix_socket_permissions=0777',
  ];
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
