// In charge of: what mails say: our texts, the project's, and what is said about those that cannot be used.
import { describe, expect, it } from 'vitest';
import type { Observation } from '../../../base/observe.ts';
import { openSettings } from '../../../engine/settings/live.ts';
import { mailKinds, mailNames } from './kinds.ts';
import { mailTextSettings, openMailTexts } from './texts.ts';

const data = {
  SiteURL: 'https://app.example.com',
  ConfirmationURL:
    'https://api.example.com/auth/v1/verify?token=abc&type=signup&redirect_to=https://app.example.com',
  Email: 'ada@example.com',
  Token: '123456',
  TokenHash: 'abc',
  Data: { name: 'Ada' },
  RedirectTo: 'https://app.example.com/welcome?a=b',
  NewEmail: 'new@example.com',
  SendingTo: 'new@example.com',
  OldEmail: 'old@example.com',
  Phone: '15551234567',
  OldPhone: '15557654321',
  Provider: 'github',
  FactorType: 'totp',
};

async function texts(email: unknown = {}, files: Readonly<Record<string, string>> = {}) {
  const observations: Observation[] = [];
  const settings = openSettings([mailTextSettings], { file: { auth: { email } }, environment: {} });
  const opened = await openMailTexts({
    config: settings.of(mailTextSettings),
    project: '/project',
    readFile: async (path) => files[path],
    observe: (observation) => observations.push(observation),
  });
  return { ...opened, settings, observations };
}

describe('the texts of a project that has none of its own', () => {
  it.each(mailNames)('%s has a subject and a body, and uses the names that it has', async (name) => {
    const { render, notices } = await texts();
    const { subject, html } = render(name, data);
    expect(notices).toEqual([]);
    expect(subject).toMatch(/^[A-Z0-9][^{}\n]+$/);
    expect(html).not.toMatch(/\{\{|ZgotmplZ/);
    const uses: readonly string[] = mailKinds[name].data;
    if (uses.includes('ConfirmationURL')) {
      expect(html).toContain(
        'href="https://api.example.com/auth/v1/verify?token=abc&amp;type=signup&amp;redirect_to=https://app.example.com"',
      );
    }
  });

  it('sends no notification', async () => {
    const { isEnabled } = await texts();
    expect(mailNames.filter((name) => isEnabled(name))).toEqual([
      'confirmation',
      'invite',
      'recovery',
      'magic_link',
      'email_change',
      'reauthentication',
    ]);
  });
});

describe('the project’s own texts', () => {
  it('come from content_path: a template’s from the project’s folder, a notification’s from supabase/', async () => {
    const { render, isEnabled } = await texts(
      {
        template: {
          invite: { subject: 'Hi {{ .Data.name }}', content_path: './supabase/templates/invite.html' },
        },
        notification: { password_changed: { enabled: true, content_path: './templates/changed.html' } },
      },
      {
        '/project/supabase/templates/invite.html':
          '<a href="{{ .SiteURL }}/auth/confirm?token_hash={{ .TokenHash }}&type=invite&next={{ .RedirectTo }}">Join</a>',
        '/project/supabase/templates/changed.html': 'Changed: {{ .Email }}',
      },
    );
    expect(render('invite', data)).toEqual({
      subject: 'Hi Ada',
      html: '<a href="https://app.example.com/auth/confirm?token_hash=abc&type=invite&next=https%3A%2F%2Fapp.example.com%2Fwelcome%3Fa%3Db">Join</a>',
    });
    expect(render('password_changed_notification', data).html).toBe('Changed: ada@example.com');
    expect(isEnabled('password_changed_notification')).toBe(true);
  });

  it('keep a subject to one line, whatever somebody is called', async () => {
    const { render } = await texts({ template: { invite: { subject: 'Hi {{ .Data.name }}' } } });
    expect(render('invite', { Data: { name: "O'Hara\r\nBcc: eve@example.com" } }).subject).toBe(
      "Hi O'Hara Bcc: eve@example.com",
    );
  });

  it('are refused at start where they cannot be used', async () => {
    const template = (invite: unknown) => texts({ template: { invite } });
    await expect(template({ content: '<p>\n{{ upper .Email }}' })).rejects.toThrow(
      '"[auth.email.template.invite].content", line 2, column 4: there is no function "upper".',
    );
    await expect(template({ content_path: './invite.html' })).rejects.toThrow(
      '[auth.email.template.invite].content_path is "./invite.html", but there is no file "/project/invite.html".',
    );
    await expect(template({ subject: 5 })).rejects.toThrow('"auth.email.template" in config.toml is');
  });

  it('are told about when they use what is not there', async () => {
    const { notices } = await texts({
      template: { invit: {}, invite: { content: '{{ .ConfirmationUrl }}' } },
    });
    expect(notices).toEqual([
      '[auth.email.template.invit] is no mail that is sent. Known: confirmation, invite, recovery, magic_link, email_change, reauthentication.',
      '[auth.email.template.invite] uses {{ .ConfirmationUrl }}, which this mail does not have: SiteURL, ConfirmationURL, Email, Token, TokenHash, Data, RedirectTo.',
    ]);
  });

  it('change while the program runs; one that cannot be used changes nothing', async () => {
    const { settings, render, observations } = await texts();
    const set = async (content: string) => {
      settings.setStored(new Map([['auth.email.template', { invite: { content } }]]));
      // The files are read in turns of the event loop.
      await new Promise((resolve) => setImmediate(resolve));
    };
    await set('A {{ .Email }}');
    expect(render('invite', data).html).toBe('A ada@example.com');
    await set('B {{ .Email');
    expect(render('invite', data).html).toBe('A ada@example.com');
    expect(observations).toEqual([
      {
        kind: 'mail.templates_refused',
        level: 'error',
        message:
          '"[auth.email.template.invite].content", line 1, column 3: this action has no end: `}}` is missing.',
      },
    ]);
  });
});
