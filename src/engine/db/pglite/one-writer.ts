// In charge of: a process that writes to a PGlite of its own, row after row, for the test that kills it.
//
// The arguments are the project's folder and the state folder. Prints the number of each row when its commit was acknowledged.
import pg from 'pg';
import { openPglite } from './pglite.ts';

const [project = '', data = ''] = process.argv.slice(2);
const server = await openPglite({ project, data, port: 0, password: 'postgres', observe: () => {} });
const client = new pg.Client(server.login('supabase_admin'));
await client.connect();
await client.query('create table public.kept (i int primary key, filling text)');
for (let i = 1; ; i++) {
  await client.query('insert into public.kept values ($1, $2)', [i, 'x'.repeat(500)]);
  process.stdout.write(`${i}\n`);
}
