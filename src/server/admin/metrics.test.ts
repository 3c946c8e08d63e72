// In charge of: what a scrape says.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestPlane, type TestPlane } from '../../../test/harness/operator-plane.ts';
import { watchLeases } from './lease-watch.ts';
import { openRequestFigures } from './request-figures.ts';

let at: TestPlane;
beforeAll(async () => {
  at = await openTestPlane();
});
afterAll(() => at[Symbol.asyncDispose]());

/** A scrape as Prometheus would read it: name and labels → value. Throws for a line that is not of its text format. */
async function scrape(): Promise<Map<string, number>> {
  const { status, headers, body } = await at.local('GET /metrics');
  expect(status).toBe(200);
  expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  const found = new Map<string, number>();
  for (const line of (body as string).split('\n')) {
    if (line === '' || /^# (HELP|TYPE) [a-z_]+ /.test(line)) continue;
    const match = /^([a-z_]+(?:\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)+\})?) (\S+)$/.exec(line);
    if (!match) throw new Error(`not a sample: ${line}`);
    expect(found.has(match[1]!)).toBe(false);
    found.set(match[1]!, Number(match[2]));
  }
  return found;
}

describe('GET /admin/v1/metrics', () => {
  it('counts requests by service, method and class of status, and how long they took', async () => {
    at.metrics.observeRequest('rest', 'GET', 200, 0.5);
    at.metrics.observeRequest('rest', 'GET', 206, 3);
    at.metrics.observeRequest('rest', 'POST', 409, 70_000);
    at.metrics.observeRequest('rest', 'BREW', 999, 1);
    const found = await scrape();
    expect(
      Object.fromEntries([...found].filter(([name]) => name.startsWith('millrace_requests_total'))),
    ).toEqual({
      'millrace_requests_total{service="rest",method="GET",status="2xx"}': 2,
      'millrace_requests_total{service="rest",method="POST",status="4xx"}': 1,
      'millrace_requests_total{service="rest",method="other",status="other"}': 1,
    });
    const histogram = (part: string) => found.get(`millrace_request_duration_seconds_${part}`);
    expect(histogram('bucket{service="rest",le="0.001"}')).toBe(2);
    expect(histogram('bucket{service="rest",le="0.0025"}')).toBe(2);
    expect(histogram('bucket{service="rest",le="0.005"}')).toBe(3);
    expect(histogram('bucket{service="rest",le="60"}')).toBe(3);
    expect(histogram('bucket{service="rest",le="+Inf"}')).toBe(4);
    expect(histogram('count{service="rest"}')).toBe(4);
    expect(histogram('sum{service="rest"}')).toBeCloseTo(70.0045);
  });

  it('counts what was refused and turned away', async () => {
    at.metrics.refused('rate_limit');
    at.metrics.refused('rate_limit');
    at.metrics.refused('a "rule"\n');
    at.metrics.shed();
    const found = await scrape();
    expect(found.get('millrace_requests_refused_total{reason="rate_limit"}')).toBe(2);
    expect(found.get('millrace_requests_refused_total{reason="a \\"rule\\"\\n"}')).toBe(1);
    expect(found.get('millrace_requests_shed_total')).toBe(1);
  });

  it('looks at the pool, the process and the database', async () => {
    const found = await scrape();
    expect(found.get('millrace_requests_in_flight')).toBe(3);
    expect(found.get('millrace_db_pool_max_connections')).toBe(10);
    expect(found.get('millrace_db_pool_connections{state="idle"}')).toBe(0);
    expect(found.get('millrace_db_pool_connections{state="used"}')).toBe(0);
    expect(found.get('millrace_db_pool_waiting')).toBe(0);
    expect(found.get('millrace_postgres_up')).toBe(1);
    expect(found.get('millrace_database_size_bytes')).toBeGreaterThan(1_000_000);
    expect(found.get('process_resident_memory_bytes')).toBeGreaterThan(1_000_000);
    expect(found.get('process_cpu_seconds_total{mode="user"}')).toBeGreaterThan(0);
    expect(found.get('process_start_time_seconds')).toBeCloseTo(performance.timeOrigin / 1000, 0);
    const node = process.versions.node;
    expect(
      found.get(`millrace_build_info{version="1.2.3",node="${node}",engine="embedded",postgres="18.1"}`),
    ).toBe(1);
  });

  it('says which leases this process holds, and which another does', async () => {
    const leases = watchLeases(at.database.leases, Date.now);
    const lease = await leases.acquire('mine', 60);
    expect(leases.held()).toEqual(new Map([['mine', true]]));
    await at.test.run(
      `insert into _millrace.leases (name, holder, fence, expires_at) values ('theirs', 'other', 1, now() + interval '1 hour')`,
      'supabase_admin',
    );
    expect(await leases.acquire('theirs', 60)).toBeUndefined();
    expect(leases.held()).toEqual(
      new Map([
        ['mine', true],
        ['theirs', false],
      ]),
    );
    await lease?.release();
    expect(leases.held().get('mine')).toBe(false);
    // The plane's own view of them is another process's: it holds neither.
    const found = await scrape();
    expect(found.get('millrace_lease_held{lease="mine"}')).toBe(0);
    expect(found.get('millrace_lease_held{lease="theirs"}')).toBe(0);
  });

  it('forgets a lease when its term is over, without asking', async () => {
    let nowMs = 0;
    const leases = watchLeases(at.database.leases, () => nowMs);
    await leases.acquire('for-a-minute', 60);
    nowMs = 59_999;
    expect(leases.held().get('for-a-minute')).toBe(true);
    nowMs = 60_000;
    expect(leases.held().get('for-a-minute')).toBe(false);
  });

  it('says how much WAL a replication slot holds back', async () => {
    const name = `${at.test.name}_slot`;
    await at.test.run(`select pg_create_physical_replication_slot('${name}', true)`, 'supabase_admin');
    try {
      await at.test.run(
        'create table public.filler as select repeat(n::text, 100) from generate_series(1, 2000) as n',
      );
      // What is committed may not be written yet where nobody has to survive a crash.
      await at.test.run('select pg_switch_wal()', 'supabase_admin');
      const found = await scrape();
      expect(found.get(`millrace_replication_slot_wal_bytes{slot="${name}"}`)).toBeGreaterThan(100_000);
      expect(found.get(`millrace_replication_slot_active{slot="${name}"}`)).toBe(0);
    } finally {
      await at.test.run(`select pg_drop_replication_slot('${name}')`, 'supabase_admin');
    }
  });

  it('answers without what the database does not say in time', async () => {
    await using other = await openTestPlane();
    // Every connection that Millrace has for its own tables is taken, and stays so.
    let release!: () => void;
    const until = new Promise<void>((resolve) => {
      release = resolve;
    });
    const taken = Array.from({ length: 3 }, () => other.database.db.asOwner('millrace_admin', () => until));
    const { status, body } = await other.local('GET /metrics');
    release();
    await Promise.all(taken);
    expect(status).toBe(200);
    expect(body).toContain('\nmillrace_postgres_up 0\n');
    expect(body).not.toMatch(/^millrace_database_size_bytes /m);
  });
});

describe('the request figures', () => {
  it('stay bounded whatever names come', () => {
    const figures = openRequestFigures();
    for (let i = 0; i < 1000; i++) figures.observe(`service-${i}`, `METHOD-${i}`, i, i);
    expect(figures.durations()).toHaveLength(33);
    expect(figures.counts().reduce((sum, { count }) => sum + count, 0)).toBe(1000);
    expect(figures.counts().every(({ method }) => method === 'other')).toBe(true);
  });
});
