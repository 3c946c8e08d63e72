// In charge of: what pg_cron does, told on any server.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openStage, type Place, type Stage } from './stage.ts';

const created =
  'create extension if not exists pg_cron with schema pg_catalog; create table public.ticks (at timestamptz default now());';

/** So many runs have ended. */
const ended = (count = 1) =>
  `(select count(*) from cron.job_run_details where status in ('succeeded', 'failed')) >= ${count}`;

/** A clock that stands at ten seconds after a minute, ahead of the real one, and can be turned on by a minute. */
function openClock() {
  const started = performance.now();
  let minute = Math.floor(Date.now() / 60_000) + 1;
  return {
    now: () => minute * 60_000 + 10_000 + (performance.now() - started),
    turn: () => {
      minute += 1;
    },
  };
}

/** What came of the first run of each command, all of them jobs by seconds. */
async function runAll(stage: Stage, commands: readonly string[]) {
  const cron = await stage.cron();
  const jobs = commands.map(
    (command, n) => `select cron.schedule('job ${n}', '1 second', $job$${command}$job$)`,
  );
  await stage.ask(jobs.join('; '));
  await stage.until(
    `(select count(distinct jobid) from cron.job_run_details where status in ('succeeded', 'failed')) >= ${commands.length}`,
  );
  await cron.close();
  return stage.ask(
    `select distinct on (jobid) command, status, return_message as message from cron.job_run_details where status in ('succeeded', 'failed')
     order by jobid, runid`,
  );
}

export function cronStories(place: Place): void {
  describe('pg_cron', () => {
    let stage: Stage;
    beforeAll(async () => {
      stage = await openStage(place, created);
    });
    afterAll(() => stage[Symbol.asyncDispose]());
    beforeEach(async () => {
      await stage.ask(
        `truncate cron.job, cron.job_run_details; alter sequence cron.jobid_seq restart; alter sequence cron.runid_seq restart;
         update _millrace.cron_clock set last_minute = date_trunc('minute', now())`,
        'millrace_admin',
      );
      await stage.ask('truncate public.ticks');
    });

    it('runs a job by seconds, as the role that scheduled it, and keeps the book', async () => {
      const cron = await stage.cron();
      const [{ id, me, base }] = (await stage.ask(
        `select cron.schedule('tick', '1 second', 'insert into public.ticks default values') as id, current_user::text as me, current_database() as base`,
      )) as [{ id: string; me: string; base: string }];
      await stage.until(ended());
      await cron.close();
      const [first] = await stage.ask(
        'select *, start_time <= end_time as ordered from cron.job_run_details order by runid',
      );
      expect(first).toEqual({
        jobid: id,
        runid: '1',
        job_pid: expect.any(Number),
        database: base,
        username: me,
        command: 'insert into public.ticks default values',
        status: 'succeeded',
        return_message: 'INSERT 0 1',
        start_time: expect.any(Date),
        end_time: expect.any(Date),
        ordered: true,
      });
      expect(await stage.ask('select count(*) >= 1 as ticked from public.ticks')).toEqual([{ ticked: true }]);
    });

    it('runs a job by the minute when the minute comes, once though two processes look', async () => {
      await stage.ask(`
        select cron.schedule('each', '* * * * *', 'insert into public.ticks default values');
        select cron.schedule('leap', '0 0 30 2 *', 'insert into public.ticks default values');
        select cron.schedule('off', '* * * * *', 'insert into public.ticks default values');
        select cron.alter_job(3, active := false)`);
      const clock = openClock();
      const [one, two] = [await stage.cron(clock), await stage.cron(clock)];
      await stage.until(
        `exists (select from _millrace.leases where name = 'cron' and expires_at > clock_timestamp())`,
        'millrace_admin',
      );
      clock.turn();
      // Heard like a changed job: the worker looks at its clock again.
      await stage.ask(`select pg_notify('millrace_cron', '')`);
      await stage.until(ended());
      const leaders = [one, two].map(
        ({ observed }) => observed.filter(({ kind }) => kind === 'cron.leads').length,
      );
      expect(leaders.sort()).toEqual([0, 1]);
      await one.close();
      await two.close();
      expect(await stage.ask('select jobid, status from cron.job_run_details')).toEqual([
        { jobid: '1', status: 'succeeded' },
      ]);
      expect(await stage.ask('select count(*)::int as n from public.ticks')).toEqual([{ n: 1 }]);
    });

    it('keeps its lease while the time of the machine is put back', async () => {
      // It is renewed every few seconds: once is enough.
      if (place.server.engine !== 'embedded') return;
      let wallMs = Date.now();
      const cron = await stage.cron({ now: () => wallMs });
      const lease = `(select expires_at from _millrace.leases where name = 'cron' and expires_at > clock_timestamp())`;
      await stage.until(`${lease} is not null`, 'millrace_admin');
      wallMs -= 3_600_000;
      const [was] = await stage.ask(`select ${lease}::text as until`, 'millrace_admin');
      await stage.until(`coalesce(${lease} > '${was!.until}', false)`, 'millrace_admin');
      await cron.close();
    });

    it('notes what came of a run as upstream does', async () => {
      const expected: readonly (readonly [command: string, status: string, message: unknown])[] = [
        ['select 1 as a union all select 2', 'succeeded', '2 rows'],
        ['select 1', 'succeeded', '1 row'],
        ['create table public.made (id int); drop table public.made', 'succeeded', 'DROP TABLE'],
        ['begin; vacuum public.ticks', 'failed', 'ERROR:  VACUUM cannot run inside a transaction block\n'],
        ['vacuum public.ticks', 'succeeded', 'VACUUM'],
        [
          'select * from public.nowhere',
          'failed',
          'ERROR:  relation "public.nowhere" does not exist\nLINE 1: select * from public.nowhere\n                      ^\n',
        ],
        ['copy public.ticks from stdin', 'failed', expect.stringContaining('COPY not supported')],
        ['copy public.ticks to stdout', 'failed', 'COPY not supported'],
      ];
      const came = await runAll(
        stage,
        expected.map(([command]) => command),
      );
      expect(came).toEqual(expected.map(([command, status, message]) => ({ command, status, message })));
    });

    it('has nobody behind the job’s role', async () => {
      // There it is the URL's own user, who may be anybody.
      if (place.server.engine === 'external') return;
      const expected = [
        [`reset role; select pg_read_file('/etc/passwd')`, 'permission denied for function pg_read_file'],
        [`set role none; select pg_read_file('/etc/passwd')`, 'permission denied for function pg_read_file'],
        [
          'set session authorization supabase_admin; select 1',
          'permission denied to set session authorization "supabase_admin"',
        ],
        ['set role supabase_admin', 'permission denied to set role "supabase_admin"'],
        // In the words of 15 and of 16.
        [`copy (select 1) to program 'id'`, 'COPY to or from an external program'],
      ] as const;
      const came = await runAll(
        stage,
        expected.map(([command]) => command),
      );
      expect(came).toEqual(
        expected.map(([command, message]) => ({
          command,
          status: 'failed',
          message: expect.stringMatching(new RegExp(`^ERROR: .*${message}\n`)),
        })),
      );
    });

    it('logs in as whatever role may, with its rights alone; one that may not log in fails in upstream’s words', async () => {
      // Before 16 the map of the socket knows the program's own roles alone; elsewhere nobody tells us a password.
      if (place.server.engine === 'external' || place.server.major < 16) return;
      const role = `worker_${randomUUID().slice(0, 8)}`;
      await stage.ask(
        `create role ${role} login; grant usage on schema cron to ${role};
         create function public.plan(what text) returns bigint language sql security definer as $f$ select cron.schedule('theirs', '1 second', what) $f$;
         alter function public.plan(text) owner to ${role}`,
        'supabase_admin',
      );
      let cron: Awaited<ReturnType<Stage['cron']>> | undefined;
      try {
        cron = await stage.cron();
        // Whose rights are in force, and not who has logged in.
        await stage.ask(
          `select public.plan('select session_user, current_user, pg_sleep(0) from pg_authid')`,
        );
        await stage.until(ended(), 'supabase_admin');
        const details =
          'select username, status, return_message from cron.job_run_details order by runid desc limit 1';
        expect(await stage.ask(details, 'supabase_admin')).toEqual([
          {
            username: role,
            status: 'failed',
            return_message: expect.stringMatching(/^ERROR: {2}permission denied for table pg_authid\n/),
          },
        ]);
        await stage.ask(`alter role ${role} nologin; delete from cron.job_run_details`, 'supabase_admin');
        await stage.until(ended(), 'supabase_admin');
        expect(await stage.ask(details, 'supabase_admin')).toEqual([
          { username: role, status: 'failed', return_message: 'connection failed' },
        ]);
      } finally {
        await cron?.close();
        await stage.ask(
          `drop function public.plan(text); revoke all on schema cron from ${role}; drop role ${role}`,
          'supabase_admin',
        );
      }
    }, 15_000);

    it('lets nobody ask in another one’s name', async () => {
      if (place.server.engine === 'external') return;
      await stage.ask(
        `insert into cron._asked (act, schedule, command, active, caller) values ('schedule', '* * * * *', 'select 1', true, 'supabase_admin')`,
      );
      expect(await stage.ask('select username from cron.job')).toEqual([{ username: 'postgres' }]);
      expect(
        await stage.refused(
          `insert into cron.job (schedule, command, username) values ('* * * * *', 'select 1', 'supabase_admin')`,
        ),
      ).toEqual(['42501', 'permission denied for table job']);
      expect(
        await stage.refused(
          `create table public.fake (like cron._asked); create trigger do_it before insert on public.fake for each row execute function cron._do_asked()`,
        ),
      ).toEqual(['42501', 'permission denied for function cron._do_asked']);
      expect(
        await stage.refused(
          `create function public.mine() returns trigger language plpgsql as 'begin return new; end'; create trigger mine instead of insert on cron._asked for each row execute function public.mine()`,
        ),
      ).toEqual(['42501', 'permission denied for view _asked']);
      expect(
        await stage.refused(
          `create function public.spy() returns trigger language plpgsql as 'begin return new; end'; create trigger spy after update on cron.job_run_details for each row execute function public.spy()`,
        ),
      ).toEqual(['42501', 'permission denied for table job_run_details']);
      expect(await stage.refused(`select cron.schedule('* * * * *', 'select 1')`, 'supabase_admin')).toEqual([
        '42501',
        'cannot schedule jobs as superuser',
      ]);
    });

    it('raises upstream’s errors', async () => {
      const expected = [
        [`schedule('* * * *', 'select 1')`, '22023', 'invalid schedule: * * * *'],
        [`schedule('60 seconds', 'select 1')`, '22023', 'invalid schedule: 60 seconds'],
        [`schedule('5 secondc', 'select 1')`, '22023', 'invalid schedule: 5 secondc'],
        [`schedule('*/0 10 * * *', 'select 1')`, '22023', 'invalid schedule: */0 10 * * *'],
        [`schedule('@restar', 'select 1')`, '22023', 'invalid schedule: @restar'],
        [`schedule(null, '* * * * *', 'select 1')`, 'XX000', 'job_name can not be NULL'],
        [
          `schedule_in_database('x', '* * * * *', 'select 1', 'nope')`,
          '3D000',
          'database "nope" does not exist',
        ],
        [`unschedule('no_such_job')`, 'XX000', "could not find valid entry for job 'no_such_job'"],
        ['unschedule(77)', 'XX000', 'could not find valid entry for job 77'],
        ['alter_job(77)', 'XX000', 'no updates specified'],
        ['alter_job(77, active := false)', 'XX000', "Job 77 does not exist or you don't own it"],
      ] as const;
      for (const [call, code, message] of expected)
        expect(await stage.refused(`select cron.${call}`)).toEqual([code, message]);
    });

    it('keeps one job of a name for each role, and alters and forgets it', async () => {
      const [row] = await stage.ask(`
        select cron.schedule('nightly', '0 10 * * *', 'vacuum');
        select cron.schedule('nightly', '0 11 * * *', 'analyze');
        select cron.alter_job(1, schedule := ' 30 sEcOnDs ', active := false);
        select jobid, schedule, command, nodename, nodeport > 0 as has_port, database = current_database() as here, username = current_user as mine,
          active, jobname from cron.job`);
      expect(row).toEqual({
        jobid: '1',
        schedule: ' 30 sEcOnDs ',
        command: 'analyze',
        nodename: 'localhost',
        has_port: true,
        here: true,
        mine: true,
        active: false,
        jobname: 'nightly',
      });
      expect(await stage.ask(`select cron.unschedule('nightly') as done`)).toEqual([{ done: true }]);
      expect(await stage.ask('select count(*)::int as n from cron.job')).toEqual([{ n: 0 }]);
    });

    it('marks as failed what was running when its process ended, breaks off what runs at a stop, and what is unscheduled', async () => {
      if (place.hasOneSession) return;
      await stage.ask(
        `insert into cron.job_run_details (jobid, status) values (9, 'running'), (9, 'succeeded')`,
        'supabase_admin',
      );
      const cron = await stage.cron();
      await stage.ask(`select cron.schedule('long', '1 second', 'select pg_sleep(60)')`);
      await stage.until(running, 'supabase_admin');
      await stage.ask(`select cron.unschedule('long')`);
      await stage.until(ended(3), 'supabase_admin');
      await stage.ask(`select cron.schedule('longer', '1 second', 'select pg_sleep(60)')`);
      await stage.until(running, 'supabase_admin');
      await cron.close();
      expect(
        await stage.ask(
          'select jobid, status, return_message from cron.job_run_details order by runid',
          'supabase_admin',
        ),
      ).toEqual([
        { jobid: '9', status: 'failed', return_message: 'server restarted' },
        { jobid: '9', status: 'succeeded', return_message: null },
        { jobid: '1', status: 'failed', return_message: 'job canceled' },
        { jobid: '2', status: 'failed', return_message: 'server restarted' },
      ]);
      expect(
        await stage.ask(
          `select count(*)::int as n from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active' and datname = current_database()`,
          'supabase_admin',
        ),
      ).toEqual([{ n: 0 }]);
    }, 15_000);
  });
}

const running = `exists (select from cron.job_run_details where status = 'running')`;
