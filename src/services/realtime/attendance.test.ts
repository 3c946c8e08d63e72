// In charge of: showing that nobody stays present who has gone.
import { expect, it } from 'vitest';
import { openLocalFanout } from '../../engine/db/fanout.ts';
import { Attendance } from './attendance.ts';
import { openLimits } from './limits.ts';
import { openPeers } from './peers.ts';
import { openPresences } from './presence/presence.ts';
import type { RealtimeSettings } from './settings.ts';
import { openTopics } from './topics.ts';

const settings = {
  maxPresenceEventsPerSecond: 1_000,
  clientPresenceCalls: 5,
  clientPresenceWindowMs: 30_000,
  maxPayloadKb: 3_000,
} as RealtimeSettings;

it('does not track a client that has gone while the policies were asked', async () => {
  const observe = () => {};
  const peers = openPeers({ fanout: openLocalFanout(), sharesDatabase: false, now: Date.now, observe });
  const presences = openPresences({ peers, observe }, { hears: () => true, onDiff: () => {} });
  const asked = Promise.withResolvers<boolean>();
  const attendance = new Attendance({
    realtime: { limits: openLimits(() => settings, Date.now), presences, topics: openTopics() },
    standing: {
      hears: () => true,
      wantsPresence: async () => {},
      maySay: () => asked.promise,
    },
    topic: 'private:room',
    ref: '1',
    key: 'ann',
    isWanted: true,
    client: () => 'ann',
  });
  const heard = attendance.hear({ event: 'track', payload: { name: 'Ann' } });
  attendance.leave();
  asked.resolve(true);
  expect(await heard).toEqual({ kind: 'error' });
  expect(presences.state('private:room')).toEqual({});
  await presences.close();
  await peers.close();
});
