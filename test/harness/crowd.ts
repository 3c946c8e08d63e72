// In charge of: many official clients in one room, that come back by themselves when the server was away.
import { type RealtimeChannel, RealtimeClient } from '@supabase/supabase-js';
import { expect, vi } from 'vitest';
import type { Report } from './backend.ts';

export interface Crowd {
  /** All have joined. */
  areThere(): Promise<void>;
  /** All have noticed that the server is away. */
  areGone(): Promise<void>;
  /** All have joined again, each hears what is said to all, and requests were answered all the while. How long each request took, in milliseconds. */
  comesBack(): Promise<readonly number[]>;
  close(): void;
}

const patience = { timeout: 90_000, interval: 100 };

export function openCrowd({ API_URL, PUBLISHABLE_KEY }: Report, count: number): Crowd {
  const params = { apikey: PUBLISHABLE_KEY };
  const url = `${API_URL.replace('http', 'ws')}/realtime/v1`;
  const clients = Array.from({ length: count }, () => new RealtimeClient(url, { params }));
  const channels = clients.map((client) => client.channel('hall'));
  let heard = 0;
  for (const channel of channels) {
    channel.on('broadcast', { event: 'again' }, () => heard++);
    channel.subscribe();
  }
  const isThere = ({ state }: RealtimeChannel) => state === 'joined';
  const areThere = () => vi.waitFor(() => expect(channels.filter(isThere).length).toBe(count), patience);

  async function ask(): Promise<number> {
    const began = performance.now();
    const answer = await fetch(`${API_URL}/rest/v1/notes?select=id&limit=1`, {
      headers: params,
      signal: AbortSignal.timeout(20_000),
    });
    await answer.arrayBuffer();
    expect(answer.status).toBe(200);
    return performance.now() - began;
  }

  return {
    areThere,
    areGone: () => vi.waitFor(() => expect(channels.some(isThere)).toBe(false), patience),
    async comesBack() {
      let isDone = false;
      const tookMs: number[] = [];
      const asking = (async () => {
        while (!isDone) tookMs.push(await ask());
      })();
      await areThere().finally(() => {
        isDone = true;
      });
      await asking;
      heard = 0;
      const said = await fetch(`${API_URL}/realtime/v1/api/broadcast`, {
        method: 'POST',
        headers: { ...params, 'content-type': 'application/json' },
        body: JSON.stringify({ messages: [{ topic: 'hall', event: 'again', payload: {} }] }),
      });
      expect(said.status).toBe(202);
      await vi.waitFor(() => expect(heard).toBe(count), patience);
      return tookMs;
    },
    close() {
      for (const client of clients) void client.disconnect();
    },
  };
}
