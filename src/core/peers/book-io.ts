/** What goes into the peer book and what comes out of it. Types, and the name of its alarm. */
import type { AegisError, ErrorCode } from '../errors.ts';
import type { RouteRule } from './route.ts';

export interface PeerBookOptions {
  /** Node id of this node. */
  readonly self: string;
  /**
   * Dials under way at once, and as many to onion services: those are slow, and neither may use up
   * the places of the other (O4). @default 16
   */
  readonly maxPendingDials?: number;
  /** Peers known at once. @default 1024 */
  readonly maxPeers?: number;
  /** Addresses of one peer and origin (genesis, operator, the peer itself). @default 8 */
  readonly maxAddresses?: number;
  /** Shortest pause after a failed dial. @default 250 */
  readonly minBackoffMs?: number;
  /** Longest pause. @default 30,000 */
  readonly maxBackoffMs?: number;
  /** Connected for so long, a peer's earlier failures are forgotten. @default 10,000 */
  readonly stableMs?: number;
  /** A dial of which nothing is heard is given up after this. @default 180,000 */
  readonly leaseMs?: number;
}

export type PeerInput =
  /** Wakes the book for the first time. */
  | { readonly type: 'start' }
  /** A member by the genesis file. Not kept on disk: the file is. */
  | { readonly type: 'member'; readonly nodeId: string; readonly addresses: readonly string[] }
  /** The operator's wish; undoes an earlier removal. */
  | { readonly type: 'add'; readonly address: string; readonly nodeId?: string }
  /** The operator's wish: never dial this peer (node id, or an address of the book). */
  | { readonly type: 'remove'; readonly nodeId: string }
  | { readonly type: 'learned'; readonly nodeId: string; readonly addresses: readonly string[] }
  | { readonly type: 'up'; readonly nodeId: string }
  | { readonly type: 'down'; readonly nodeId: string }
  /** The dial of an outcome has ended at a node that has passed hello. */
  | { readonly type: 'dialed'; readonly address: string; readonly nodeId: string }
  | {
      readonly type: 'dial-failed';
      readonly address: string;
      readonly code: ErrorCode;
      readonly message: string;
    }
  /**
   * M4: the peer is not dialled and not kept until it is unbanned, whoever adds it. Not kept on
   * disk here: the owner tells it again at each start.
   */
  | { readonly type: 'ban'; readonly nodeId: string }
  | { readonly type: 'unban'; readonly nodeId: string }
  /** What kept the peer away is over: it is dialled without the rest of its pause. */
  | { readonly type: 'retry'; readonly nodeId: string }
  /** The same of everybody, e.g. when Tor has come back (O3). */
  | { readonly type: 'retry-all' }
  /** Another route: other addresses are dialled, in another order (O4, O6). */
  | ({ readonly type: 'route' } & RouteRule)
  | { readonly type: 'alarm'; readonly key: string };

export type PeerOutcome =
  | { readonly type: 'dial'; readonly nodeId: string | undefined; readonly address: string }
  /** A removed or banned peer that is connected: the owner ends the connection. */
  | { readonly type: 'hang-up'; readonly nodeId: string }
  /** The book is full, or the address has no proper form. */
  | { readonly type: 'refused'; readonly address: string; readonly error: AegisError };

/** The one alarm of the book. */
export const DIAL_ALARM = 'peers/dial';
