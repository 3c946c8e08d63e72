// In charge of: the live queries of one channel, by the names that its client gives them.
import { DatabaseUnavailable } from '../../../engine/db/db.ts';
import type { Caller } from '../../../engine/identity/caller.ts';
import { recordOf } from '../join.ts';
import { NotFollowable } from './diff.ts';
import type { LiveListener, LiveQueries } from './live-queries.ts';

export interface ChannelQueries {
  /** Undefined: it is done; otherwise why it is not. */
  hear(payload: unknown, caller: Caller): Promise<string | undefined>;
  /** Another token of the same client: each is asked anew under its rights. */
  setCaller(caller: Caller): void;
  close(): void;
}

const maxQueries = 50;
const maxIdLength = 255;
/** As the Data API takes them: they stand in a request's head there. */
const maxUrlLength = 32 * 1024;

interface Followed {
  readonly url: unknown;
  stop: () => void;
}

/**
 * @param push tells the client, as `live_query`
 * @param client by whom what it does is counted
 */
export function openChannelQueries(
  queries: LiveQueries,
  push: (payload: string) => void,
  client: () => string = () => '',
): ChannelQueries {
  const followed = new Map<string, Followed>();
  let isClosed = false;

  /** @throws why it cannot be followed, where it is not overtaken by another of the same name */
  async function follow(id: string, url: unknown, caller: Caller): Promise<void> {
    const own: Followed = { url, stop: () => {} };
    followed.get(id)?.stop();
    followed.set(id, own);
    const name = JSON.stringify(id);
    const isOwn = () => !isClosed && followed.get(id) === own;
    const say = (type: string, rest: string) => {
      if (isOwn()) push(`{"type":"${type}","id":${name}${rest}}`);
    };
    try {
      const listener: LiveListener = {
        rows: (rows) => say('rows', `,"rows":[${rows.join(',')}]`),
        changes({ upserts, removes, order }) {
          const inOrder = order === undefined ? '' : `,"order":[${order.join(',')}]`;
          say('changes', `,"upserts":[${upserts.join(',')}],"removes":[${removes.join(',')}]${inOrder}`);
        },
        end(reason) {
          say('end', `,"reason":${JSON.stringify(reason)}`);
          if (isOwn()) followed.delete(id);
        },
      };
      const stop = await queries.follow(url, caller, listener, client());
      if (isOwn()) own.stop = stop;
      else stop();
    } catch (error) {
      // Nobody waits for it any more: what has the name by now may well be followed.
      if (!isOwn()) return;
      followed.delete(id);
      throw error;
    }
  }

  return {
    async hear(payload, caller) {
      const { event, id, url } = recordOf(payload) ?? {};
      if (typeof id !== 'string' || id === '' || id.length > maxIdLength)
        return `A live query has an id: a text of up to ${maxIdLength} characters.`;
      if (event === 'unsubscribe') {
        followed.get(id)?.stop();
        followed.delete(id);
        return undefined;
      }
      if (event !== 'subscribe') return 'Its event is "subscribe" or "unsubscribe".';
      if (typeof url === 'string' && url.length > maxUrlLength)
        return `The URL of a live query has at most ${maxUrlLength} characters.`;
      if (followed.size >= maxQueries && !followed.has(id))
        return `A channel has at most ${maxQueries} live queries.`;
      try {
        await follow(id, url, caller);
        return undefined;
      } catch (error) {
        if (error instanceof NotFollowable) return error.message;
        if (error instanceof DatabaseUnavailable)
          return 'The database cannot be asked now. Try again in a moment.';
        throw error;
      }
    },
    setCaller(caller) {
      for (const [id, { url }] of followed) {
        follow(id, url, caller).catch((error: unknown) => {
          const reason = error instanceof NotFollowable ? error.message : 'The database cannot be asked now.';
          push(JSON.stringify({ type: 'end', id, reason }));
        });
      }
    },
    close() {
      isClosed = true;
      for (const { stop } of followed.values()) stop();
      followed.clear();
    },
  };
}
