/**
 * What an address asks of Tor: a host and a port, and on whose behalf. It resolves nothing, and
 * does not say whether the address may be dialled.
 */
import { isPrivateIp } from '@libp2p/utils';
import type { Multiaddr } from '@multiformats/multiaddr';
import { onionAddressOf, parseOnionAddress } from '../../crypto/onion.ts';
import { TOR_LIMITS } from '../limits.ts';

const TALK = 'talk';

export interface DialTarget {
  /** `x.onion`, an IP address or a name, as SOCKS takes it. */
  readonly host: string;
  readonly port: number;
  /** Of an onion service: its public key. */
  readonly onion?: Uint8Array;
  /** Whether the host is of a network that no exit reaches. */
  readonly isPrivate: boolean;
  /** What the circuit is for: `talk`, or what stands behind `/memory/`, e.g. `bulk-1`. */
  readonly purpose: string;
  /** The address without the purpose. */
  readonly address: string;
}

/**
 * `/onion3/<56>:<port>` or `/(ip4|ip6|dns|dns4|dns6)/<host>/tcp/<port>`; behind it, in any order,
 * at most one `/p2p/<id>` and one `/memory/<purpose>`.
 * @returns undefined for what Tor cannot dial, and for addresses with a wrong checksum (O12).
 */
export function targetOf(address: Multiaddr): DialTarget | undefined {
  const names = address.getComponents().map(({ name, value = '' }) => ({ name, value }));
  const isOnion = names[0]?.name === 'onion3';
  const behind = names.slice(isOnion ? 1 : 2);
  const purposes = behind.filter(({ name }) => name === 'memory');
  const peers = behind.filter(({ name }) => name === 'p2p');
  if (purposes.length > 1 || peers.length > 1) return undefined;
  if (purposes.length + peers.length !== behind.length) return undefined;
  const purpose = purposes[0]?.value ?? TALK;
  if (purpose.length > TOR_LIMITS.purposeCharacters) return undefined;
  const place = isOnion ? onionPlace(names[0]!.value) : tcpPlace(names);
  if (place === undefined) return undefined;
  const { path, ...rest } = place;
  const peer = peers[0] === undefined ? '' : `/p2p/${peers[0].value}`;
  return { ...rest, purpose, address: `${path}${peer}` };
}

type Place = Omit<DialTarget, 'purpose' | 'address'> & { readonly path: string };

function onionPlace(value: string): Place | undefined {
  const [name = '', port = ''] = value.split(':');
  try {
    const onion = parseOnionAddress(name);
    const host = onionAddressOf(onion);
    const path = `/onion3/${host.slice(0, -'.onion'.length)}:${port}`;
    return { host, port: Number(port), onion, isPrivate: false, path };
  } catch {
    return undefined;
  }
}

const HOSTS = new Set(['ip4', 'ip6', 'dns', 'dns4', 'dns6']);

function tcpPlace(names: readonly { name: string; value: string }[]): Place | undefined {
  const [host, port] = names;
  if (host === undefined || !HOSTS.has(host.name) || port?.name !== 'tcp') return undefined;
  const name = host.value.toLowerCase().replace(/\.+$/, '');
  if (!/^[!-~]*$/.test(name)) return undefined;
  // An onion in disguise would be asked of a name server, or of an exit (O5).
  if (name.endsWith('.onion')) return undefined;
  const isPrivate =
    isPrivateIp(host.value) ?? (name === 'localhost' || name.endsWith('.localhost'));
  const path = `/${host.name}/${host.value}/tcp/${port.value}`;
  return { host: host.value, port: Number(port.value), isPrivate, path };
}

/** The name by which isolation knows the peer there. */
export const peerNameOf = ({ host }: DialTarget): string => host.replace(/\.onion$/, '');
