/**
 * Every limit of the network room in one place. Whatever a stranger or a hostile member can make
 * this node keep, wait for or compute is bounded by a number of this table.
 */
import { KIB, MIB, SECOND } from '../units.ts';

/** `loopback`: many nodes share 127.0.0.1, so what is counted per address is lifted. */
export type Profile = 'loopback' | 'network';

export interface HostLimits {
  /** Connections that have passed hello, in both directions. @default 300 */
  readonly maxConnections: number;
  /** Inbound connections that have not passed hello yet. @default 64 */
  readonly maxPendingInbound: number;
  /** The same for one IP address. @default 16, loopback 64 */
  readonly maxPendingInboundPerAddress: number;
  /** New inbound connections per second of one IP address. @default 10, loopback 500 */
  readonly inboundPerSecondPerAddress: number;
  /** Connections of one peer that have passed hello. @default 4 */
  readonly maxConnectionsPerPeer: number;
  /** Dials under way at once. @default 64 */
  readonly maxPendingDials: number;
  /** A connection must pass Noise and hello in this time. @default 5,000 */
  readonly helloTimeoutMs: number;
  /** One hello frame. @default 16 KiB */
  readonly helloMaxBytes: number;
  /** Streams of one connection, each direction. @default 64 */
  readonly maxStreamsPerConnection: number;
  /** One request or reply body. @default 4 MiB */
  readonly rpcMaxBytes: number;
  /** One envelope body. @default 1 MiB */
  readonly envelopeMaxBytes: number;
  /** Requests of one peer being answered at once. @default 64 */
  readonly rpcServing: number;
  /** Bytes of one peer's requests being answered at once. @default 16 MiB */
  readonly rpcServingBytes: number;
  /** Requests to one peer under way at once. @default 64 */
  readonly rpcInFlight: number;
  /** Requests to one peer waiting for a place. @default 256 */
  readonly rpcQueue: number;
  /** Bytes that wait to be written to one peer before senders are told to wait. @default 8 MiB */
  readonly rpcBufferBytes: number;
  /** Deadline of a request that names none. @default 10,000 */
  readonly rpcTimeoutMs: number;
  /** Requests that a peer may have open with us are ended after this. @default 120,000 */
  readonly rpcServeTimeoutMs: number;
  /** The request frame of a bulk stream. @default 256 KiB */
  readonly bulkRequestMaxBytes: number;
  /** Bytes of one bulk stream. @default 64 GiB */
  readonly bulkMaxBytes: number;
  /** Bulk streams with one peer, each direction. @default 8 */
  readonly bulkPerPeer: number;
  /** Bulk streams in all, each direction. @default 64 */
  readonly bulkTotal: number;
  /** A bulk stream that moves no more than a drip for this long is cut. @default 30,000 */
  readonly bulkIdleTimeoutMs: number;
  /** How often a peer is measured. @default 10,000 */
  readonly heartbeatMs: number;
  /** A peer that leaves a heartbeat unanswered for this long is cut. @default 15,000 */
  readonly heartbeatTimeoutMs: number;
  /** `stop()` takes no longer than about this. @default 3,000 */
  readonly stopTimeoutMs: number;
}

const NETWORK: HostLimits = {
  maxConnections: 300,
  maxPendingInbound: 64,
  maxPendingInboundPerAddress: 16,
  inboundPerSecondPerAddress: 10,
  maxConnectionsPerPeer: 4,
  maxPendingDials: 64,
  helloTimeoutMs: 5 * SECOND,
  helloMaxBytes: 16 * KIB,
  maxStreamsPerConnection: 64,
  rpcMaxBytes: 4 * MIB,
  envelopeMaxBytes: MIB,
  rpcServing: 64,
  rpcServingBytes: 16 * MIB,
  rpcInFlight: 64,
  rpcQueue: 256,
  rpcBufferBytes: 8 * MIB,
  rpcTimeoutMs: 10 * SECOND,
  rpcServeTimeoutMs: 120 * SECOND,
  bulkRequestMaxBytes: 256 * KIB,
  bulkMaxBytes: 64 * 1024 * MIB,
  bulkPerPeer: 8,
  bulkTotal: 64,
  bulkIdleTimeoutMs: 30 * SECOND,
  heartbeatMs: 10 * SECOND,
  heartbeatTimeoutMs: 15 * SECOND,
  stopTimeoutMs: 3 * SECOND,
};

export function limitsOf(profile: Profile, changes: Partial<HostLimits> = {}): HostLimits {
  const loopback = { maxPendingInboundPerAddress: 64, inboundPerSecondPerAddress: 500 };
  return { ...NETWORK, ...(profile === 'loopback' ? loopback : {}), ...changes };
}
