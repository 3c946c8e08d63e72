// In charge of: where clamd listens, as an operator writes it.

export type ClamdAddress = { readonly path: string } | { readonly host: string; readonly port: number };

/** Undefined: it is none. */
export function parseClamdAddress(text: string): ClamdAddress | undefined {
  const [, path] = /^unix:(?:\/\/)?(\/.+)$/.exec(text) ?? [];
  if (path !== undefined) return { path };
  const [, name, digits] = /^tcp:\/\/(\[[0-9a-f:.]+\]|[^[\]:/\s]+):(\d{1,5})\/?$/i.exec(text) ?? [];
  const port = Number(digits);
  if (name === undefined || port < 1 || port > 65_535) return undefined;
  return { host: name.replace(/^\[(.*)\]$/, '$1'), port };
}
