// In charge of: the inbox as a web page: a list, and one message. No script; what a mail holds runs in a frame that may do nothing.
import { type Html, html, trusted } from '../pages/html.ts';
import type { Message } from './store.ts';

/** For the pages of the inbox itself. */
export const pageCsp =
  "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/** For a mail's own HTML: no script, no form, an origin of its own; pictures and styles as a mail program shows them. */
export const mailCsp =
  "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src http: https: data:; style-src 'unsafe-inline' http: https:; font-src http: https: data:; form-action 'none'; frame-ancestors 'self'";

export function renderList(base: string, messages: readonly Message[], query: string): string {
  const rows = messages.map(
    (message) => html`<tr class="${message.seen ? '' : 'new'}">
<td>${time(message)}</td><td>${message.recipient}</td>
<td><a href="${base}/message/${message.id}">${message.subject === '' ? firstLine(message.text) : message.subject}</a></td>
<td>${message.medium === 'sms' ? 'SMS' : message.kind}</td></tr>
`,
  );
  const empty = html`<p class="empty">${query === '' ? 'Nothing has been sent yet. Mails and SMS of this project come here instead of going out.' : 'Nothing matches.'}</p>`;
  const table = html`<table><thead><tr><th>Sent</th><th>To</th><th>Subject</th><th>About</th></tr></thead><tbody>
${rows}</tbody></table>`;
  return page(
    'Inbox',
    html`<header><h1><a href="${home(base)}">Inbox</a></h1>
<form method="get" action="${home(base)}"><input name="query" value="${query}" placeholder="to:ada@example.com" aria-label="Search"></form>
<form method="post" action="${base}/delete"><button>Delete all</button></form></header>
${messages.length === 0 ? empty : table}`,
    query === '' ? html`<meta http-equiv="refresh" content="5">` : undefined,
  );
}

export function renderMessage(base: string, message: Message): string {
  const body =
    message.html === ''
      ? html`<pre>${message.text}</pre>`
      : html`<iframe title="The mail" sandbox="allow-popups allow-popups-to-escape-sandbox" src="${base}/view/${message.id}.html?embed=1"></iframe>
<details><summary>As text</summary><pre>${message.text}</pre></details>`;
  return page(
    message.subject === '' ? 'SMS' : message.subject,
    html`<header><h1><a href="${home(base)}">Inbox</a></h1>
<form method="post" action="${base}/delete"><input type="hidden" name="id" value="${message.id}"><button>Delete</button></form></header>
<h2>${message.subject}</h2>
<p class="facts">${message.medium === 'sms' ? 'SMS' : html`From ${message.senderName} &lt;${message.sender}&gt;`} to <b>${message.recipient}</b>, ${time(message)} (${message.kind})</p>
${body}`,
  );
}

function page(title: string, body: Html, head?: Html): string {
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title>${head}
<style>${trusted(style)}</style></head><body>
${body}
</body></html>
`.text;
}

function home(base: string): string {
  return base === '' ? '/' : base;
}

function time({ createdAt }: Message): string {
  return `${createdAt.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

function firstLine(text: string): string {
  return text.split('\n')[0]!.slice(0, 80) || '(nothing)';
}

const style = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; }
header { display: flex; gap: 1rem; align-items: center; flex-wrap: wrap; }
h1 { font-size: 1.2rem; margin-right: auto; } h1 a { color: inherit; text-decoration: none; }
table { width: 100%; border-collapse: collapse; } th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid #8884; }
tr.new { font-weight: 600; } td:first-child { white-space: nowrap; } .facts, .empty { opacity: .75; }
iframe { width: 100%; height: 32rem; border: 1px solid #8884; background: #fff; } pre { white-space: pre-wrap; overflow-wrap: anywhere; }
input, button { font: inherit; padding: .3rem .6rem; }
`;
