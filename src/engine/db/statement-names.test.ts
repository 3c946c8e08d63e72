// In charge of: the names of prepared statements.
import { describe, expect, it } from 'vitest';
import { maxPreparedPerConnection, StatementNames } from './statement-names.ts';

describe('a prepared statement', () => {
  it('has a name that only its text and its role have, on every connection the same', () => {
    const [one, two] = [new StatementNames(), new StatementNames()];
    const { name } = one.use('anon', 'select 1');
    expect(name).toMatch(/^mr_[\w-]{20}_anon$/);
    expect(one.use('anon', 'select 1')).toEqual({ name, isNew: false, dropped: [] });
    // Behind a pooler that nobody told us of, one connection meets the sessions of another.
    two.use('anon', 'select 2');
    expect(two.use('anon', 'select 1')).toEqual({ name, isNew: true, dropped: [] });
    expect(two.use('anon', 'select 2').name).not.toBe(name);
    expect(two.use('authenticated', 'select 1').name).not.toBe(name);
  });

  it('of a role with a long name keeps within 63 bytes, and apart from others that begin alike', () => {
    const names = new StatementNames();
    const roles = ['r'.repeat(62), `${'r'.repeat(62)}x`, 'ü'.repeat(31)];
    const given = roles.map((role) => names.use(role, 'select 1').name);
    expect(new Set(given).size).toBe(roles.length);
    for (const name of given) expect(Buffer.byteLength(name)).toBeLessThanOrEqual(63);
    expect(given[2]).toMatch(/^mr_[\w-]{20}_ü+$/);
  });

  it('that is one too many has the one dropped that was used longest ago', () => {
    const names = new StatementNames();
    const first = names.use('anon', 'select 0').name;
    const second = names.use('anon', 'select 1').name;
    for (let n = 2; n < maxPreparedPerConnection; n++) names.use('anon', `select ${n}`);
    expect(names.use('anon', 'select 0')).toEqual({ name: first, isNew: false, dropped: [] });
    names.beginExchange();
    expect(names.use('anon', 'one more')).toMatchObject({ isNew: true, dropped: [second] });
  });
  it('that is one too many leaves those alone that the same exchange uses, of whatever role', () => {
    const names = new StatementNames();
    const context = names.use('', 'select where …').name;
    for (let n = 1; n < maxPreparedPerConnection; n++) names.use('anon', `select ${n}`);
    names.beginExchange();
    // The context is the oldest, and the only one of its owner: closed before this exchange, it would be missed by it.
    expect(names.use('', 'select where …')).toEqual({ name: context, isNew: false, dropped: [] });
    expect(names.use('authenticated', 'select 1').dropped).toEqual([
      new StatementNames().use('anon', 'select 1').name,
    ]);
  });

  it('of a role that has no other is dropped for another role, unless the same exchange uses it', () => {
    const names = new StatementNames();
    const given = Array.from(
      { length: maxPreparedPerConnection },
      (_, n) => names.use(`role${n}`, 'select 1').name,
    );
    names.beginExchange();
    names.use('role0', 'select 1');
    expect(names.use('anon', 'select 1').dropped).toEqual([given[1]]);
  });
});
