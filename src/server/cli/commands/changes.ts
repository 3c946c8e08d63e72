// In charge of: `millrace changes`: what operators changed, the newest first.
import type { Change } from '../../admin/record.ts';
import type { Invocation } from '../command.ts';
import { ask, operatorClientOf } from '../operator-client.ts';
import { renderTable } from '../table.ts';

export async function changes(invocation: Invocation): Promise<number> {
  const { limit, json } = invocation.options;
  const path = limit === undefined ? '/changes' : `/changes?limit=${encodeURIComponent(limit)}`;
  // Sound: the answer is that of operator-routes.ts.
  const found = (await ask(await operatorClientOf(invocation), 'GET', path)) as {
    readonly changes: readonly Change[];
  };
  if (json) console.log(JSON.stringify(found.changes));
  else if (found.changes.length === 0) console.log('Nothing was changed through the operator plane.');
  else {
    console.log(
      renderTable(
        ['ID', 'AT', 'WHO', 'VIA', 'FROM', 'WHAT', 'DETAILS'],
        found.changes.map((change) => [
          change.id,
          change.at,
          change.operator,
          change.via,
          change.address,
          change.action,
          JSON.stringify(change.details),
        ]),
      ),
    );
  }
  return 0;
}
