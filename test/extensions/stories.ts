// In charge of: what extensions do, as SQL stories that run on every engine. A story is a migration and what is asked behind it; whole answers are compared.
import type { LoginRole } from '../../src/engine/db/db.ts';

export interface Question {
  readonly sql: string;
  /** The role that asks; default `postgres`. `anon` and its like are set in the session of `authenticator`. */
  readonly as?: LoginRole | 'anon' | 'authenticated' | 'service_role';
  /** The rows, as `pg` gives them. */
  readonly rows?: readonly Readonly<Record<string, unknown>>[];
  /** SQLSTATE and what the message says. */
  readonly refused?: readonly [code: string, message: RegExp];
}

export interface Story {
  readonly it: string;
  /** Runs as a migration, in front of the questions, behind those of the stories before. */
  readonly migration?: string;
  readonly ask: readonly Question[];
  /** Not on somebody else's server, where an extension has no row in pg_extension and whoever logs in owns what is made. */
  readonly needsOwnServer?: true;
}

export const stories: readonly Story[] = [
  {
    it: 'pgmq: a message is sent, read, hidden, archived and deleted',
    migration: `create schema if not exists "pgmq"; create extension if not exists "pgmq" with schema "pgmq"; select pgmq.create('orders');`,
    ask: [
      { sql: `select pgmq.send('orders', '{"n": 1}') as id`, rows: [{ id: '1' }] },
      {
        sql: `select id from pgmq.send_batch('orders', array['{"n": 2}', '{"n": 3}']::jsonb[]) as id`,
        rows: [{ id: '2' }, { id: '3' }],
      },
      {
        sql: `select msg_id, read_ct, message, vt > now() as hidden from pgmq.read('orders', 30, 2)`,
        rows: [
          { msg_id: '1', read_ct: 1, message: { n: 1 }, hidden: true },
          { msg_id: '2', read_ct: 1, message: { n: 2 }, hidden: true },
        ],
      },
      { sql: `select msg_id from pgmq.read('orders', 30, 10)`, rows: [{ msg_id: '3' }] },
      { sql: `select pgmq.archive('orders', 1) as done`, rows: [{ done: true }] },
      { sql: `select pgmq.delete('orders', 2) as done`, rows: [{ done: true }] },
      { sql: `select pgmq.delete('orders', 2) as done`, rows: [{ done: false }] },
      { sql: `select msg_id, message from pgmq.a_orders`, rows: [{ msg_id: '1', message: { n: 1 } }] },
      {
        sql: `select queue_name, queue_length, total_messages from pgmq.metrics('orders')`,
        rows: [{ queue_name: 'orders', queue_length: '1', total_messages: '3' }],
      },
      { sql: `select msg_id, message from pgmq.pop('orders')`, rows: [] },
      { sql: `select msg_id from pgmq.set_vt('orders', 3, 0)`, rows: [{ msg_id: '3' }] },
      { sql: `select msg_id, message from pgmq.pop('orders')`, rows: [{ msg_id: '3', message: { n: 3 } }] },
      { sql: `select pgmq.drop_queue('orders') as done`, rows: [{ done: true }] },
      {
        sql: `select count(*)::int as queues from pgmq.list_queues() where queue_name = 'orders'`,
        rows: [{ queues: 0 }],
      },
    ],
  },
  {
    it: 'pgmq: a delayed message waits, and one that is taken back with its transaction was never there',
    migration: `create extension if not exists pgmq; select pgmq.create_unlogged('later');`,
    ask: [
      { sql: `select pgmq.send('later', '{}', 60) as id`, rows: [{ id: '1' }] },
      { sql: `select msg_id from pgmq.read('later', 1, 1)`, rows: [] },
      {
        sql: `begin; select pgmq.send('later', '{}'); rollback; select count(*)::int as n from pgmq.q_later`,
        rows: [{ n: 1 }],
      },
      { sql: `select pgmq.purge_queue('later') as n`, rows: [{ n: '1' }] },
    ],
  },
  {
    it: 'pgmq: queues belong to postgres, and the API roles have nothing of them',
    needsOwnServer: true,
    migration: `create extension if not exists pgmq; select pgmq.create('mine');`,
    ask: [
      {
        sql: `select relname as table, relowner::regrole::text as owner from pg_class
              where relnamespace = 'pgmq'::regnamespace and relkind = 'r' and relname in ('meta', 'q_mine') order by 1`,
        rows: [
          { table: 'meta', owner: 'postgres' },
          { table: 'q_mine', owner: 'postgres' },
        ],
      },
      { sql: `select pgmq.send('mine', '{}')`, as: 'service_role', refused: ['42501', /schema pgmq/] },
      { sql: `select pgmq.send('mine', '{}')`, as: 'anon', refused: ['42501', /schema pgmq/] },
    ],
  },
  {
    it: 'pgmq: every function of 1.5 is there',
    migration: 'create extension if not exists pgmq;',
    ask: [
      {
        sql: `select missing from unnest(array['acquire_queue_lock', 'archive', 'convert_archive_partitioned', 'create', 'create_non_partitioned',
                'create_partitioned', 'create_unlogged', 'delete', 'detach_archive', 'drop_queue', 'format_table_name', 'list_queues', 'metrics',
                'metrics_all', 'pop', 'purge_queue', 'read', 'read_with_poll', 'send', 'send_batch', 'set_vt', 'validate_queue_name']) as missing
              where not exists (select from pg_proc where proname = missing and pronamespace = 'pgmq'::regnamespace)`,
        rows: [],
      },
    ],
  },
  {
    it: 'pgjwt: signs and verifies what others sign',
    migration: 'create extension if not exists "pgjwt" with schema "extensions";',
    ask: [
      {
        // The example of RFC 7519's best known debugger, so that another implementation has made it.
        sql: `select extensions.sign('{"sub":"1234567890","name":"John Doe","admin":true}', 'secret') as token`,
        rows: [
          {
            token:
              'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiYWRtaW4iOnRydWV9.TJVA95OrM7E2cBab30RMHrHDcEfxjoYZgeFONFh7HgQ',
          },
        ],
      },
      {
        sql: `select payload, valid from extensions.verify(extensions.sign('{"sub":"a"}', 'secret', 'HS512'), 'secret', 'HS512')`,
        rows: [{ payload: { sub: 'a' }, valid: true }],
      },
      {
        sql: `select valid from extensions.verify(extensions.sign('{"sub":"a"}', 'secret'), 'another')`,
        rows: [{ valid: false }],
      },
      {
        sql: `select valid from extensions.verify(extensions.sign('{"exp":1}', 'secret'), 'secret')`,
        rows: [{ valid: false }],
      },
      { sql: `select extensions.sign('{}', 'secret', 'none')`, refused: ['22023', /hash algorithm/] },
    ],
  },
  {
    it: 'pgtap: a test passes and one fails',
    migration: 'create extension if not exists pgtap with schema extensions;',
    ask: [
      {
        sql: `begin; select extensions.plan(2); select extensions.ok(true, 'works'); select extensions.is(1, 2, 'differs') as line`,
        rows: [
          {
            line: 'not ok 2 - differs\n# Failed test 2: "differs"\n#         have: 1\n#         want: 2',
          },
        ],
      },
    ],
  },
  {
    it: 'moddatetime: the server’s own is used',
    migration: `create extension if not exists moddatetime schema extensions;
      create table film (id int primary key, at timestamptz not null default '2000-01-01');
      create trigger touch before update on film for each row execute procedure extensions.moddatetime(at); insert into film values (1);`,
    ask: [{ sql: 'update film set id = 2 returning at = now() as touched', rows: [{ touched: true }] }],
  },
  {
    it: 'pg_graphql: the schemas are there, and it says that it is not enabled',
    migration: `create extension if not exists "pg_graphql" with schema "graphql"; comment on schema public is '@graphql({"inflect_names": true})';`,
    ask: [
      {
        sql: `select graphql.resolve('{ __typename }') as answer`,
        rows: [{ answer: { errors: [{ message: 'pg_graphql extension is not enabled.' }] } }],
      },
    ],
  },
  {
    it: 'pgtap: every role may run its tests, whatever the project takes from everybody for its own functions',
    migration: `drop extension if exists pgtap; alter default privileges revoke execute on functions from public;
      create extension pgtap with schema extensions; create schema apart; grant usage on schema apart to anon;
      create function apart.of_the_project() returns int language sql as 'select 1';
      alter default privileges grant execute on functions to public;`,
    ask: [
      {
        sql: `set search_path = extensions; select plan(1); select ok(true, 'mine') as ok`,
        as: 'anon',
        rows: [{ ok: 'ok 1 - mine' }],
      },
      { sql: 'select apart.of_the_project()', as: 'anon', refused: ['42501', /of_the_project/] },
    ],
  },
  {
    it: 'absent extensions: the migration goes through, and a call says what is missing',
    migration: `create extension if not exists "hypopg" with schema "extensions"; create extension if not exists "index_advisor" with schema "extensions";
      create extension if not exists plpgsql_check with schema extensions; create extension if not exists "pgsodium"; create extension pgaudit;`,
    ask: [
      {
        sql: `select * from extensions.hypopg_create_index('create index on a (b)')`,
        refused: [
          '0A000',
          /^the extension "hypopg" is not in this PostgreSQL, so its functions cannot be called$/,
        ],
      },
      { sql: `select * from extensions.index_advisor('select 1')`, refused: ['0A000', /"index_advisor"/] },
      {
        sql: `select * from extensions.plpgsql_check_function('now()', fatal_errors := false)`,
        refused: ['0A000', /"plpgsql_check"/],
      },
      { sql: 'select pgsodium.crypto_aead_det_keygen()', refused: ['0A000', /"pgsodium"/] },
    ],
  },
  {
    it: 'what looks an extension up finds it, and drops and comments work',
    needsOwnServer: true,
    migration: `create extension if not exists pgmq;
      do $$ begin if exists (select from pg_extension where extname = 'pgmq') then perform pgmq.create('found'); end if; end $$;
      comment on extension pgmq is 'queues'; create extension if not exists pgjwt schema extensions; drop extension pgjwt;`,
    ask: [
      {
        sql: `select extname as name, extversion as version, extnamespace::regnamespace::text as schema from pg_extension
              where extname in ('pgmq', 'hypopg', 'pgjwt') order by 1`,
        rows: [
          { name: 'hypopg', version: 'absent', schema: 'extensions' },
          { name: 'pgmq', version: '1.11.1', schema: 'pgmq' },
        ],
      },
      {
        sql: `select queue_name from pgmq.list_queues() where queue_name = 'found'`,
        rows: [{ queue_name: 'found' }],
      },
      { sql: `select to_regprocedure('extensions.sign(json, text, text)') as gone`, rows: [{ gone: null }] },
    ],
  },
  {
    it: 'an extension that is dropped is gone, with what needs it when it says cascade',
    migration: `create extension if not exists pgmq; create view queues as select queue_name from pgmq.meta; drop extension pgmq cascade;`,
    ask: [
      {
        sql: `select to_regclass('queues') as view, to_regtype('pgmq.message_record') as type`,
        rows: [{ view: null, type: null }],
      },
    ],
  },
];
