// In charge of: the page at `GET /` in a browser. What runs here, where its services are, and a snippet to copy.
import { createHash } from 'node:crypto';
import { type Html, html, jsString, trusted } from './html.ts';
import { landingIcon, landingScript, landingStyle } from './landing-assets.ts';

/** Everything the page says. Nothing is looked up while it is rendered. */
export interface LandingFacts {
  /** With true the page is one sentence: no names, no versions, no keys. */
  readonly production: boolean;
  /** Millrace's own version: `0.1.0`. */
  readonly version: string;
  readonly engine: 'embedded' | 'system' | 'external' | 'pglite';
  /** `17.10` */
  readonly postgresVersion: string;
  /** The `project_id` of config.toml. */
  readonly project: string;
  readonly since: Date;
  /** `http://127.0.0.1:54321`, without a slash at the end. */
  readonly apiUrl: string;
  readonly publishableKey: string;
  /** The address of the database for people, with its development password; left out when it is not ours to show. */
  readonly databaseUrl?: string | undefined;
  /** A table or view that anyone may read, for the snippet; undefined when none is exposed. */
  readonly table?: { readonly schema: string; readonly name: string } | undefined;
  readonly services: readonly LandingService[];
  /** Path of the example's page: `/example/`; undefined when the project has none. */
  readonly examplePath?: string | undefined;
  /** Path of the inbox of development; undefined where there is none. */
  readonly inboxPath?: string | undefined;
  /** Pages on this machine's disk. */
  readonly docs: readonly { readonly title: string; readonly file: string }[];
  readonly readmeUrl?: string | undefined;
}

export interface LandingService {
  /** `rest` */
  readonly name: string;
  /** `Data API` */
  readonly title: string;
  readonly url: string;
  readonly ok: boolean;
  /** What its health says: `answers`, `the database cannot be reached`. */
  readonly sentence: string;
}

/** The page, whole: it asks for nothing else. Send it with `landingCsp()`. */
export function renderLanding(facts: LandingFacts): string {
  return facts.production ? renderQuietPage().text : renderPage(facts).text;
}

/**
 * The Content-Security-Policy of the page: its own style and script by their hash, and nothing else.
 * Both are constants, so the policy is the same for every answer.
 */
export function landingCsp(): string {
  return [
    "default-src 'none'",
    `script-src '${hashOf(landingScript)}'`,
    `style-src '${hashOf(landingStyle)}'`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

/** What a person pastes into a file: reads five rows of a real table. */
export function renderSnippet(facts: Pick<LandingFacts, 'apiUrl' | 'publishableKey' | 'table'>): string {
  const schema =
    facts.table && facts.table.schema !== 'public' ? `.schema(${jsString(facts.table.schema)})` : '';
  return [
    `import { createClient } from '@supabase/supabase-js';`,
    '',
    `const supabase = createClient(`,
    `  ${jsString(facts.apiUrl)},`,
    `  ${jsString(facts.publishableKey)},`,
    ');',
    '',
    `const { data, error } = await supabase`,
    `  ${schema}.from(${jsString(facts.table?.name ?? 'your_table')})`,
    `  .select()`,
    `  .limit(5);`,
    '',
    `console.info(error ?? data);`,
  ].join('\n');
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

function renderPage(facts: LandingFacts): Html {
  const ailing = facts.services.filter((service) => !service.ok).length;
  return renderDocument(
    `${facts.project} · Millrace`,
    html`
<header>
  ${renderMark()}
  <div>
    <h1>${facts.project}</h1>
    <p class="lead">${ailing === 0 ? 'is up and answers.' : `is up, but ${ailing} of ${facts.services.length} services ${ailing === 1 ? 'needs' : 'need'} a look.`}</p>
  </div>
</header>
<main>
<dl class="facts">
  <div><dt>Program</dt><dd>Millrace ${facts.version}</dd></div>
  <div><dt>Database</dt><dd>PostgreSQL ${facts.postgresVersion} <span class="muted">${facts.engine}</span></dd></div>
  <div><dt>Since</dt><dd><time datetime="${facts.since.toISOString()}">${facts.since.toISOString().slice(0, 16).replace('T', ' ')} UTC</time></dd></div>
</dl>
${facts.examplePath === undefined ? undefined : renderExampleLink(facts.examplePath)}
${facts.inboxPath === undefined ? undefined : renderInboxLink(facts.inboxPath)}
<section>
  <h2>Read a row</h2>
  <p>In any folder with a <code>package.json</code>:</p>
  ${renderCopyable('install', 'npm install @supabase/supabase-js')}
  <p>Then save this as <code>try.mjs</code> and run <code>node try.mjs</code>:</p>
  ${renderCopyable('snippet', renderSnippet(facts))}
  ${facts.table === undefined ? html`<p class="note">No table is readable with the publishable key yet. Grant one to <code>anon</code>, and put its name where <code>your_table</code> stands.</p>` : undefined}
</section>
<section>
  <h2>Services</h2>
  <ul class="services">${facts.services.map(renderService)}</ul>
</section>
<section>
  <h2>To connect</h2>
  <dl class="values">
    ${renderValue('API URL', 'api-url', facts.apiUrl)}
    ${renderValue('Publishable key', 'publishable-key', facts.publishableKey)}
    ${facts.databaseUrl === undefined ? undefined : renderValue('Database', 'database-url', facts.databaseUrl)}
  </dl>
  <p class="muted">The publishable key is meant for browsers: what it may do, your policies and grants decide. Secret keys are printed by <code>millrace status</code>, never here.</p>
</section>
${renderDocs(facts)}
</main>
<p id="said" role="status" class="said"></p>
<script>${trusted(landingScript)}</script>`,
  );
}

function renderQuietPage(): Html {
  return renderDocument(
    'Millrace',
    html`<main class="quiet">${renderMark()}<p>This is an API. It is up.</p></main>`,
  );
}

function renderDocument(title: string, body: Html): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${title}</title>
<link rel="icon" href="data:image/svg+xml,${encodeURIComponent(landingIcon)}">
<style>${trusted(landingStyle)}</style>
</head>
<body>${body}
</body>
</html>
`;
}

function renderExampleLink(path: string): Html {
  return html`<a class="example" href="${path}"><span><strong>Open the example’s page</strong><span class="muted">supabase-js in your browser, on this database</span></span><span aria-hidden="true" class="arrow">→</span></a>`;
}

function renderInboxLink(path: string): Html {
  return html`<a class="example" href="${path}"><span><strong>Open the inbox</strong><span class="muted">the mails and texts of this project, which go nowhere else</span></span><span aria-hidden="true" class="arrow">→</span></a>`;
}

function renderService(service: LandingService): Html {
  const health = service.ok ? service.sentence || 'healthy' : `not healthy: ${service.sentence}`;
  return html`<li class="${service.ok ? 'ok' : 'bad'}"><span class="dot" aria-hidden="true"></span><span class="name">${service.title}</span><code>${service.url}</code><span class="health">${health}</span></li>`;
}

function renderCopyable(id: string, text: string): Html {
  return html`<div class="code"><pre tabindex="0"><code id="${id}">${text}</code></pre><button type="button" data-copy="${id}">Copy</button></div>`;
}

function renderValue(title: string, id: string, value: string): Html {
  return html`<div><dt>${title}</dt><dd><code id="${id}">${value}</code><button type="button" data-copy="${id}" aria-label="Copy ${title}">Copy</button></dd></div>`;
}

function renderDocs(facts: LandingFacts): Html | undefined {
  if (facts.docs.length === 0 && facts.readmeUrl === undefined) return undefined;
  return html`<section>
  <h2>To read</h2>
  <ul class="docs">
    ${facts.readmeUrl === undefined ? undefined : html`<li><a href="${facts.readmeUrl}" rel="noreferrer">README</a></li>`}
    ${facts.docs.map((page) => html`<li>${page.title} <code>${page.file}</code></li>`)}
  </ul>
</section>`;
}

function renderMark(): Html {
  return html`<span class="mark">${trusted(landingIcon)}</span>`;
}
