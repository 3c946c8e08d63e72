// In charge of: what a run has found, as text for a person and as the project's section of `docs/real-projects.md`.
import { readFile, writeFile } from 'node:fs/promises';
import type { ChainReport, Refused } from './chain-run.ts';
import type { ProjectReport } from './project.ts';

export function renderText(report: ProjectReport): string {
  const lines = [
    `${report.name}${report.commit === undefined ? '' : ` at ${report.commit.slice(0, 12)}`} on ${report.engine}`,
    ...figures(report).map(([name, value]) => `  ${name.padEnd(12)} ${value}`),
    ...(report.reset?.difference ?? []).slice(0, shownLines).map((line) => `    ${line}`),
    ...(report.types?.errors ?? []).slice(0, shownLines).map((line) => `    ${line}`),
    ...(report.tests?.failures ?? []).map(
      ({ file, name, reason }) => `    ${file}: ${name}${because(reason)}`,
    ),
    ...unlisted(report.chains).map(
      ({ file, line, as, target, code, message }) =>
        `    ${file}:${line} ${target} as ${as}: ${code} ${message}`,
    ),
    ...report.notices.map((notice) => `  - ${notice}`),
    ...report.problems.map((problem) => `  ! ${problem}`),
  ];
  return lines.join('\n');
}

/** Puts the project's section into the file, in the place of the one that is there. */
export async function writeSection(path: string, report: ProjectReport): Promise<void> {
  const text = await readFile(path, 'utf8').catch(() => head);
  const [first = head, ...sections] = text.split(/^(?=## )/m);
  const own = `${renderSection(report)}\n`;
  const title = own.slice(0, own.indexOf('\n') + 1);
  const others = sections
    .filter((section) => !section.startsWith(title))
    .map((section) => `${section.trimEnd()}\n`);
  const all = [...others, own].sort((a, b) => (a < b ? -1 : 1));
  await writeFile(path, `${first.trimEnd()}\n\n${all.join('\n')}`);
}

const head = `# Real projects

<!-- Made by \`npm run real-project -- CHECKOUT --report docs/real-projects.md\`, a section a project. -->

Public projects that nobody here wrote, run from copies outside of this repository. For each: all migrations and seeds; a reset that
gives the same schema, compared as text; the generated types under \`tsc --strict\`; its pgTAP files; and every chain of supabase-js
that a parser finds in its code, built on the real client and sent as a visitor and as somebody who has signed up. What the
code does not tell is a placeholder of a fitting type, so that most requests find no row: what counts is that no table, column, relationship,
function or operator is missing (PGRST1xx, PGRST2xx, 42xxx). A refusal for want of rights (42501) is held against
the database: it counts as the project's own when the role has no right on the object that is named, when the table's
policies refuse the row, or when a function of the project raises it.

What was given beside the checkout, by \`--before-tests\` unless said: basejump gets \`basejump-supabase_test_helpers\` 0.0.6 by \`pgtle.install_extension\` from
its repository's file, which its own set-up fetches from database.dev; liam its own \`setup-testing.sql\`; sendapp an \`.env\` with the ports that its
config.toml asks for, and, in the place of the migration that fetches dbdev from database.dev, one that installs the same extensions from text: the machine of
these runs has no way out. One file of capgo wants that its seeds' user has signed in within the last five minutes, so tests come first.
`;

function renderSection(report: ProjectReport): string {
  const { chains, tests } = report;
  const reasons = new Map<string, number>();
  for (const { code, reason } of chains?.refused ?? []) {
    const line = `${code}: ${reason ?? '**not explained**'}`;
    reasons.set(line, (reasons.get(line) ?? 0) + 1);
  }
  return [
    `## ${report.name}`,
    '',
    `Commit \`${report.commit ?? 'unknown'}\`, ${report.engine}.`,
    '',
    '| | |',
    '|---|---|',
    ...figures(report).map(([name, value]) => `| ${name} | ${value} |`),
    '',
    ...list(
      'Refused requests:',
      [...reasons].map(([line, count]) => `${count} × ${line}`),
    ),
    ...list(
      'pgTAP that fails:',
      (tests?.failures ?? []).map(({ file, name, reason }) => `\`${file}\`, ${name}${because(reason)}`),
    ),
    ...list('Not sent:', unresolvableReasons(chains)),
    ...list('Said at start:', report.notices),
  ]
    .join('\n')
    .trimEnd();
}

function list(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [title, '', ...lines.map((line) => `- ${line}`), ''];
}

function figures(report: ProjectReport): readonly (readonly [name: string, value: string])[] {
  const { migrations, seeds, reset, official, types, tests, chains } = report;
  const rows: [string, string | undefined][] = [
    ['migrations', `${migrations.applied} of ${migrations.files}`],
    ['seeds', seeds.length === 0 ? 'none' : seeds.join(', ')],
    [
      'reset',
      reset &&
        (reset.difference.length === 0
          ? `the same schema (${reset.facts} facts)`
          : `${reset.difference.length} of ${reset.facts} facts differ`),
    ],
    [
      'official CLI',
      official &&
        `\`db push\` ${official.upToDate ? 'is up to date' : '**finds something to do**'}, \`migration list\` has ${official.both} in both columns and ${official.onlyOne} in one, \`gen types typescript\` ${official.types === 'equal' ? 'is the same up to white space' : `**differs**: ${official.types.differs.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ')}`}`,
    ],
    [
      'types',
      types &&
        (types.errors.length === 0 ? `compile (${types.lines} lines)` : `${types.errors.length} errors`),
    ],
    ['pgTAP', tests && `${tests.passed} of ${tests.total} in ${tests.files} files`],
    ['chains', chains && chainFigures(chains)],
    ['signing in', chains?.signIn && `refused (${chains.signIn.refusal})${because(chains.signIn.reason)}`],
  ];
  return rows.filter((row): row is [string, string] => row[1] !== undefined);
}

function chainFigures(chains: ChainReport): string {
  const { found, distinct, requests, refused, unresolvable } = chains;
  const open = unlisted(chains).length;
  const codes = Object.entries(chains.codes)
    .sort(([, a], [, b]) => b - a)
    .map(([code, count]) => `${count} × ${code}`);
  return `${found} found, ${unresolvable.length} not resolvable, ${distinct} different ones sent in ${requests} requests: ${codes.join(', ')}; refused ${refused.length}, without a reason ${open}`;
}

function unlisted(chains: ChainReport | undefined): readonly Refused[] {
  return chains?.refused.filter(({ reason }) => reason === undefined) ?? [];
}

function unresolvableReasons(chains: ChainReport | undefined): readonly string[] {
  const counts = new Map<string, number>();
  for (const { why } of chains?.unresolvable ?? []) counts.set(why, (counts.get(why) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a).map(([why, count]) => `${count} × ${why}`);
}

function because(reason: string | undefined): string {
  return reason === undefined ? '' : `: ${reason}`;
}

const shownLines = 40;
