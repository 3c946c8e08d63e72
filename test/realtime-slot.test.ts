// In charge of: a server that has let go of the log that changes are read from: whoever listens is told of a gap, and of what is committed from there on.
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from './harness/backend.ts';
import { answerTo, openPhoenixSocket } from './harness/phoenix-socket.ts';
import { openSession } from './harness/sessions.ts';

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
beforeAll(async () => {
  project = await makeProject({
    // A server that keeps next to nothing, and looks often.
    'supabase/config.toml': `
      [db.settings]
      max_slot_wal_keep_size = "1MB"
      min_wal_size = "32MB"
      max_wal_size = "32MB"
      checkpoint_completion_target = "0.0"`,
    'supabase/migrations/1_notes.sql': `
      create table public.notes (id bigint primary key, text text);
      grant select on public.notes to anon;
      alter publication supabase_realtime add table public.notes;
      create table public.bulk (text text);`,
  });
  backend = await startBackend(project.folder);
});
afterAll(async () => {
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

it('is said, the slot is made anew, and changes go on', async () => {
  await using database = await openSession(backend, 'select');
  const slots = async () =>
    (await database.query('select slot_name, wal_status from pg_replication_slots')).rows as readonly {
      slot_name: string;
      wal_status: string;
    }[];
  await using socket = await openPhoenixSocket(backend.report.API_URL, backend.report.PUBLISHABLE_KEY);
  const postgres_changes = [{ event: '*', schema: 'public', table: 'notes' }];
  socket.say('1', '1', 'realtime:notes', 'phx_join', { config: { postgres_changes } });
  await socket.hear(answerTo('1'));
  await socket.hear((message) => message[3] === 'system');
  const told = () =>
    socket.heard.flatMap((message) => {
      const [, , , event, payload] = message as [unknown, unknown, unknown, string, Record<string, unknown>];
      if (event === 'gap') return [payload['reason']];
      return event === 'postgres_changes' ? [(payload['data'] as { record: { id: number } }).record.id] : [];
    });
  await database.query("insert into public.notes values (1, 'seen')");
  await vi.waitFor(() => expect(told()).toEqual([1]), 20_000);

  // A process that stands still takes nothing, and the server's patience is one megabyte of log.
  process.kill(backend.report.PID, 'SIGSTOP');
  try {
    await vi.waitFor(
      async () => {
        await database.query(
          "insert into public.bulk select repeat('x', 1000) from generate_series(1, 20000)",
        );
        await database.query('truncate public.bulk');
        expect((await slots()).map(({ wal_status }) => wal_status)).toEqual(['lost']);
      },
      { timeout: 40_000, interval: 50 },
    );
    await database.query("insert into public.notes values (2, 'missed')");
  } finally {
    process.kill(backend.report.PID, 'SIGCONT');
  }
  const reason = 'the replication slot was lost: the server has let go of the log that it needed';
  await vi.waitFor(() => expect(told()).toEqual([1, reason]), 20_000);
  await database.query("insert into public.notes values (3, 'after')");
  await vi.waitFor(() => expect(told()).toEqual([1, reason, 3]), 20_000);
  expect((await slots()).map(({ wal_status }) => wal_status)).not.toContain('lost');
}, 90_000);
