// In charge of: that the example of docs/extensions.md does what the page says.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { checkout } from '../harness/backend.ts';
import { openTestDatabase } from '../harness/database.ts';
import { apply } from '../harness/migrations.ts';

it('docs/extensions.md has an example that runs as it is pasted', async () => {
  const page = await readFile(join(checkout, 'docs', 'extensions.md'), 'utf8');
  const [migration, question] = [...page.matchAll(/```sql\n([\s\S]*?)```/g)].map((block) => block[1]!);
  const answer: unknown = JSON.parse(/```json\n([\s\S]*?)```/.exec(page)![1]!);
  await using db = await openTestDatabase();
  const { warnings } = await apply(db, { migrations: { '1_orders.sql': migration! } });
  expect(warnings).toEqual([]);
  expect(await db.run(question!)).toEqual(answer);
});
