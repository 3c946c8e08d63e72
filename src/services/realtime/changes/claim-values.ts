// In charge of: what `auth.uid()` and its like give for a group of callers, so that many groups fit into one question. Postgres is asked once.
import { errorCode } from '../../../base/errors.ts';
import { DatabaseUnavailable, type Db } from '../../../engine/db/db.ts';
import type { Caller } from '../../../engine/identity/caller.ts';
import type { Permits } from '../permits.ts';
import type { Group } from './item.ts';
import { isLocked } from './retrying.ts';

export interface ClaimValues {
  /** A map from call to value for each group; undefined where a call raises, as it does for a claim that is no uuid. @throws DatabaseUnavailable */
  of(
    groups: readonly Group[],
    calls: readonly { readonly text: string; readonly type: string }[],
  ): Promise<readonly (ReadonlyMap<string, string | null> | undefined)[]>;
  /** The functions may be others now. */
  forget(): void;
}

export function openClaimValues(parts: {
  readonly db: Pick<Db, 'as'>;
  readonly permits: Permits;
  readonly settings: readonly (readonly [name: string, value: string])[];
}): ClaimValues {
  const { db, permits, settings } = parts;
  let known = new Map<string, ReadonlyMap<string, string | null> | undefined>();

  async function ask(caller: Caller, text: string): Promise<readonly (string | null)[] | undefined> {
    try {
      const work = { statement: { text, params: [] }, settings, readOnly: true };
      return (await permits.run(() => db.as(caller, work))).rows[0];
    } catch (error) {
      if (error instanceof DatabaseUnavailable || isLocked(error) || errorCode(error) === undefined)
        throw error;
      return undefined;
    }
  }

  return {
    of(groups, calls) {
      const text = `select ${calls.map((call) => `${call.text}::text`).join(', ')}`;
      return Promise.all(
        groups.map(async (group) => {
          const key = `${group.caller.role}\0${text}\0${group.key}`;
          if (known.has(key) || calls.length === 0)
            return known.get(key) ?? (calls.length === 0 ? new Map() : undefined);
          const row = await ask(group.caller, text);
          const values = row && new Map(calls.map((call, at) => [call.text, row[at] ?? null]));
          if (known.size >= maxKnown) known = new Map();
          known.set(key, values);
          return values;
        }),
      );
    },
    forget() {
      known = new Map();
    },
  };
}

/** Then all are asked for anew. */
const maxKnown = 20_000;
