// In charge of: showing that messages from the database come, also to those who have joined while it was away.
import { expect, it, vi } from 'vitest';
import { DatabaseUnavailable } from '../../engine/db/db.ts';
import type { ChangeListener } from '../../engine/db/replication/feed.ts';
import { openDatabaseMessages } from './database-messages.ts';
import { openLimits } from './limits.ts';
import type { RealtimeSettings } from './settings.ts';
import { openTopics } from './topics.ts';
import { version2 } from './wire/version-2.ts';

it('goes on trying to listen as long as somebody has joined a channel', async () => {
  const topics = openTopics();
  topics.join({ topic: 'room', isPrivate: true }, { wire: version2, send: () => {}, hears: () => true });
  const listeners: ChangeListener[] = [];
  let tries = 0;
  const messages = openDatabaseMessages({
    db: { asOwner: () => expect.fail('nobody asks') },
    feed: {
      async listen(listener) {
        tries++;
        if (tries === 1) throw new DatabaseUnavailable('unreachable', 'it is away', 1);
        listeners.push(listener);
        return () => {};
      },
      since: () => undefined,
      latestId: () => undefined,
      state: () => ({ by: 'replication', isReading: true, sentence: '' }),
    },
    topics,
    limits: openLimits(() => ({ maxEventsPerSecond: 100, maxPayloadKb: 1 }) as RealtimeSettings, Date.now),
    observe: () => {},
  });
  await expect(messages.ready()).rejects.toThrow('it is away');
  expect(messages.isAway()).toBe(true);
  await vi.waitFor(() => expect(listeners).toHaveLength(1), 10_000);
  expect(messages.isAway()).toBe(false);
  messages.close();
});
