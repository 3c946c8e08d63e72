// In charge of: what each mail says: the project's own subject and template where config.toml has them, else ours. Loaded whole or not at all.
import { join } from 'node:path';
import { errorMessage, OperatorError } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import { parsed, type ValuesOf } from '../../../base/settings.ts';
import type { Live } from '../../../engine/settings/live.ts';
import { type MailName, mailKinds, mailNames } from './kinds.ts';
import { loadTemplate, type Template } from './template.ts';
import type { TemplateData } from './template-run.ts';

/** `[auth.email.template.<name>]` or `[auth.email.notification.<name>]`. */
export interface MailSection {
  readonly enabled: boolean;
  readonly subject: string | undefined;
  readonly content: string | undefined;
  readonly contentPath: string | undefined;
}

export type MailSections = Readonly<Record<string, MailSection>>;

const expects =
  'a table of mails, each with text in `subject`, `content` or `content_path`, and `enabled` for a notification';

export const mailTextSettings = {
  template: parsed<MailSections>(
    {
      key: 'auth.email.template',
      default: {},
      live: true,
      sentence:
        'Subject and text of each mail, `[auth.email.template.<name>]` with `subject` and `content_path` (from the project’s folder) or `content`; names: confirmation, invite, recovery, magic_link, email_change, reauthentication. The syntax is that of docs/mail-templates.md.',
    },
    expects,
    parseSections,
  ),
  notification: parsed<MailSections>(
    {
      key: 'auth.email.notification',
      default: {},
      live: true,
      sentence:
        'Mails about changes of an account, `[auth.email.notification.<name>]` with `enabled` (default false), `subject` and `content_path` (from the folder supabase/) or `content`; names: password_changed, email_changed, phone_changed, identity_linked, identity_unlinked, mfa_factor_enrolled, mfa_factor_unenrolled.',
    },
    expects,
    parseSections,
  ),
};

function parseSections(raw: unknown): MailSections | undefined {
  if (!isTable(raw)) return undefined;
  const sections: Record<string, MailSection> = {};
  for (const [name, value] of Object.entries(raw)) {
    if (!isTable(value)) return undefined;
    const { enabled, subject, content, content_path: path } = value;
    if ([subject, content, path].some((text) => text !== undefined && typeof text !== 'string'))
      return undefined;
    if (enabled !== undefined && typeof enabled !== 'boolean' && enabled !== 'true' && enabled !== 'false')
      return undefined;
    const text = (found: unknown) => (typeof found === 'string' && found !== '' ? found : undefined);
    sections[name] = {
      enabled: enabled === true || enabled === 'true',
      subject: text(subject),
      content: text(content),
      contentPath: text(path),
    };
  }
  return sections;
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export interface MailTexts {
  /** Subject and HTML. The subject is one line, whatever the data. @throws TemplateTooLarge */
  render(name: MailName, data: TemplateData): { readonly subject: string; readonly html: string };
  /** Whether a mail is sent at all: a notification only where it is enabled. */
  isEnabled(name: MailName): boolean;
  /** Sentences for the start. */
  readonly notices: readonly string[];
  close(): void;
}

export interface MailTextsOptions {
  readonly config: Live<ValuesOf<typeof mailTextSettings>>;
  /** The folder that holds `supabase/`. */
  readonly project: string;
  /** The text of a file; undefined when there is none. */
  readonly readFile: (path: string) => Promise<string | undefined>;
  readonly observe: Observe;
}

interface Loaded {
  readonly templates: ReadonlyMap<MailName, { readonly subject: Template; readonly html: Template }>;
  readonly notices: readonly string[];
}

/**
 * Loads every mail's text. Texts that change while the program runs are loaded anew; where that fails it is reported, and the last
 * ones that could be loaded stay.
 * @throws OperatorError for a template that cannot be used, with its line and column, or a file that is not there.
 */
export async function openMailTexts(options: MailTextsOptions): Promise<MailTexts> {
  const { config, observe } = options;
  let loaded = await load(options);
  let latest = 0;
  const reload = async () => {
    const mine = ++latest;
    try {
      const next = await load(options);
      // Of two changes in short order the second one counts, whichever is read first.
      if (mine === latest) loaded = next;
    } catch (error) {
      observe({ kind: 'mail.templates_refused', level: 'error', message: errorMessage(error) });
    }
  };
  const stop = config.onChange(() => void reload());
  return {
    notices: loaded.notices,
    isEnabled: (name) => {
      const kind = mailKinds[name];
      return kind.section === 'template' || config.now().notification[kind.name]?.enabled === true;
    },
    render(name, data) {
      const { subject, html } = loaded.templates.get(name)!;
      return { subject: oneLine(subject.render(data)), html: html.render(data) };
    },
    close: stop,
  };
}

async function load({ config, project, readFile }: MailTextsOptions): Promise<Loaded> {
  const values = config.now();
  const notices: string[] = [];
  for (const section of ['template', 'notification'] as const) {
    const known = mailNames
      .filter((name) => mailKinds[name].section === section)
      .map((name) => mailKinds[name].name);
    for (const name of Object.keys(values[section]).filter(
      (candidate) => !known.some((one) => one === candidate),
    ))
      notices.push(`[auth.email.${section}.${name}] is no mail that is sent. Known: ${known.join(', ')}.`);
  }
  const templates: (readonly [MailName, { readonly subject: Template; readonly html: Template }])[] = [];
  for (const name of mailNames) {
    const kind = mailKinds[name];
    const key = `[auth.email.${kind.section}.${kind.name}]`;
    const own = values[kind.section][kind.name];
    // Upstream reads the files of notifications that are not sent no more than we do.
    const used = kind.section === 'notification' && own?.enabled !== true ? undefined : own;
    const subject = loadTemplate({ name: `${key}.subject`, text: used?.subject ?? kind.subject }, 'text');
    const body = used === undefined ? undefined : await contentOf(used, key, kind.section, project, readFile);
    const html = loadTemplate(body ?? { name: `${key}.content`, text: kind.html }, 'html');
    for (const used of new Set([...subject.names, ...html.names])) {
      // Not refused: upstream sends such a mail with nothing in that place.
      if (!kind.data.some((known) => known === used))
        notices.push(`${key} uses {{ .${used} }}, which this mail does not have: ${kind.data.join(', ')}.`);
    }
    templates.push([name, { subject, html }]);
  }
  return { templates: new Map(templates), notices };
}

/**
 * The project's own text. A template's path begins at the project's folder, a notification's at `supabase/`.
 * Source: supabase/cli apps/cli-go/pkg/config/config.go, `resolve`.
 */
async function contentOf(
  { content, contentPath }: MailSection,
  key: string,
  section: 'template' | 'notification',
  project: string,
  readFile: MailTextsOptions['readFile'],
): Promise<{ readonly name: string; readonly text: string } | undefined> {
  if (contentPath === undefined)
    return content === undefined ? undefined : { name: `${key}.content`, text: content };
  const base = section === 'template' ? project : join(project, 'supabase');
  const path = contentPath.startsWith('/') ? contentPath : join(base, contentPath);
  const text = await readFile(path);
  if (text === undefined) {
    throw new OperatorError(
      `${key}.content_path is "${contentPath}", but there is no file "${path}".`,
      section === 'template'
        ? 'The path begins at the folder that holds supabase/: ./supabase/templates/….html'
        : 'The path begins at the folder supabase/: ./templates/….html',
    );
  }
  if (text.length > maxTemplateLength)
    throw new OperatorError(
      `${key}.content_path is "${contentPath}", which is longer than ${maxTemplateLength} characters.`,
    );
  return { name: contentPath, text };
}

/** A header is one line; what a person calls itself must not begin another one (CWE-93). */
function oneLine(subject: string): string {
  return subject
    .replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')
    .trim()
    .slice(0, maxSubjectLength);
}

/** Source: supabase/auth internal/conf/configuration.go, TemplateMaxSize. */
const maxTemplateLength = 1_000_000;
const maxSubjectLength = 500;
