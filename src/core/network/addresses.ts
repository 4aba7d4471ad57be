/**
 * Multiaddrs that this node can use: TCP over IP or DNS names. Parsing and comparing only; it does
 * not resolve names and opens nothing.
 */
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { AegisError } from '../errors.ts';

const HOSTS = new Set(['ip4', 'ip6', 'dns', 'dns4', 'dns6']);
const IP_HOSTS = new Set(['ip4', 'ip6']);
const ADDRESS_MAX_CHARS = 512;
const HINT = 'Write it like /ip4/192.0.2.7/tcp/4001 or /dns4/node.example.org/tcp/4001.';

const bad = (text: string, why: string): AegisError =>
  new AegisError('BAD_REQUEST', `the address ${text.slice(0, 128)} ${why}`, { hint: HINT });

function parse(text: string): Multiaddr {
  try {
    if (text.length > ADDRESS_MAX_CHARS) throw new Error('too long');
    return multiaddr(text);
  } catch {
    throw bad(text, 'is not a multiaddr');
  }
}

function check(text: string, hosts: ReadonlySet<string>, withPeer: boolean): Multiaddr {
  const address = parse(text);
  const [host, port, peer, ...rest] = address.getComponents();
  const proper =
    host !== undefined &&
    hosts.has(host.name) &&
    port?.name === 'tcp' &&
    rest.length === 0 &&
    (peer === undefined || (withPeer && peer.name === 'p2p'));
  if (!proper) throw bad(text, 'uses a transport that this node does not have');
  return address;
}

/** @throws {AegisError} `BAD_REQUEST`. */
export const parseDialAddress = (text: string): Multiaddr => check(text, HOSTS, true);

/** @throws {AegisError} `BAD_REQUEST`. */
export const parseListenAddress = (text: string): Multiaddr => check(text, IP_HOSTS, false);

/** The address without the peer id at its end. */
export function withoutPeer(address: Multiaddr): string {
  return address.toString().replace(/\/p2p\/[^/]+$/, '');
}

/** The peer id at the end of the address, if it has one. */
export function peerIn(address: Multiaddr): string | undefined {
  return address.getComponents().findLast((component) => component.name === 'p2p')?.value;
}

/** The IP address or name that limits are counted by. */
export function hostOf(address: Multiaddr): string {
  return address.getComponents()[0]?.value ?? 'unknown';
}

export function isLoopback(address: Multiaddr): boolean {
  const host = hostOf(address);
  return host === '::1' || host.startsWith('127.');
}

/**
 * Whom an IP address is counted with: an IPv4 address alone, an IPv6 address with its /64, because
 * that is what one customer has.
 */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return mapped[1]!;
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.toLowerCase().replace(/%.*$/, '').split('::');
  const first = head === '' ? [] : head.split(':');
  const last = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - first.length - last.length);
  const groups = [...first, ...Array.from({ length: zeros }, () => '0'), ...last];
  const network = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  // Loopback is one address, not a network that shares its /64 with the rest of ::/64.
  return address === '::1' ? '::1' : `${network.join(':')}::/64`;
}
