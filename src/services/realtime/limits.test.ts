// In charge of: showing when something is too much, by a clock that the test turns.
import { describe, expect, it } from 'vitest';
import { openLimits } from './limits.ts';
import { openRate } from './rate.ts';
import { settings } from './settings.ts';

const defaults = Object.fromEntries(
  Object.entries(settings).map(([name, setting]) => [name, setting.default]),
) as unknown as Parameters<typeof openLimits>[0] extends () => infer V ? V : never;

function open(given: Partial<typeof defaults> = {}, usersElsewhere = 0) {
  let now = 1_000_000;
  const limits = openLimits(
    () => ({ ...defaults, ...given }),
    () => now,
    () => usersElsewhere,
  );
  return {
    limits,
    wait(ms: number) {
      now += ms;
    },
  };
}

describe('a rate', () => {
  it('is the average over the last minute, as of the last tick', () => {
    let now = 0;
    const rate = openRate(() => now);
    rate.count(100);
    expect(rate.average()).toBe(0);
    now = 5_000;
    // Two ticks: the one at the beginning found nothing.
    expect(rate.average()).toBe(10);
    rate.count(100);
    now = 10_000;
    expect(rate.average()).toBe(200 / 3 / 5);
    for (let tick = 3; tick <= 20; tick++) {
      rate.count(100);
      now = tick * 5_000;
    }
    expect(rate.average()).toBe(20);
    now += 30_000;
    expect(rate.average()).toBe(10);
    now += 3_600_000;
    expect(rate.average()).toBe(0);
  });
});

describe('limits', () => {
  it('refuse more clients than there may be, of all processes together', () => {
    const { limits } = open({ maxConcurrentUsers: 3 }, 1);
    limits.users.add();
    expect(limits.refusalOfSocket()).toBe(undefined);
    limits.users.add();
    expect(limits.refusalOfSocket()).toBe('Too many connected users');
    expect(limits.refusalOfJoin({ isUser: false, channels: 0 })).toEqual({
      reason: 'ConnectionRateLimitReached: Too many connected users',
      disconnects: false,
    });
    expect(limits.refusalOfJoin({ isUser: true, channels: 1 })).toBe(undefined);
    limits.users.remove();
    expect(limits.refusalOfJoin({ isUser: false, channels: 0 })).toBe(undefined);
  });

  it('refuse joins beyond the rate with the whole socket, and channels beyond the number alone', () => {
    const { limits, wait } = open({ maxJoinsPerSecond: 2, maxChannelsPerClient: 10 });
    for (let at = 0; at < 20; at++) limits.refusalOfJoin({ isUser: true, channels: 0 });
    expect(limits.refusalOfJoin({ isUser: true, channels: 10 })).toEqual({
      reason: 'ChannelRateLimitReached: Too many channels',
      disconnects: false,
    });
    wait(5_000);
    expect(limits.refusalOfSocket()).toBe('Too many joins per second');
    expect(limits.refusalOfJoin({ isUser: true, channels: 0 })).toEqual({
      reason: 'ClientJoinRateLimitReached: Too many joins per second',
      disconnects: true,
    });
    wait(60_000);
    expect(limits.refusalOfSocket()).toBe(undefined);
  });

  it('know when there are too many messages, and when a batch would be', () => {
    const { limits, wait } = open({ maxEventsPerSecond: 10 });
    limits.events.count(80);
    wait(5_000);
    expect(limits.areEventsOver()).toBe(false);
    expect(limits.requestRate()).toEqual({ average: 8, limit: 10, isOver: false });
    expect(limits.refusalOfBroadcasts(2)).toBe(undefined);
    expect(limits.refusalOfBroadcasts(3)).toBe(
      'Too many messages to broadcast, please reduce the batch size',
    );
    limits.events.count(100);
    wait(5_000);
    expect(limits.areEventsOver()).toBe(true);
    expect(limits.refusalOfBroadcasts(1)).toBe('You have exceeded your rate limit');
    expect(limits.requestRate()).toEqual({ average: 12, limit: 10, isOver: true });
  });

  it('count messages about presence by themselves', () => {
    const { limits, wait } = open({ maxPresenceEventsPerSecond: 1 });
    for (let at = 0; at < 11; at++) expect(limits.takePresenceEvent()).toBe(true);
    wait(5_000);
    expect(limits.takePresenceEvent()).toBe(false);
    expect(limits.areEventsOver()).toBe(false);
    wait(60_000);
    expect(limits.takePresenceEvent()).toBe(true);
  });

  it('give each client five calls about presence in 30 seconds', () => {
    const { limits, wait } = open();
    const window = limits.openPresenceWindow();
    const other = limits.openPresenceWindow();
    for (let call = 0; call < 5; call++) expect(window.take()).toBe(true);
    expect(window.take()).toBe(false);
    expect(other.take()).toBe(true);
    wait(30_000);
    expect(window.take()).toBe(false);
    wait(1);
    expect(window.take()).toBe(true);
  });

  it('measure payloads in kilobytes of 1,000 bytes, with 500 for the frame', () => {
    const { limits } = open({ maxPayloadKb: 1 });
    expect(limits.isTooLarge(1_500)).toBe(false);
    expect(limits.isTooLarge(1_501)).toBe(true);
  });
});
