// In charge of: the text that a wallet signed, read line by line: EIP-4361 for Ethereum, and its likeness for Solana.
// Source: supabase/auth internal/utilities/siwe/parser.go, internal/utilities/siws/parser.go, for the order of checks and the words.
import { badRequest } from '../errors.ts';

export type Chain = 'ethereum' | 'solana';

export interface Message {
  readonly raw: string;
  readonly domain: string;
  readonly address: string;
  /** Undefined where Ethereum has none; empty where Solana has none. */
  readonly statement: string | undefined;
  /** As it is written. */
  readonly uri: string;
  readonly chainId: string;
  readonly issuedAtMs: number;
  readonly notBeforeMs: number | undefined;
  readonly expiresAtMs: number | undefined;
}

interface Dialect {
  readonly prefix: string;
  readonly headerEnd: string;
  readonly address: RegExp;
  readonly wrongAddress: string;
  readonly isChainId: (value: string) => boolean;
}

const minLines = 6;
const domainPattern =
  /^(localhost|(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z]{2,})(?::\d{1,5})?$/;

const dialects: Readonly<Record<Chain, Dialect>> = {
  ethereum: {
    prefix: 'siwe',
    headerEnd: ' wants you to sign in with your Ethereum account:',
    address: /^0x[a-fA-F0-9]{40}$/,
    wrongAddress: 'wallet address is not a valid Ethereum address',
    isChainId: (value) => /^\+?\d{1,20}$/.test(value) && BigInt(value) > 0n && BigInt(value) < 1n << 63n,
  },
  solana: {
    prefix: 'siws',
    headerEnd: ' wants you to sign in with your Solana account:',
    address: /^[a-zA-Z0-9]{32,44}$/,
    wrongAddress: 'wallet address is not in base58 format',
    isChainId: (value) => value === '' || /^solana:(?:main|dev|test|local)net$/.test(value),
  },
};

/** @throws Fault 400 validation_failed */
export function parseMessage(chain: Chain, raw: string): Message {
  const dialect = dialects[chain];
  const wrong = (what: string) => badRequest('validation_failed', `${dialect.prefix}: ${what}`);
  const lines = raw.split('\n');
  if (lines.length < minLines) throw wrong(`message needs at least ${minLines} lines`);
  const [header = '', second = '', third, fourth = '', fifth] = lines;
  if (!header.endsWith(dialect.headerEnd))
    throw wrong(`message first line does not end in "${dialect.headerEnd}"`);
  const domain = header.slice(0, -dialect.headerEnd.length).trim();
  if (!domainPattern.test(domain)) throw wrong('domain in first line of message is not valid');
  const address = second.trim();
  if (!dialect.address.test(address)) throw wrong(dialect.wrongAddress);
  if (third !== '') throw wrong('third line must be empty');
  const hasStatement = fourth !== '' && fifth === '';
  const fields = readFields(lines, hasStatement ? 5 : 3, dialect, wrong);
  if (fields.version !== '1')
    throw wrong(`Version value is not supported, expected 1 got ${JSON.stringify(fields.version ?? '')}`);
  if (fields.issuedAtMs === undefined) throw wrong('Issued At is not specified');
  if (fields.uri === undefined) throw wrong('URI is not specified');
  const { issuedAtMs, notBeforeMs, expiresAtMs } = fields;
  if (expiresAtMs !== undefined && issuedAtMs > expiresAtMs)
    throw wrong('Issued At is after Expiration Time');
  if (notBeforeMs !== undefined && expiresAtMs !== undefined && notBeforeMs > expiresAtMs)
    throw wrong('Not Before is after Expiration Time');
  return {
    raw,
    domain,
    address,
    statement: hasStatement ? fourth : chain === 'solana' ? '' : undefined,
    uri: fields.uri,
    chainId: fields.chainId ?? '',
    issuedAtMs,
    notBeforeMs,
    expiresAtMs,
  };
}

interface Fields {
  uri?: string;
  version?: string;
  chainId?: string;
  issuedAtMs?: number | undefined;
  notBeforeMs?: number | undefined;
  expiresAtMs?: number | undefined;
}

function readFields(
  lines: readonly string[],
  from: number,
  dialect: Dialect,
  wrong: (what: string) => Error,
): Fields {
  const fields: Fields = {};
  let resources: number | undefined;
  const time = (value: string, name: string) => {
    const ms = parseTime(value);
    if (ms === undefined) throw wrong(`${name} is not a valid ISO8601 timestamp`);
    // Go's zero time stands for none.
    return ms === zeroTimeMs ? undefined : ms;
  };
  for (const [at, whole] of lines.entries()) {
    const line = at < from ? '' : whole.trim();
    if (resources !== undefined && line.startsWith('- ')) {
      if (!isUri(line.slice(2).trim())) throw wrong(`Resource at position ${resources} has invalid URI`);
      resources++;
      continue;
    }
    if (at >= from) resources = undefined;
    if (line === '') continue;
    if (line === 'Resources:') {
      resources = 0;
      continue;
    }
    const colon = line.indexOf(':');
    if (colon < 0) throw wrong(`encountered unparsable line at index ${at}`);
    const value = line.slice(colon + 1).trim();
    switch (line.slice(0, colon)) {
      case 'URI':
        if (!isUri(value)) throw wrong('URI is not valid');
        fields.uri = value;
        break;
      case 'Version':
        fields.version = value;
        break;
      case 'Chain ID':
        if (!dialect.isChainId(value)) throw wrong('Chain ID is not valid');
        fields.chainId = value;
        break;
      case 'Issued At':
        fields.issuedAtMs = time(value, 'Issued At');
        break;
      case 'Expiration Time':
        fields.expiresAtMs = time(value, 'Expiration Time');
        break;
      case 'Not Before':
        fields.notBeforeMs = time(value, 'Not Before');
        break;
    }
  }
  return fields;
}

/** An absolute address or path, as Go's url.ParseRequestURI takes them. */
function isUri(text: string): boolean {
  if (/[\p{Cc}\s]/u.test(text)) return false;
  return text.startsWith('/') || URL.canParse(text);
}

const zeroTimeMs = Date.parse('0001-01-01T00:00:00Z');

/** Source: RFC 3339, as Go's time.Parse reads it: a date that a calendar has, at any fraction of a second. */
function parseTime(text: string): number | undefined {
  const match =
    /^(\d{4}-\d{2}-\d{2})T((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)(?:[.,](\d+))?(Z|[+-]\d{2}:\d{2})$/.exec(text);
  if (!match) return undefined;
  const [, day = '', clock, fraction = '', zone] = match;
  const midnight = new Date(`${day}T00:00:00Z`);
  if (Number.isNaN(midnight.getTime()) || midnight.toISOString().slice(0, 10) !== day) return undefined;
  const ms = Date.parse(`${day}T${clock}.${fraction.padEnd(3, '0').slice(0, 3)}${zone}`);
  return Number.isNaN(ms) ? undefined : ms;
}
