// In charge of: what `start` and `status` print: for people a short table, for programs one line of JSON.
import type { Backend } from '../boot.ts';
import type { StatusReport } from '../run-file.ts';

/** The names that `supabase status -o json` uses, then ours. Source: supabase/cli apps/cli-go/internal/status/status.go. */
export function reportOf(backend: Backend, readyMs: number): StatusReport {
  return {
    API_URL: backend.apiUrl,
    REST_URL: `${backend.apiUrl}/rest/v1`,
    ...(backend.services.includes('storage') && { STORAGE_URL: `${backend.apiUrl}/storage/v1` }),
    ...(backend.services.includes('realtime') && { REALTIME_URL: `${backend.apiUrl}/realtime/v1` }),
    DB_URL: backend.databaseUrl,
    ...(backend.inboxUrl !== undefined && { MAILPIT_URL: backend.inboxUrl, INBUCKET_URL: backend.inboxUrl }),
    PUBLISHABLE_KEY: backend.secrets.keys.publishable,
    SECRET_KEY: backend.secrets.keys.secret,
    JWT_SECRET: backend.secrets.jwtSecret,
    ANON_KEY: backend.secrets.keys.anon,
    SERVICE_ROLE_KEY: backend.secrets.keys.serviceRole,
    ...s3ReportOf(backend),
    ENGINE: `${backend.engine} postgresql ${backend.postgresVersion}`,
    READY_MS: Math.round(readyMs),
    PID: process.pid,
  };
}

/** What `supabase status` prints for clients of S3, where they are answered. */
function s3ReportOf({ apiUrl, secrets, s3 }: Backend): StatusReport {
  if (s3 === undefined) return {};
  return {
    STORAGE_S3_URL: `${apiUrl}/storage/v1/s3`,
    ...(secrets.s3 && {
      S3_PROTOCOL_ACCESS_KEY_ID: secrets.s3.accessKeyId,
      S3_PROTOCOL_ACCESS_KEY_SECRET: secrets.s3.secretAccessKey,
    }),
    S3_PROTOCOL_REGION: s3.region,
  };
}

const labels: readonly (readonly [label: string, name: string])[] = [
  ['API', 'API_URL'],
  ['Data API', 'REST_URL'],
  ['Files', 'STORAGE_URL'],
  ['Realtime', 'REALTIME_URL'],
  ['Database', 'DB_URL'],
  ['Inbox', 'MAILPIT_URL'],
  ['Publishable key', 'PUBLISHABLE_KEY'],
  ['Secret key', 'SECRET_KEY'],
  ['Engine', 'ENGINE'],
];

export function renderReport(report: StatusReport): string {
  const known = labels.filter(([, name]) => report[name] !== undefined);
  const width = Math.max(...known.map(([label]) => label.length));
  return known.map(([label, name]) => `  ${label.padEnd(width)}  ${report[name]}`).join('\n');
}
