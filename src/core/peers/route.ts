/**
 * Which addresses of a peer the route lets this node dial, and in which order (docs/tor.md, O3 to
 * O5). It looks at addresses only: whether a transport is there, the host says.
 */

export interface RouteRule {
  readonly mode: 'off' | 'prefer' | 'require';
  /** IP addresses and names are dialled through exits of Tor (O5). */
  readonly exits: boolean;
}

/** An address that is not dialled, and why (`ROUTE_FORBIDS`). */
export interface ForbiddenAddress {
  readonly address: string;
  readonly reason: string;
}

export interface Routed {
  /** What is dialled, the first one first. */
  readonly allowed: readonly string[];
  readonly forbidden: readonly ForbiddenAddress[];
}

export const ROUTE_OFF: RouteRule = { mode: 'off', exits: false };

export const isOnionAddress = (address: string): boolean => address.startsWith('/onion3/');

/** RFC 1918, 6598 and 3927, loopback, unique local and link-local. */
const PRIVATE_4 = [
  /^(?:0|10|127)\.|^192\.168\.|^169\.254\./,
  /^172\.(?:1[6-9]|2\d|3[01])\./,
  /^100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./,
] as const;
const PRIVATE_6 = /^(?:::1?$|f[cd]|fe[89ab])/i;

/** Whether no exit would reach it. */
function isPrivate(address: string): boolean {
  const [, kind, host = ''] = address.split('/');
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host)?.[1];
  if (kind === 'ip4' || mapped !== undefined) {
    return PRIVATE_4.some((pattern) => pattern.test(mapped ?? host));
  }
  if (kind === 'ip6') return PRIVATE_6.test(host);
  return /^localhost\.?$|\.local(?:host)?\.?$/i.test(host);
}

function whyNot(address: string, { mode, exits }: RouteRule): string | undefined {
  if (isOnionAddress(address)) {
    return mode === 'off' ? 'tor.route is off, and it is an onion service' : undefined;
  }
  if (mode !== 'require') return undefined;
  if (!exits) return 'tor.route is require, and it is no onion service';
  return isPrivate(address) ? 'tor.route is require, and no exit reaches it' : undefined;
}

/** O4: onion services first; among the others the order stays. */
export function routeOf(addresses: readonly string[], rule: RouteRule): Routed {
  const forbidden: ForbiddenAddress[] = [];
  const allowed = addresses.filter((address) => {
    const reason = whyNot(address, rule);
    if (reason !== undefined) forbidden.push({ address, reason });
    return reason === undefined;
  });
  const onions = allowed.filter(isOnionAddress);
  return { allowed: [...onions, ...allowed.filter((one) => !isOnionAddress(one))], forbidden };
}
