// In charge of: what the landing page says, to whom, and what it must never say.
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type LandingFacts, landingCsp, renderLanding, renderSnippet } from './landing.ts';

const facts: LandingFacts = {
  production: false,
  version: '0.1.0',
  engine: 'embedded',
  postgresVersion: '17.10',
  project: 'tool-library',
  since: new Date('2026-06-12T18:15:00Z'),
  apiUrl: 'http://127.0.0.1:54321',
  publishableKey: 'sb_publishable_example',
  databaseUrl: 'postgresql://postgres:postgres@127.0.0.1:54322/postgres',
  table: { schema: 'public', name: 'tools' },
  services: [
    { name: 'rest', title: 'Data API', url: 'http://127.0.0.1:54321/rest/v1', ok: true, sentence: '' },
  ],
  examplePath: '/example/',
  docs: [{ title: 'Architecture', file: '/srv/millrace/docs/architecture.md' }],
  readmeUrl: 'https://example.org/README.md',
};

describe('GET / in a browser', () => {
  it('says what runs here', () => {
    const page = renderLanding(facts);
    for (const said of [
      'tool-library',
      'is up and answers.',
      'Millrace 0.1.0',
      'PostgreSQL 17.10',
      'embedded',
      '2026-06-12 18:15 UTC',
      'http://127.0.0.1:54321/rest/v1',
      'sb_publishable_example',
      'href="/example/"',
      '/srv/millrace/docs/architecture.md',
    ])
      expect(page).toContain(said);
  });

  it('asks for nothing else: no address in a place that a browser loads from', () => {
    const loads = [
      ...renderLanding(facts).matchAll(/<(?:script|img|link|iframe|source)\b[^>]*?(?:src|href)="([^"]*)"/g),
    ];
    expect(loads.map(([, address]) => address!.slice(0, 5))).toEqual(['data:']);
  });

  it('shows an ailing service with what its health says', () => {
    const service = { ...facts.services[0]!, ok: false, sentence: 'the database cannot be reached' };
    const page = renderLanding({ ...facts, services: [service] });
    expect(page).toContain('not healthy: the database cannot be reached');
    expect(page).toContain('1 of 1 services needs a look');
  });

  it('escapes every fact', () => {
    const evil = `<script>alert("'x'")</script>`;
    const page = renderLanding({
      ...facts,
      version: evil,
      postgresVersion: evil,
      project: evil,
      apiUrl: evil,
      publishableKey: evil,
      databaseUrl: evil,
      table: { schema: evil, name: evil },
      services: [{ name: evil, title: evil, url: evil, ok: false, sentence: evil }],
      examplePath: `"${evil}`,
      docs: [{ title: evil, file: evil }],
      readmeUrl: `"${evil}`,
    });
    expect(page).not.toContain('<script>alert');
    expect(page.match(/<script/g)).toHaveLength(1);
    expect(page).not.toContain('href=""');
  });

  it('says that no table is readable when none is', () => {
    expect(renderLanding({ ...facts, table: undefined })).toContain(
      'No table is readable with the publishable key yet',
    );
  });

  it('is one sentence in production', () => {
    const page = renderLanding({ ...facts, production: true });
    expect(page).toContain('This is an API. It is up.');
    for (const secret of [
      'sb_publishable_example',
      'postgres',
      'tool-library',
      '0.1.0',
      '54321',
      'embedded',
      '<script',
    ])
      expect(page).not.toContain(secret);
  });
});

describe('the landing page’s Content-Security-Policy', () => {
  it.each([
    ['script', facts],
    ['style', facts],
    ['style', { ...facts, production: true }],
  ])('allows the %s that stands in the page, by its hash', (tag, given) => {
    const [, text] = new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`).exec(renderLanding(given))!;
    const hash = createHash('sha256').update(text!).digest('base64');
    expect(landingCsp()).toContain(`${tag}-src 'sha256-${hash}'`);
  });

  it('allows nothing by word', () => {
    expect(landingCsp()).toContain("default-src 'none'");
    expect(landingCsp()).not.toMatch(/unsafe|\*|https?:/);
  });
});

describe('the snippet', () => {
  it('reads a real table with the real address and key', () => {
    expect(renderSnippet(facts)).toBe(`import { createClient } from '@supabase/supabase-js';

const supabase = createClient(
  'http://127.0.0.1:54321',
  'sb_publishable_example',
);

const { data, error } = await supabase
  .from('tools')
  .select()
  .limit(5);

console.info(error ?? data);`);
  });

  it('names the schema when it is not public', () => {
    expect(renderSnippet({ ...facts, table: { schema: 'shop', name: `the "film's"` } })).toContain(
      `  .schema('shop').from('the "film\\'s"')\n`,
    );
  });
});
