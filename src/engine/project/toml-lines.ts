// In charge of: where in a TOML text each value stands, which the parser does not tell. The text is valid: the parser has read it.

/** Both from 1; columns in characters. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Dotted path → where its value begins; for a table where its header stands. Items of a list are `key.0`. */
export function tomlPositions(text: string): ReadonlyMap<string, Position> {
  const scan = new Scan(text);
  scan.document();
  return scan.found;
}

class Scan {
  readonly found = new Map<string, Position>();
  readonly #text: string;
  #at = 0;
  /** How many tables of an array of tables there are so far. */
  readonly #counts = new Map<string, number>();

  constructor(text: string) {
    this.#text = text.replace(/^\ufeff/, '');
  }

  document(): void {
    let table: readonly string[] = [];
    for (;;) {
      this.#skip(/[\s]*(?:#[^\n]*\s*)*/y);
      if (this.#at >= this.#text.length) return;
      if (this.#text[this.#at] !== '[') {
        this.#pair(table);
        continue;
      }
      const isArray = this.#text.startsWith('[[', this.#at);
      const start = this.#at;
      this.#at += isArray ? 2 : 1;
      table = this.#resolve(this.#key());
      if (isArray) table = this.#nextOf(table);
      this.#note(table, start);
      this.#skip(/[ \t]*\]{1,2}/y);
    }
  }

  /** In an array of tables a header means the last of them. */
  #resolve(parts: readonly string[]): readonly string[] {
    const path: string[] = [];
    for (const [index, part] of parts.entries()) {
      path.push(part);
      const count = this.#counts.get(path.join('.'));
      if (count !== undefined && index < parts.length - 1) path.push(String(count - 1));
    }
    return path;
  }

  #nextOf(table: readonly string[]): readonly string[] {
    const name = table.join('.');
    const count = this.#counts.get(name) ?? 0;
    this.#counts.set(name, count + 1);
    return [...table, String(count)];
  }

  #pair(table: readonly string[]): void {
    const path = [...table, ...this.#key()];
    this.#skip(/[ \t]*=[ \t]*/y);
    this.#value(path);
  }

  /** `a."b.c".d` */
  #key(): readonly string[] {
    const parts: string[] = [];
    for (;;) {
      this.#skip(/[ \t]*/y);
      const [text = ''] = this.#match(/"(?:\\.|[^"\\])*"|'[^']*'|[^\s.=\]"'#]+/y);
      parts.push(/^["']/.test(text) ? text.slice(1, -1) : text);
      this.#skip(/[ \t]*/y);
      if (this.#text[this.#at] !== '.' || text === '') return parts;
      this.#at += 1;
    }
  }

  #value(path: readonly string[]): void {
    this.#note(path, this.#at);
    const char = this.#text[this.#at];
    if (char === '[') this.#list(path);
    else if (char === '{') this.#inlineTable(path);
    else {
      this.#skip(
        /"""(?:\\[\s\S]|[^\\])*?"{3,5}(?!")|'''[\s\S]*?'{3,5}(?!')|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|[^\s,\]}#][^,\]}#\n]*/y,
      );
    }
  }

  #list(path: readonly string[]): void {
    this.#at += 1;
    for (let index = 0; ; index += 1) {
      this.#skip(/(?:[\s,]|#[^\n]*)*/y);
      if (this.#at >= this.#text.length || this.#text[this.#at] === ']') break;
      const before = this.#at;
      this.#value([...path, String(index)]);
      if (this.#at === before) break;
    }
    this.#at += 1;
  }

  #inlineTable(path: readonly string[]): void {
    this.#at += 1;
    for (;;) {
      this.#skip(/(?:[\s,]|#[^\n]*)*/y);
      if (this.#at >= this.#text.length || this.#text[this.#at] === '}') break;
      const before = this.#at;
      this.#pair(path);
      if (this.#at === before) break;
    }
    this.#at += 1;
  }

  #note(path: readonly string[], at: number): void {
    const before = this.#text.slice(0, at);
    const name = path.join('.');
    if (this.found.has(name)) return;
    this.found.set(name, {
      line: before.split('\n').length,
      column: [...before.slice(before.lastIndexOf('\n') + 1)].length + 1,
    });
  }

  #match(pattern: RegExp): readonly string[] {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found !== null) this.#at = pattern.lastIndex;
    return found ?? [];
  }

  #skip(pattern: RegExp): void {
    this.#match(pattern);
  }
}
