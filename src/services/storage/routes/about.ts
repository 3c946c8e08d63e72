// In charge of: whether the service is there, and which it is. Source: supabase/storage src/app.ts, src/http/routes/health/healthcheck.ts.
import { askRows } from '../ask.ts';
import { asService, type Handle } from '../context.ts';
import { json } from '../json.ts';

export const status: Handle = async () => ({ status: 200, headers: [], body: null });

/** What of the protocol is spoken here. */
const upstreamVersion = '1.70.0';

export const version: Handle = async () => ({
  status: 200,
  headers: [['content-type', 'text/plain; charset=utf-8']],
  body: upstreamVersion,
});

export const health: Handle = async ({ storage, asking }) => {
  await askRows(storage.db, asService(asking), {
    text: 'select id from storage.buckets limit 1',
    params: [],
  });
  return json({ healthy: true });
};
