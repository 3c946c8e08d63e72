// In charge of: the text of a mail for programs and people that do not read HTML. Links stand behind their words: `Sign in ( https://… )`.
// That is the form which Mailpit gives to whoever asks for the text of such a mail, and which people's tests look for.

/** Text of HTML, by its tags alone: no style is read. Never markup: what comes out is text. In one pass, whatever is written. */
export function plainTextOf(html: string): string {
  const out = new Lines();
  /** The element whose content is nobody's to read, up to its end. */
  let hidden: string | undefined;
  let close = -1;
  for (let at = 0; at < html.length; ) {
    const open = html.indexOf('<', at);
    const text = html.slice(at, open === -1 ? html.length : open);
    if (hidden === undefined && text !== '') out.text(decodeHtml(text));
    if (open === -1) break;
    if (html.startsWith('<!--', open)) {
      const end = html.indexOf('-->', open + 4);
      if (end === -1) break;
      at = end + 3;
      continue;
    }
    // Looked for anew only where the last one is behind, so that many `<` without an end cost no more than one.
    if (close !== Number.POSITIVE_INFINITY && close < open) close = html.indexOf('>', open);
    if (close === -1) close = Number.POSITIVE_INFINITY;
    const name = /^<(\/?[a-z!][a-z0-9]{0,15})/i.exec(html.slice(open, open + 20))?.[1]?.toLowerCase();
    if (name === undefined || close === Number.POSITIVE_INFINITY) {
      if (hidden === undefined) out.text('<');
      at = open + 1;
      continue;
    }
    if (hidden === undefined) {
      if (hiddenElements.has(name)) hidden = name;
      else out.tag(name, html.slice(open, close));
    } else if (name === `/${hidden}`) hidden = undefined;
    at = close + 1;
  }
  return out.toString();
}

/** The text as it grows. */
class Lines {
  /** What stands before the open link, or the one before. */
  readonly #before: string[] = [];
  #text = '';
  /** Where the open link leads; its words are the text since. */
  #href: string | undefined;

  text(text: string): void {
    this.#text += text.replace(/\s+/g, ' ');
  }

  tag(name: string, tag: string): void {
    if (name === 'a') this.#beginLink(hrefOf(tag));
    else if (name === '/a') this.#endLink();
    else if (name === 'br') this.#text += '\n';
    else if (name === 'li') this.#text += '* ';
    else if (name === '/td' || name === '/th') this.#text += ' ';
    else if (name === '/tr' || name === '/li') this.#text += '\n';
    else if (paragraphEnds.has(name)) this.#text += '\n\n';
  }

  #beginLink(href: string): void {
    this.#before.push(this.#text);
    this.#text = '';
    this.#href = href;
  }

  #endLink(): void {
    const href = this.#href;
    this.#href = undefined;
    if (href === undefined || href === '' || href.startsWith('#')) return;
    const words = this.#text.trim();
    if (words !== href) this.#before.push(`${words} ( ${href} )`);
    else this.#before.push(words);
    this.#text = '';
  }

  toString(): string {
    return [...this.#before, this.#text]
      .join('')
      .replace(/[ \t\u00a0]+/g, ' ')
      .replace(/ ?\n ?/g, '\n')
      .replace(/\n{3,}/g, '\n\n')
      .trim();
  }
}

function hrefOf(tag: string): string {
  const match = /\shref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/i.exec(tag.slice(0, maxTagLength));
  return decodeHtml(match?.[1] ?? match?.[2] ?? match?.[3] ?? '').trim();
}

const maxTagLength = 10_000;
const hiddenElements: ReadonlySet<string> = new Set(['head', 'style', 'script', 'title']);
const paragraphEnds: ReadonlySet<string> = new Set(
  ['p', 'div', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'table', 'ul', 'ol', 'blockquote', 'section'].map(
    (name) => `/${name}`,
  ),
);

function decodeHtml(text: string): string {
  return text.replace(
    /&(?:#(\d{1,7})|#x([\da-f]{1,6})|(amp|lt|gt|quot|apos|nbsp));/gi,
    (all, decimal?: string, hex?: string, name?: string) => {
      if (name !== undefined) return entities[name.toLowerCase()] ?? all;
      const code = decimal === undefined ? Number.parseInt(hex!, 16) : Number(decimal);
      return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : all;
    },
  );
}

const entities: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: ' ',
};
