// In charge of: where a setting's value comes from, and what happens when it changes while the program runs.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../test/harness/database.ts';
import { flag, parsed, text, wholeNumber } from '../../base/settings.ts';
import { parseDurationSeconds } from '../../base/time.ts';
import { withClient } from '../db/client.ts';
import type { Database } from '../db/database.ts';
import { bootstrapDatabase } from '../db/shape/shape.ts';
import { openSettings, type SettingsSources } from './live.ts';
import { openStoredSettings } from './stored.ts';

const table = {
  rows: wholeNumber({
    key: 'api.rows',
    env: ['ROWS', 'OLD_ROWS'],
    default: 10,
    max: 100,
    sentence: '',
    live: true,
  }),
  name: text({ key: 'api.name', env: ['NAME'], default: 'x', sentence: '' }),
  on: flag({ key: 'api.deep.on', default: false, sentence: '', live: true }),
  wait: parsed({ key: 'api.wait', default: 1, sentence: '' }, 'a duration', parseDurationSeconds),
};
const open = (sources: Partial<SettingsSources>) =>
  openSettings([table], { file: {}, environment: {}, ...sources });

describe('the layers', () => {
  it.each<[string, Partial<SettingsSources>, number]>([
    ['its default', {}, 10],
    ['config.toml', { file: { api: { rows: 20 } } }, 20],
    ['the environment', { file: { api: { rows: 20 } }, environment: { ROWS: '30' } }, 30],
    ['the environment, first name first', { environment: { OLD_ROWS: '31', ROWS: '30' } }, 30],
    ['the command line', { environment: { ROWS: '30' }, commandLine: new Map([['api.rows', '40']]) }, 40],
    ['the run time', { commandLine: new Map([['api.rows', '40']]), stored: new Map([['api.rows', 50]]) }, 50],
  ])('take the value from %s', (_, sources, expected) => {
    expect(open(sources).of(table).now().rows).toBe(expected);
  });

  it('hold what is live of an environment that was read again, or nothing of it when a value is wrong', () => {
    const settings = open({ environment: { ROWS: '30', NAME: 'y' } });
    const live = settings.of(table);
    const heard: number[] = [];
    live.onChange(({ rows }) => heard.push(rows));
    expect(settings.setEnvironment({ ROWS: '40', NAME: 'z' })).toEqual([]);
    expect(live.now()).toMatchObject({ rows: 40, name: 'y' });
    expect(settings.setEnvironment({ ROWS: '1000' })).toEqual([
      'The environment variable ROWS is "1000", but must be a whole number from 0 to 100.',
    ]);
    expect(live.now().rows).toBe(40);
    expect(settings.setEnvironment({})).toEqual([]);
    expect(heard).toEqual([40, 10]);
  });

  it('parse each value by its own rule', () => {
    const values = open({ file: { api: { deep: { on: true }, wait: '1m30s' } } })
      .of(table)
      .now();
    expect(values).toEqual({ rows: 10, name: 'x', on: true, wait: 90 });
  });

  it('name every complaint at once, with value and place', () => {
    expect(() =>
      open({ file: { api: { rows: 'many', wait: 'soon' } }, environment: { NAME: 'ok', ROWS: '1000' } }),
    ).toThrow(
      '3 settings are wrong:\n- "api.rows" in config.toml is "many", but must be a whole number from 0 to 100.\n- The environment variable ROWS is "1000", but must be a whole number from 0 to 100.\n- "api.wait" in config.toml is "soon", but must be a duration.',
    );
  });

  it('say which file keys a stronger place hides', () => {
    expect(open({ file: { api: { rows: 20, name: 'y' } }, environment: { ROWS: '30' } }).shadowed()).toEqual([
      '"api.rows" in config.toml is hidden by the environment variable ROWS.',
    ]);
  });
});

describe('a secret', () => {
  it('is never quoted in a complaint', () => {
    const key = text({ key: 'auth.key', default: '', sentence: '', secret: true });
    expect(() => openSettings([{ key }], { file: { auth: { key: ['hush'] } }, environment: {} })).toThrow(
      '"auth.key" in config.toml is something (a secret, not shown), but must be text.',
    );
  });
});

describe('settings changed while the program runs', () => {
  let test: TestDatabase;
  let one: Database;
  let two: Database;

  beforeAll(async () => {
    test = await openTestDatabase();
    [one, two] = [await test.open(), await test.open()];
    await Promise.all([one.listener?.ready, two.listener?.ready]);
  });
  afterAll(async () => {
    await one.close();
    await two.close();
    await test[Symbol.asyncDispose]();
  });

  it('reach every process, survive a restart, and say who made them', async () => {
    const [here, there] = [open({}), open({})];
    const settings = await openStoredSettings(here, one.db, one.fanout, () => {});
    await openStoredSettings(there, two.db, two.fanout, () => {});
    const heard = new Promise((resolve) => there.of(table).onChange(({ rows }) => resolve(rows)));
    await settings.set('api.rows', 77, 'ada');
    expect(here.of(table).now().rows).toBe(77);
    expect(await heard).toBe(77);
    const restarted = open({ environment: { ROWS: '5' } });
    await openStoredSettings(restarted, one.db, one.fanout, () => {});
    expect(restarted.of(table).now().rows).toBe(77);
    expect(await test.run('select key, value, changed_by from _millrace.settings', 'supabase_admin')).toEqual(
      [{ key: 'api.rows', value: 77, changed_by: 'ada' }],
    );
    await settings.set('api.rows', undefined, 'ada');
    expect(here.of(table).now().rows).toBe(10);
  });

  it.each<[string, unknown, string]>([
    ['api.rows', 1000, '"api.rows" set at run time is 1000, but must be a whole number from 0 to 100.'],
    ['api.name', 'y', '"api.name" is read at start and cannot be set at run time.'],
    ['api.nope', 1, '"api.nope" is not a setting.'],
  ])('are refused when %s cannot be %j', async (key, value, message) => {
    const settings = await openStoredSettings(open({}), one.db, one.fanout, () => {});
    await expect(settings.set(key, value, 'ada')).rejects.toMatchObject({ code: 'invalid_setting', message });
  });

  it('are noted in the transaction of the change, and a note that fails undoes it', async () => {
    const here = open({});
    const settings = await openStoredSettings(here, one.db, one.fanout, () => {});
    await settings.set('api.rows', 5, 'ada');
    const noted: unknown[] = [];
    await settings.set('api.rows', 6, 'ada', async (_, change) => void noted.push(change));
    expect(noted).toEqual([{ before: 5, after: 6 }]);
    const failing = settings.set('api.rows', 7, 'ada', async () => {
      throw new Error('the record is full');
    });
    await expect(failing).rejects.toThrow('the record is full');
    expect(here.of(table).now().rows).toBe(6);
    await settings.set('api.rows', undefined, 'ada');
    settings.close();
  });

  it('are gone at once when a reset makes the tables anew under a process that runs on', async () => {
    const here = open({});
    const settings = await openStoredSettings(here, one.db, one.fanout, () => {});
    await settings.set('api.rows', 42, 'ada');
    const heard = new Promise<number>((resolve) => here.of(table).onChange(({ rows }) => resolve(rows)));
    // What a reset does: the database goes, and the shape's files make it again.
    await withClient({ ...test.login('supabase_admin'), database: 'template1' }, async (client) => {
      await client.query(`drop database ${test.name} with (force)`);
      await client.query(`create database ${test.name} template template0 owner postgres`);
    });
    await withClient(test.login('supabase_admin'), (client) =>
      bootstrapDatabase(client, {
        external: false,
        passwordOf: () => undefined,
        autoExposeNewTables: true,
        observe: () => {},
      }),
    );
    expect(await heard).toBe(10);
    settings.close();
  });
});
