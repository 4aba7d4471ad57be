/** One peer as the book sees it: where it may be found, how often it was tried, and why not. */
import type { ErrorCode } from '../errors.ts';
import type { Instant } from '../units.ts';
import type { ForbiddenAddress, Routed } from './route.ts';

export type PeerState = 'connected' | 'dialing' | 'waiting' | 'unknown' | 'removed';

export interface DialError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly at: Instant;
}

/** What is known of a peer, for people. */
export interface PeerStatus {
  /** `undefined` while only an address is known. */
  readonly nodeId: string | undefined;
  /**
   * `unknown`: no address to dial. `removed`: not dialled on the operator's wish; it may still be
   * connected when it has dialled us, which then shows as `connected`.
   */
  readonly state: PeerState;
  readonly addresses: readonly string[];
  /** Those of them that the route does not let this node dial, and why. */
  readonly forbidden: readonly ForbiddenAddress[];
  /** Failed dials since it was last connected for a while. */
  readonly attempts: number;
  readonly lastError: DialError | undefined;
  readonly nextDialAt: Instant | undefined;
  readonly manual: boolean;
  /** Neither dialled nor kept (M4). */
  readonly banned: boolean;
}

export interface Target {
  readonly key: string;
  nodeId: string | undefined;
  fixed: string[];
  manual: string[];
  learned: string[];
  removed: boolean;
  connectedAt: Instant | undefined;
  /** When the dial under way is given up as lost. */
  leaseUntil: Instant | undefined;
  dialing: string | undefined;
  nextDialAt: Instant | undefined;
  attempts: number;
  cursor: number;
  lastError: DialError | undefined;
}

export const createTarget = (key: string, nodeId: string | undefined): Target => ({
  key,
  nodeId,
  fixed: [],
  manual: [],
  learned: [],
  removed: false,
  connectedAt: undefined,
  leaseUntil: undefined,
  dialing: undefined,
  nextDialAt: undefined,
  attempts: 0,
  cursor: 0,
  lastError: undefined,
});

/** The operator's addresses first, then those of the genesis file, then what the peer said. */
export const addressesOf = (target: Target): string[] => [
  ...new Set([...target.manual, ...target.fixed, ...target.learned]),
];

/** What is not dialled says why, where there is nothing else to say. */
function forbiddenError(
  { lastError }: Target,
  { allowed, forbidden }: Routed,
  now: Instant,
): DialError | undefined {
  const [first] = forbidden;
  if (allowed.length > 0 || first === undefined) return lastError;
  const message = `${first.address} is not dialled: ${first.reason}`;
  return { code: 'ROUTE_FORBIDS', message, at: now };
}

/** @param routed its addresses by the route. */
export function statusOf(
  target: Target,
  { banned, routed, since }: { banned: boolean; routed: Routed; since: Instant },
): PeerStatus {
  return {
    nodeId: target.nodeId,
    state: stateOf(target),
    addresses: addressesOf(target),
    forbidden: routed.forbidden,
    attempts: target.attempts,
    lastError: forbiddenError(target, routed, since),
    nextDialAt: target.nextDialAt,
    manual: target.manual.length > 0,
    banned,
  };
}

function stateOf(target: Target): PeerState {
  if (target.connectedAt !== undefined) return 'connected';
  if (target.removed) return 'removed';
  if (target.dialing !== undefined) return 'dialing';
  return target.nextDialAt === undefined ? 'unknown' : 'waiting';
}
