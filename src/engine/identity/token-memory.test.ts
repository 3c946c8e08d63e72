// In charge of: that the memory of tokens keeps its bounds, and keeps what is used.
import { describe, expect, it } from 'vitest';
import { openTokenMemory, type Remembered } from './token-memory.ts';

const remembered = (claims = '{}'): Remembered => ({
  caller: { role: 'anon', claims, subject: undefined, by: 'token' },
  expiresAt: Number.POSITIVE_INFINITY,
  stillCounts: undefined,
});

describe('the memory of tokens', () => {
  it('holds no more tokens than it may', () => {
    const memory = openTokenMemory(1e9);
    for (let i = 0; i < 100; i++) memory.keep(`token ${i}`, remembered(), 10);
    expect(memory.size().tokens).toBe(10);
    expect(memory.find('token 99')).toBeDefined();
    expect(memory.find('token 89')).toBeUndefined();
    memory.keep('one more', remembered(), 0);
    expect(memory.find('one more')).toBeUndefined();
  });

  it('holds no more bytes than it may, however few the tokens', () => {
    const memory = openTokenMemory(100_000);
    for (let i = 0; i < 100; i++) {
      memory.keep(`${i}${'t'.repeat(10_000)}`, remembered('c'.repeat(10_000)), 1000);
      expect(memory.size().bytes).toBeLessThanOrEqual(100_000);
    }
    expect(memory.size().tokens).toBe(4);
    memory.keep('t'.repeat(100_001), remembered(), 1000);
    expect(memory.size().tokens).toBe(4);
  });

  it('counts bytes down to nothing', () => {
    const memory = openTokenMemory(100_000);
    memory.keep('a', remembered(), 10);
    memory.keep('a', remembered('{"longer":true}'), 10);
    memory.keep('b', remembered(), 10);
    memory.drop('a');
    memory.drop('a');
    memory.drop('b');
    expect(memory.size()).toEqual({ tokens: 0, bytes: 0 });
    memory.keep('c', remembered(), 10);
    memory.clear();
    expect(memory.size()).toEqual({ tokens: 0, bytes: 0 });
  });

  it('spares what is used while others pass through', () => {
    const memory = openTokenMemory(1e9);
    memory.keep('used', remembered(), 10);
    for (let i = 0; i < 1000; i++) {
      expect(memory.find('used')).toBeDefined();
      memory.keep(`passing ${i}`, remembered(), 10);
    }
    expect(memory.size().tokens).toBe(10);
  });

  it('stays within its bounds when everything in it is used', () => {
    const memory = openTokenMemory(1e9);
    for (let i = 0; i < 1000; i++) {
      memory.keep(`token ${i}`, remembered(), 100);
      for (let back = Math.max(0, i - 100); back <= i; back++) memory.find(`token ${back}`);
    }
    expect(memory.size().tokens).toBe(100);
  });
});
