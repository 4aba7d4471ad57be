/** One peer as the table of peers keeps it, and as others see it. Decides nothing. */
import type { Connection } from '@libp2p/interface';
import { bestOf, type Link } from './links.ts';
import type { RpcClient } from './rpc-client.ts';
import type { AddressClass } from './transports.ts';

export interface PeerConnection {
  readonly nodeId: string;
  readonly name: string;
  /** Of the connection in use. */
  readonly peerId: string;
  /** Multiaddr of the connection in use. */
  readonly address: string;
  readonly direction: 'inbound' | 'outbound';
  /** O7: of the connection in use. */
  readonly class: AddressClass;
  /** Milliseconds since the Unix epoch. */
  readonly connectedAt: number;
  /** `undefined` until the first heartbeat has come back. */
  readonly rttMs: number | undefined;
  readonly agent: string;
  /** Bytes of requests, replies, envelopes and bulk streams since the peer came up. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly connections: number;
  /** Connections beside them, for bulk streams only (O11). */
  readonly lanes: number;
  /** Two daemons with its identity have been there at one time since it came up. */
  readonly runsTwice: boolean;
}

export interface PeerEvent {
  readonly type: 'up' | 'down';
  readonly nodeId: string;
  readonly address: string;
}

export interface Peer {
  readonly nodeId: string;
  readonly rpc: RpcClient;
  readonly connectedAt: number;
  /** Oldest first. */
  links: Link[];
  /** Where it says it listens. */
  listens: readonly string[];
  rttMs: number | undefined;
  bytesIn: number;
  bytesOut: number;
  runsTwice: boolean;
  cancelHeartbeat: () => void;
}

/** The link in use; of one that is about to go, the last it had. */
export const inUse = (peer: Peer): Link | undefined => bestOf(peer.links) ?? peer.links.at(-1);

export function describe(peer: Peer, lanes: number): PeerConnection {
  const { connection, identity, class: way } = inUse(peer)!;
  return {
    nodeId: peer.nodeId,
    name: identity.name,
    peerId: connection.remotePeer.toString(),
    address: connection.remoteAddr.toString(),
    direction: connection.direction,
    class: way,
    connectedAt: peer.connectedAt,
    rttMs: peer.rttMs,
    agent: identity.agent,
    bytesIn: peer.bytesIn,
    bytesOut: peer.bytesOut,
    connections: peer.links.length,
    lanes,
    runsTwice: peer.runsTwice,
  };
}

export const remoteOf = ({ connection }: { readonly connection: Connection }): string =>
  connection.remotePeer.toString();
