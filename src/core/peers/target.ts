/** One peer as the book sees it: where it may be found, how often it was tried, and why not. */
import type { ErrorCode } from '../errors.ts';
import type { Instant } from '../units.ts';

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

export function statusOf(target: Target, banned: boolean): PeerStatus {
  return {
    nodeId: target.nodeId,
    state: stateOf(target),
    addresses: addressesOf(target),
    attempts: target.attempts,
    lastError: target.lastError,
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
