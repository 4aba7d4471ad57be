/**
 * Multiaddrs that this node can use: TCP over IP or DNS names, and onion services. Parsing and
 * comparing only; it does not resolve names and opens nothing.
 */
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { parseOnionAddress } from '../crypto/onion.ts';
import { AegisError } from '../errors.ts';

const HOSTS = new Set(['ip4', 'ip6', 'dns', 'dns4', 'dns6']);
const IP_HOSTS = new Set(['ip4', 'ip6']);
const ADDRESS_MAX_CHARS = 512;
const HINT = 'Write it like /ip4/192.0.2.7/tcp/4001 or /dns4/node.example.org/tcp/4001.';
const ONION_HINT = 'Write an onion service like /onion3/<the 56 characters before .onion>:4001.';
/** Host and port of an onion service, which are one component. */
const ONION = /^(\/onion3\/)([a-z2-7]{56})(:[1-9]\d{0,4}(?:\/p2p\/[^/]+)?)$/i;
/** O11: behind the address of a service, for connections beside the first one. */
const LANE = '/memory/bulk-';
/** What comes in through an onion service has no address (O20): all of it has this one name. */
export const ONION_CLASS = 'onion';

const bad = (text: string, why: string, hint = HINT): AegisError =>
  new AegisError('BAD_REQUEST', `the address ${text.slice(0, 128)} ${why}`, { hint });

function parse(text: string): Multiaddr {
  try {
    if (text.length > ADDRESS_MAX_CHARS) throw new Error('too long');
    return multiaddr(text);
  } catch {
    throw bad(text, 'is not a multiaddr');
  }
}

/** @throws {AegisError} `BAD_REQUEST`, `BAD_ONION_ADDRESS` (O12). */
function checkOnion(text: string, withPeer: boolean): Multiaddr {
  const [, head, name, tail] = ONION.exec(text) ?? [];
  if (head === undefined || name === undefined || tail === undefined) {
    throw bad(text, 'is not the address of an onion service', ONION_HINT);
  }
  parseOnionAddress(name);
  // Tor folds the case, a multiaddr keeps it: one service has one text here.
  const address = parse(`${head.toLowerCase()}${name.toLowerCase()}${tail}`);
  if (!withPeer && address.getComponents().length > 1) {
    throw bad(text, 'names a peer, where this node is to listen', ONION_HINT);
  }
  return address;
}

function check(text: string, hosts: ReadonlySet<string>, withPeer: boolean): Multiaddr {
  if (/^\/onion3?\//i.test(text)) return checkOnion(text, withPeer);
  const address = parse(text);
  const [host, port, peer, ...rest] = address.getComponents();
  if (!/^[!-~]*$/.test(host?.value ?? '')) {
    // The system would read other points as the one before `onion`.
    throw bad(text, 'has a name that is not ASCII');
  }
  if (/\.onion\.*$/i.test(host?.value ?? '')) {
    // Whoever resolves it would tell a name server whom it wants.
    throw bad(text, 'is an onion service in the form of a name', ONION_HINT);
  }
  const proper =
    host !== undefined &&
    hosts.has(host.name) &&
    port?.name === 'tcp' &&
    rest.length === 0 &&
    (peer === undefined || (withPeer && peer.name === 'p2p'));
  if (!proper) throw bad(text, 'uses a transport that this node does not have');
  return address;
}

/** @throws {AegisError} `BAD_REQUEST`, `BAD_ONION_ADDRESS`. */
export const parseDialAddress = (text: string): Multiaddr => check(text, HOSTS, true);

/** @throws {AegisError} `BAD_REQUEST`, `BAD_ONION_ADDRESS`. */
export const parseListenAddress = (text: string): Multiaddr => check(text, IP_HOSTS, false);

/** A peer that has another key by now is meant, whatever peer id the address names. */
export const bare = (address: string): string => address.replace(/\/p2p\/[^/]+$/, '');

/** The address without the peer id at its end. */
export const withoutPeer = (address: Multiaddr): string => bare(address.toString());

/** The peer id at the end of the address, if it has one. */
export function peerIn(address: Multiaddr): string | undefined {
  return address.getComponents().findLast((component) => component.name === 'p2p')?.value;
}

/** The lane with this number, from 1, to the service at an onion address (without peer id). */
export const laneOf = (onion: string, number: number): Multiaddr =>
  multiaddr(`${onion}${LANE}${number}`);

/** The number of the lane that an address names. */
export function laneIn(address: Multiaddr): number | undefined {
  const [, number] = address.toString().split(LANE);
  return number === undefined ? undefined : Number.parseInt(number, 10);
}

/** The address of the service that a lane leads to; any other as it is. */
export function withoutLane(address: Multiaddr): Multiaddr {
  const [service, number] = address.toString().split(LANE);
  return number === undefined ? address : multiaddr(service);
}

/** The address of an onion service, as one dials it. */
export const isOnion = (address: Multiaddr): boolean =>
  address.getComponents()[0]?.name === 'onion3';

/** Whether it came in through an onion service of this node. */
export function isFromOnion(address: Multiaddr): boolean {
  const [first] = address.getComponents();
  return first?.name === 'memory' && (first.value?.startsWith(`${ONION_CLASS}-`) ?? false);
}

/** The IP address or name that limits are counted by, or `onion` for what has none (O20). */
export function hostOf(address: Multiaddr): string {
  if (isFromOnion(address)) return ONION_CLASS;
  const [first] = address.getComponents();
  const host = first?.value ?? 'unknown';
  return first?.name === 'onion3' ? host.replace(/:\d+$/, '') : host;
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
  if (/^(?:\/memory\/)?onion(?:-|$)/.test(address)) return ONION_CLASS;
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
