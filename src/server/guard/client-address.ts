// In charge of: the one client address. Who sits at the other end of the socket, or whom a proxy that we trust names.

import { compileRanges, normalAddress } from '../../base/address-ranges.ts';
import { type Hop, hopsOfForwarded, hopsOfXForwarded } from './forwarded.ts';
import { headerOf, type RequestHeaders } from './request.ts';
import { whenChanged } from './when-changed.ts';

export interface Client {
  /** Normalised: IPv4 in dots, IPv6 compressed. Empty when there is none: a Unix socket, or the backend used as a function. */
  readonly address: string;
  /** Whether the client came over https: to us, or to the outermost proxy that we trust. */
  readonly isSecure: boolean;
  /** Whether a proxy that we trust passed it on. */
  readonly isProxied: boolean;
}

export interface ProxySettings {
  /** Addresses, ranges, `loopback`, `private`, and `unix` for whoever comes by the Unix socket. */
  readonly trustedProxies: readonly string[];
  /** Which header they write. */
  readonly forwardedHeader: 'x-forwarded-for' | 'forwarded';
}

export interface ClientFacts {
  readonly production?: boolean;
  /** Called once, when a request comes by a proxy on this machine that is not named. */
  readonly onUnnamedProxy?: () => void;
}

export interface Clients {
  /**
   * By which address is counted what somebody may do too often; empty: it is not. A laptop's own tests are not, nor what a program on this machine
   * asks beside a proxy that is named. In production everybody who comes by loopback is one, as is who comes by a proxy that nobody named:
   * uncounted they would be the whole world.
   */
  countedAs(address: string, headers: RequestHeaders): string;
  /** @param peer the socket's `remoteAddress`; @param isSecure whether the socket speaks TLS. */
  of(peer: string | undefined, isSecure: boolean, headers: RequestHeaders): Client;
}

/**
 * Walks from the socket outwards: as long as an address is a trusted proxy's, the address that it names comes next; the first that is
 * not is the client. What stands left of that was written by strangers and is not read. An entry that is no address ends the walk at
 * the proxy that passed it on. One header is read and no other takes its place: a proxy that writes `X-Forwarded-For` passes a
 * `Forwarded` of the client's own invention through, and the other way round. Nothing is ever taken from `Host` or `X-Forwarded-Host`.
 * Source: RFC 7239 sections 5.2, 8.1; MDN "X-Forwarded-For", "Selecting an IP address".
 */
export function openClients(settings: () => ProxySettings, facts: ClientFacts = {}): Clients {
  let isSaid = false;
  const state = whenChanged(settings, ({ trustedProxies, forwardedHeader }) => ({
    trusted: compileRanges(trustedProxies),
    isUnixTrusted: trustedProxies.includes('unix'),
    forwardedHeader,
    // By the peer's text, and whether it came by TLS: connections are few, requests are many.
    direct: new Map<string, Client>(),
    secure: new Map<string, Client>(),
  }));
  return {
    countedAs(address, headers) {
      if (!isLoopback(address)) return address;
      const isProxied = forwardingHeaders.some((name) => headerOf(headers, name) !== undefined);
      // The ranges are looked through last: each request of a laptop comes by here.
      if ((!isProxied && facts.production !== true) || state().trusted.has(address)) return '';
      if (isProxied && !isSaid) {
        isSaid = true;
        facts.onUnnamedProxy?.();
      }
      return everybody;
    },
    of(peer, isSecure, headers) {
      const { trusted, isUnixTrusted, forwardedHeader, direct, secure } = state();
      const known = isSecure ? secure : direct;
      const name = peer ?? '';
      let socket = known.get(name);
      if (socket === undefined) {
        socket = { address: (peer && normalAddress(peer)) || '', isSecure, isProxied: false };
        if (known.size >= maxRemembered) known.clear();
        known.set(name, socket);
      }
      if (trusted.isEmpty && !isUnixTrusted) return socket;
      const isTrusted = socket.address === '' ? isUnixTrusted : trusted.has(socket.address);
      if (!isTrusted) return socket;
      const hops = hopsOf(headers, forwardedHeader);
      return hops === undefined ? { ...socket, isProxied: true } : walk(socket, hops, trusted.has);
    },
  };
}

function hopsOf(headers: RequestHeaders, name: ProxySettings['forwardedHeader']): readonly Hop[] | undefined {
  const text = headerOf(headers, name);
  if (name === 'forwarded') return text === undefined ? undefined : hopsOfForwarded(text);
  const proto = headerOf(headers, 'x-forwarded-proto');
  return text === undefined && proto === undefined ? undefined : hopsOfXForwarded(text ?? '', proto);
}

function walk(socket: Client, hops: readonly Hop[], isTrusted: (address: string) => boolean): Client {
  let { address, isSecure } = socket;
  for (const hop of hops) {
    // Each hop was written by a proxy that is trusted: it says how the one before it came.
    isSecure = hop.proto === undefined ? isSecure : hop.proto === 'https';
    if (hop.address === undefined) break;
    address = hop.address;
    if (!isTrusted(address)) break;
  }
  return { address, isSecure, isProxied: true };
}

const isLoopback = (address: string) => address === '::1' || address.startsWith('127.');
const forwardingHeaders = ['x-forwarded-for', 'forwarded'] as const;
/** Stands for the address of all who come by loopback. */
const everybody = 'loopback';

/** For the person who starts a server in production that only this machine reaches, so that a proxy stands before it. */
export function unnamedProxyNotices(facts: {
  readonly production: boolean;
  readonly onLoopback: boolean;
  readonly trustedProxies: readonly string[];
}): readonly string[] {
  if (!facts.production || !facts.onLoopback) return [];
  if (compileRanges(facts.trustedProxies).has('127.0.0.1')) return [];
  return [`Only this machine reaches this server, so that a proxy stands before it, ${consequence}`];
}

const consequence =
  'and gateway.trusted_proxies does not name it: [auth.rate_limit] counts all people as one, and soon nobody can sign in. Set trusted_proxies = ["loopback"] in [gateway] of config.toml, and let the proxy write X-Forwarded-For.';
export const unnamedProxy = `A proxy on this machine passes requests on, ${consequence}`;

const maxRemembered = 4_096;
