// In charge of: the first message of a connection: who wants in, or what else it is.
import { textAt } from './wire.ts';

export interface Startup {
  readonly kind: 'startup';
  readonly user: string;
  readonly database: string;
  readonly isReplication: boolean;
  /** It speaks a newer minor version, or asks for extensions of the protocol (their names), and has to be told what there is. */
  readonly negotiates: readonly string[] | undefined;
  readonly parameters: ReadonlyMap<string, string>;
}

export type FirstPacket =
  | Startup
  | { readonly kind: 'encryption' }
  | { readonly kind: 'cancel'; readonly session: number; readonly secret: number }
  | { readonly kind: 'invalid'; readonly problem: string };

const sslRequest = 80_877_103;
const gssRequest = 80_877_104;
const cancelRequest = 80_877_102;
const protocolMajor = 3;

/** @param packet without its length. Source: PostgreSQL manual, "Message Formats". */
export function readStartup(packet: Buffer): FirstPacket {
  const code = packet.readInt32BE(0);
  if (code === sslRequest || code === gssRequest) return { kind: 'encryption' };
  if (code === cancelRequest) {
    if (packet.length < 12) return { kind: 'invalid', problem: 'invalid length of cancel request' };
    return { kind: 'cancel', session: packet.readInt32BE(4), secret: packet.readInt32BE(8) };
  }
  if (code >>> 16 !== protocolMajor) {
    return { kind: 'invalid', problem: `unsupported frontend protocol ${code >>> 16}.${code & 0xffff}` };
  }
  const parameters = new Map<string, string>();
  for (let at = 4; at < packet.length && packet[at] !== 0; ) {
    const name = textAt(packet, at);
    const value = textAt(packet, name.end);
    parameters.set(name.text, value.text);
    at = value.end;
  }
  const user = parameters.get('user') ?? '';
  if (user === '') return { kind: 'invalid', problem: 'no PostgreSQL user name specified in startup packet' };
  const extensions = [...parameters.keys()].filter((name) => name.startsWith('_pq_.'));
  const replication = parameters.get('replication') ?? 'false';
  return {
    kind: 'startup',
    user,
    database: parameters.get('database') || user,
    isReplication: !['false', 'off', 'no', '0'].includes(replication.toLowerCase()),
    negotiates: (code & 0xffff) > 0 || extensions.length > 0 ? extensions : undefined,
    parameters,
  };
}

/** What of a startup message is a setting: `options` is a command line of them. */
export function startupSettings({
  parameters,
}: Startup): readonly (readonly [name: string, value: string])[] {
  const settings: (readonly [string, string])[] = [];
  for (const [name, value] of parameters) {
    // `_pq_.…` asks for an extension of the protocol; there is none.
    if (notSettings.has(name) || name.startsWith('_pq_.')) continue;
    if (name === 'options') settings.push(...optionsOf(value));
    else settings.push([name, value]);
  }
  return settings;
}

const notSettings: ReadonlySet<string> = new Set(['user', 'database', 'replication']);

/** `-c name=value --name=value`, with blanks kept by a backslash. Source: PostgreSQL src/backend/utils/init/postinit.c, `pg_split_opts`. */
function optionsOf(text: string): readonly (readonly [string, string])[] {
  const words = (text.match(/(?:\\.|[^\s\\])+/gs) ?? []).map((word) => word.replace(/\\(.)/gs, '$1'));
  const settings: (readonly [string, string])[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const given = word === '-c' ? words[++i] : word.replace(/^(?:-c|--)/, '');
    const at = given?.indexOf('=') ?? -1;
    if (given === undefined || at < 1) continue;
    settings.push([given.slice(0, at).replaceAll('-', '_'), given.slice(at + 1)]);
  }
  return settings;
}
