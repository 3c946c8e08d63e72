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
    expect(limits.refusalOfSocket('a')).toBe(undefined);
    limits.users.add();
    expect(limits.refusalOfSocket('a')).toBe('Too many connected users');
    expect(limits.refusalOfJoin({ isUser: false, channels: 0, client: 'a' })).toEqual({
      reason: 'ConnectionRateLimitReached: Too many connected users',
      disconnects: false,
    });
    expect(limits.refusalOfJoin({ isUser: true, channels: 1, client: 'a' })).toBe(undefined);
    limits.users.remove();
    expect(limits.refusalOfJoin({ isUser: false, channels: 0, client: 'a' })).toBe(undefined);
  });

  it('refuse joins beyond the rate with the whole socket, and channels beyond the number alone', () => {
    const { limits, wait } = open({ maxJoinsPerSecond: 2, maxChannelsPerClient: 10 });
    for (let at = 0; at < 120; at++) limits.refusalOfJoin({ isUser: true, channels: 0, client: 'a' });
    expect(limits.refusalOfJoin({ isUser: true, channels: 10, client: 'a' })).toEqual({
      reason: 'ChannelRateLimitReached: Too many channels',
      disconnects: false,
    });
    wait(5_000);
    expect(limits.refusalOfSocket('a')).toBe('Too many joins per second');
    expect(limits.refusalOfJoin({ isUser: true, channels: 0, client: 'a' })).toEqual({
      reason: 'ClientJoinRateLimitReached: Too many joins per second',
      disconnects: true,
    });
    wait(60_000);
    expect(limits.refusalOfSocket('a')).toBe(undefined);
  });

  it('know when there are too many messages, and when a batch would be', () => {
    const { limits, wait } = open({ maxEventsPerSecond: 10 });
    const count = (amount: number) => {
      limits.events.count(amount);
      limits.events.countFor('a', amount);
    };
    count(80);
    wait(5_000);
    expect(limits.requestRate('a')).toEqual({ average: 8, limit: 10, isOver: false });
    expect(limits.refusalOfBroadcasts(2, 'a')).toBe(undefined);
    expect(limits.refusalOfBroadcasts(3, 'a')).toBe(
      'Too many messages to broadcast, please reduce the batch size',
    );
    count(100);
    wait(5_000);
    expect(limits.refusalOfBroadcasts(1, 'a')).toBe('You have exceeded your rate limit');
    expect(limits.requestRate('a')).toEqual({ average: 12, limit: 10, isOver: true });
  });

  it('count messages about presence by themselves', () => {
    const { limits, wait } = open({ maxPresenceEventsPerSecond: 1 });
    for (let at = 0; at < 11; at++) expect(limits.takePresenceEvent('a')).toBe(true);
    wait(5_000);
    expect(limits.takePresenceEvent('a')).toBe(false);
    expect(limits.requestRate('a').isOver).toBe(false);
    wait(60_000);
    expect(limits.takePresenceEvent('a')).toBe(true);
  });

  it('refuse who does more than their part when all together are over, and nobody else', () => {
    const { limits, wait } = open({ maxEventsPerSecond: 10, maxJoinsPerSecond: 1 });
    const both = (client: string, amount: number) => {
      limits.events.count(amount);
      limits.events.countFor(client, amount);
    };
    both('flood', 1_000);
    both('quiet', 1);
    // A client that comes later counts over the same time.
    wait(10_000);
    both('late', 1);
    wait(5_000);
    const over = ['flood', 'quiet', 'late', 'new'].filter((client) => limits.requestRate(client).isOver);
    expect(over).toEqual(['flood']);
    expect(limits.refusalOfBroadcasts(1, 'quiet')).toBe(undefined);
    expect(limits.refusalOfBroadcasts(11, 'quiet')).toBe('You have exceeded your rate limit');
    for (let at = 0; at < 60; at++) limits.refusalOfJoin({ isUser: true, channels: 0, client: 'flood' });
    limits.refusalOfJoin({ isUser: true, channels: 0, client: 'quiet' });
    wait(5_000);
    expect(limits.refusalOfSocket('flood')).toBe('Too many joins per second');
    expect(limits.refusalOfSocket('quiet')).toBe(undefined);
    wait(120_000);
    both('flood', 1);
    expect(limits.requestRate('flood').isOver).toBe(false);
  });

  it('tell ten thousand clients apart, and no more', () => {
    const { limits, wait } = open({ maxEventsPerSecond: 10 });
    limits.events.countFor('first', 1_000_000);
    for (let at = 0; at < 10_000; at++) limits.events.countFor(`client ${at}`, 1);
    limits.events.count(1_000_000);
    wait(5_000);
    expect(limits.requestRate('first').isOver).toBe(false);
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
