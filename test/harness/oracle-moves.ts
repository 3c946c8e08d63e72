// In charge of: random changes to what is listened to: policies that come, go, change and fail, and tables whose columns, names and keys do.
import { type Names, named, parted, tables, users, word } from './oracle-tables.ts';
import type { Random } from './random.ts';

/** What is done to the table, and to its twin as far as it has the same. */
export interface Move {
  readonly sql: readonly string[];
  /** For people. */
  readonly what: string;
  /** Rows from before it are not rows as they are now. */
  readonly reshapes: boolean;
}

export interface World {
  readonly namesOf: (table: string) => Names;
  next(): Move;
}

interface TableNow {
  name: string;
  readonly renamed: Map<string, string>;
  readonly policies: Set<string>;
  readonly extras: Set<string>;
  hasNote: boolean;
}

export function openWorld(random: Random): World {
  const now = new Map<string, TableNow>(
    [...tables.map(({ name, policies }) => ({ name, policies })), ...partedTables].map(
      ({ name, policies }) => [
        name,
        {
          name,
          renamed: new Map(),
          policies: new Set(policies.map((policy) => /policy (\w+)/.exec(policy)![1]!)),
          extras: new Set(),
          hasNote: true,
        },
      ],
    ),
  );
  let count = 0;

  const of = (table: string) => now.get(table)!;
  const namesOf = (table: string): Names => {
    const { name, renamed } = of(table);
    return { table: name, column: (first) => renamed.get(first) ?? first };
  };

  /** `sql` on `%t`, of the table and of its twin. */
  function both(table: string, sql: string): readonly string[] {
    const text = named(sql, namesOf(table));
    return [text.replaceAll('%t', `public.${of(table).name}`), text.replaceAll('%t', `twin.${table}`)];
  }

  /** What a twin has none of: it is told by the table. */
  const alone = (table: string, sql: string) => [sql.replaceAll('%t', `public.${of(table).name}`)];

  function policyMove(): Move {
    const table = random.pick([...tables.map(({ name }) => name), ...parted.leaves, parted.root]);
    const { policies } = of(table);
    const conditions = tables.find(({ name }) => name === table)?.conditions ?? [
      'owner = auth.uid()',
      'n % 2 = 0',
    ];
    const using = random.pick(conditions);
    const to = random.pick(['authenticated', 'authenticated', 'anon', 'authenticated, anon', 'public']);
    const sql = random.weighted<string>([
      [
        4,
        () => {
          // Whether one that fails is asked before or behind the others depends on its name.
          const name = `${random.pick(['a', 'p', 'z'])}_${++count}`;
          policies.add(name);
          const kind = random.chance(0.2) ? ' as restrictive' : '';
          return `create policy ${name} on %t${kind} for select to ${to} using (${using})`;
        },
      ],
      [
        policies.size > 0 ? 3 : 0,
        () => `alter policy ${random.pick([...policies])} on %t to ${to} using (${using})`,
      ],
      [
        policies.size > 1 ? 3 : 0,
        () => {
          const name = random.pick([...policies]);
          policies.delete(name);
          return `drop policy ${name} on %t`;
        },
      ],
      [0.5, () => 'alter table %t disable row level security'],
      [1, () => 'alter table %t enable row level security'],
    ]);
    return { sql: both(table, sql), what: `${table}: ${sql}`, reshapes: false };
  }

  /** A column that no statement, policy or filter reads. */
  function extraMove(): Move {
    const table = random.pick(tables.map(({ name }) => name));
    const { extras } = of(table);
    const extra = extras.size > 0 ? random.pick([...extras]) : undefined;
    const next = () => {
      const name = `extra_${++count}`;
      extras.add(name);
      return name;
    };
    const sql =
      extra === undefined || random.chance(0.4)
        ? `alter table %t add column ${next()} ${random.pick([`integer default 7`, `text default 'x'`, 'jsonb', `numeric default 1.50`])}`
        : random.weighted<string>([
            [
              2,
              () => {
                extras.delete(extra);
                return `alter table %t drop column ${extra}`;
              },
            ],
            [
              2,
              () => {
                extras.delete(extra);
                return `alter table %t rename column ${extra} to ${next()}`;
              },
            ],
            [1, () => `alter table %t alter column ${extra} type text using ${extra}::text`],
          ]);
    return { sql: both(table, sql), what: `${table}: ${sql}`, reshapes: true };
  }

  /** What the first table has and others have not: everything may be another one. */
  function shiftMove(): Move {
    const table = 'shifting';
    const here = of(table);
    const done = (sql: readonly string[]): Move => ({ sql, what: sql[0]!, reshapes: true });
    return random.weighted<Move>([
      [
        4,
        () => {
          const first = random.pick(['owner', 'n', 'word']);
          const from = namesOf(table).column(first);
          const to = from === first ? `${first}_two` : first;
          const sql = both(table, `alter table %t rename column ${from} to ${to}`);
          here.renamed.set(first, to);
          return done(sql);
        },
      ],
      [
        2,
        () => {
          const sql = alone(table, `alter table %t rename to ${here.name === table ? 'shifted' : table}`);
          here.name = here.name === table ? 'shifted' : table;
          return done(sql);
        },
      ],
      [
        3,
        () => {
          const type = random.pick(['integer', 'bigint', 'numeric', 'text']);
          return done(both(table, `alter table %t alter column @n type ${type} using (@n)::text::${type}`));
        },
      ],
      [
        2,
        () => {
          here.hasNote = !here.hasNote;
          const type = random.pick([`text default 'x'`, `integer default 1`, `varchar(9) default 'x'`]);
          return done(
            both(
              table,
              here.hasNote ? `alter table %t add column note ${type}` : 'alter table %t drop column note',
            ),
          );
        },
      ],
      [
        2,
        () => {
          const key = random.pick(['id', 'id, code', 'code, id']);
          return done(
            alone(
              table,
              `alter table %t drop constraint shifting_key, add constraint shifting_key primary key (${key})`,
            ),
          );
        },
      ],
    ]);
  }

  function identityMove(): Move {
    // Not of a table with a generated column: since PostgreSQL 18 one whose identity is full cannot be updated any more.
    const table = random.pick(['full_rows', 'toasted', 'open_rows', 'shifting', 'shifting']);
    const identity = random.pick([
      'full',
      'default',
      ...(table === 'shifting' ? ['using index shifting_both'] : []),
    ]);
    const sql = alone(table, `alter table %t replica identity ${identity}`);
    return { sql, what: sql[0]!, reshapes: true };
  }

  function teamsMove(): Move {
    const user = random.pick(users);
    const sql = random.chance(0.5)
      ? `delete from teams where member = '${user}'`
      : `insert into teams values (${word(random)}, '${user}')`;
    return { sql: [sql], what: sql, reshapes: false };
  }

  return {
    namesOf,
    next: () =>
      random.weighted<Move>([
        [5, policyMove],
        [3, extraMove],
        [4, shiftMove],
        [2, identityMove],
        [0.5, teamsMove],
      ]),
  };
}

const partedTables = [
  { name: parted.root, policies: ['policy own'] },
  { name: parted.leaves[0]!, policies: ['policy low'] },
  { name: parted.leaves[1]!, policies: [] },
];
