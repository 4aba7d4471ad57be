/**
 * Every limit of the network room in one place. Whatever a stranger or a hostile member can make
 * this node keep, wait for or compute is bounded by a number of this table.
 */
import { KIB, MIB, SECOND } from '../units.ts';

/** `loopback`: many nodes share 127.0.0.1, so what is counted per address is lifted. */
export type Profile = 'loopback' | 'network';

export interface HostLimits {
  /** Connections that have passed hello, in both directions. @default 256 */
  readonly maxConnections: number;
  /**
   * New inbound connections per second, of all addresses; the rest is closed at the door, before
   * libp2p or any cryptography. A handshake costs 3 ms of a core. @default 40
   */
  readonly inboundPerSecond: number;
  /** The same of one IPv4 address or IPv6 /64. @default 10, loopback 40 */
  readonly inboundPerSecondPerAddress: number;
  /** Inbound connections that have not passed hello yet. @default 64 */
  readonly maxPendingInbound: number;
  /** The same for one IP address. @default 16, loopback 64 */
  readonly maxPendingInboundPerAddress: number;
  /** Connections of one peer that have passed hello. @default 4 */
  readonly maxConnectionsPerPeer: number;
  /** Dials under way at once, and, apart from them, through Tor (O4). @default 64 and 64 */
  readonly maxPendingDials: number;
  readonly maxPendingOnionDials: number;
  /**
   * Connections through Tor that have passed hello; apart from those of `maxConnections`, so that
   * neither can use up the other's (O4). @default 256
   */
  readonly maxOnionConnections: number;
  /** The same of one peer, without lanes. @default 4 */
  readonly maxOnionConnectionsPerPeer: number;
  /**
   * Strangers that come in through the onion service per second; they have no address, so that
   * this is all that can be said of them (O20). @default 12
   */
  readonly onionInboundPerSecond: number;
  /** Inbound connections through Tor that have not passed hello yet. @default 128 */
  readonly maxPendingOnionInbound: number;
  /** Connections beside the first one that a peer may open for bulk streams (O11). @default 3 */
  readonly lanesPerPeer: number;
  /** So long there must be fewer lanes than streams before one is dialled. @default 2,000 */
  readonly laneAfterMs: number;
  /** A lane that carries nothing for so long is ended. @default 60,000 */
  readonly laneIdleMs: number;
  /** Dials begun per second, and of one host. @default 50 and 10, loopback 50 */
  readonly dialsPerSecond: number;
  readonly dialsPerSecondPerAddress: number;
  /** What a dial may take that names no time. @default 10,000 */
  readonly dialTimeoutMs: number;
  /** O24: the same of `onion` and `exit` connections, and so for the others of that name. */
  readonly onionDialTimeoutMs: number;
  readonly onionHelloTimeoutMs: number;
  readonly onionStreamTimeoutMs: number;
  readonly onionRpcTimeoutMs: number;
  readonly onionHeartbeatMs: number;
  readonly onionHeartbeatTimeoutMs: number;
  /** A connection must pass Noise and hello in this time. @default 5,000 */
  readonly helloTimeoutMs: number;
  /** One hello frame; an admission in it has up to 64 KiB. @default 96 KiB */
  readonly helloMaxBytes: number;
  /** Streams of one connection, each direction. @default 64 */
  readonly maxStreamsPerConnection: number;
  /** A new stream must name its protocol, and a bulk stream its request, in it. @default 3,000 */
  readonly streamTimeoutMs: number;
  /** Streams that one peer opens per second, on all its connections. @default 400 */
  readonly streamsPerSecond: number;
  /** Requests of one peer per second, each by its weight. @default 1,000 */
  readonly requestsPerSecond: number;
  /** Envelopes of one peer per second; a custodian under load sends 50. @default 1,000 */
  readonly envelopesPerSecond: number;
  /** The same of all peers. Slows only those who send more than their share. @default 10,000 */
  readonly envelopesPerSecondInAll: number;
  /** Bytes of one peer per second in requests and envelopes. @default 64 MiB */
  readonly bytesPerSecond: number;
  /** A peer that asked for so much more than it may is not read for a while. @default 5,000 */
  readonly muteAfterMs: number;
  /** How long it is not read. @default 5,000 */
  readonly muteMs: number;
  /** A peer that went on so far is cut. @default 20,000 */
  readonly cutAfterMs: number;
  /** How long a peer that was cut has no place here. @default 60,000 */
  readonly cutMs: number;
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
  /** A connection that a better one has replaced may finish what it carries. @default 60,000 */
  readonly drainTimeoutMs: number;
  /** `stop()` takes no longer than about this. @default 3,000 */
  readonly stopTimeoutMs: number;
}

const NETWORK: HostLimits = {
  maxConnections: 256,
  inboundPerSecond: 40,
  maxPendingInbound: 64,
  maxPendingInboundPerAddress: 16,
  inboundPerSecondPerAddress: 10,
  maxConnectionsPerPeer: 4,
  maxPendingDials: 64,
  maxPendingOnionDials: 64,
  maxOnionConnections: 256,
  maxOnionConnectionsPerPeer: 4,
  onionInboundPerSecond: 12,
  maxPendingOnionInbound: 128,
  lanesPerPeer: 3,
  laneAfterMs: 2 * SECOND,
  laneIdleMs: 60 * SECOND,
  dialsPerSecond: 50,
  dialsPerSecondPerAddress: 10,
  dialTimeoutMs: 10 * SECOND,
  onionDialTimeoutMs: 90 * SECOND,
  onionHelloTimeoutMs: 60 * SECOND,
  onionStreamTimeoutMs: 30 * SECOND,
  onionRpcTimeoutMs: 60 * SECOND,
  onionHeartbeatMs: 30 * SECOND,
  onionHeartbeatTimeoutMs: 60 * SECOND,
  helloTimeoutMs: 5 * SECOND,
  helloMaxBytes: 96 * KIB,
  maxStreamsPerConnection: 64,
  streamTimeoutMs: 3 * SECOND,
  streamsPerSecond: 400,
  requestsPerSecond: 1000,
  envelopesPerSecond: 1000,
  envelopesPerSecondInAll: 10_000,
  bytesPerSecond: 64 * MIB,
  muteAfterMs: 5 * SECOND,
  muteMs: 5 * SECOND,
  cutAfterMs: 20 * SECOND,
  cutMs: 60 * SECOND,
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
  drainTimeoutMs: 60 * SECOND,
  stopTimeoutMs: 3 * SECOND,
};

/** On loopback all peers have one address, so that an address may do what all may do together. */
const LOOPBACK: Partial<HostLimits> = {
  maxPendingInboundPerAddress: 64,
  inboundPerSecondPerAddress: 40,
  dialsPerSecondPerAddress: 50,
};

/** @param changes what is undefined in it changes nothing. */
export function limitsOf(
  profile: Profile,
  changes: { readonly [K in keyof HostLimits]?: HostLimits[K] | undefined } = {},
): HostLimits {
  const given = Object.entries(changes).filter(([, value]) => value !== undefined);
  return { ...NETWORK, ...(profile === 'loopback' ? LOOPBACK : {}), ...Object.fromEntries(given) };
}

/** By which setting an operator changes a limit; those that are left out are fixed. */
export const SETTING_OF = {
  maxConnections: 'limits.connections',
  maxConnectionsPerPeer: 'limits.connectionsPerPeer',
  inboundPerSecond: 'limits.inboundPerSecond',
  inboundPerSecondPerAddress: 'limits.inboundPerSecondPerAddress',
  maxPendingInbound: 'limits.pendingInbound',
  maxPendingInboundPerAddress: 'limits.pendingInboundPerAddress',
  helloTimeoutMs: 'limits.helloTimeoutMs',
  maxPendingDials: 'limits.pendingDials',
  maxOnionConnections: 'limits.onionConnections',
  maxOnionConnectionsPerPeer: 'limits.onionConnectionsPerPeer',
  onionInboundPerSecond: 'limits.onionInboundPerSecond',
  maxPendingOnionInbound: 'limits.pendingOnionInbound',
  onionHelloTimeoutMs: 'limits.onionHelloTimeoutMs',
  maxPendingOnionDials: 'limits.pendingOnionDials',
  lanesPerPeer: 'limits.lanesPerPeer',
  dialsPerSecond: 'limits.dialsPerSecond',
  dialsPerSecondPerAddress: 'limits.dialsPerSecondPerAddress',
  maxStreamsPerConnection: 'limits.streamsPerConnection',
  streamsPerSecond: 'limits.streamsPerSecond',
  rpcServing: 'limits.requestsAtOnce',
  rpcServingBytes: 'limits.requestBytesAtOnce',
  requestsPerSecond: 'limits.requestsPerSecond',
  envelopesPerSecond: 'limits.envelopesPerSecond',
  envelopesPerSecondInAll: 'limits.envelopesPerSecondInAll',
  bytesPerSecond: 'limits.bytesPerSecond',
  rpcBufferBytes: 'limits.bytesWaiting',
  bulkPerPeer: 'limits.bulkPerPeer',
  bulkTotal: 'limits.bulk',
} as const satisfies Partial<Record<keyof HostLimits, `limits.${string}`>>;

/** A limit that can refuse something, so that a refusal can name its setting. */
export type Knob = keyof typeof SETTING_OF;
