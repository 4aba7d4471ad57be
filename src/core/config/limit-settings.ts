/**
 * The settings `limits.*`: what peers, addresses and callers of the API may ask of this node.
 * Numbers only; what each limit does is where it is enforced, in network/ and api/server/.
 */

import { MIB } from '../units.ts';

interface Range<D extends number | undefined = number | undefined> {
  /** Undefined: it depends on whether the node listens on loopback only. */
  readonly default: D;
  readonly min: number;
  readonly max: number;
}

const range = <D extends number | undefined>(fallback: D, min: number, max: number): Range<D> => ({
  default: fallback,
  min,
  max,
});

/** In the order in which people are shown them. */
export const LIMIT_RANGES = {
  'limits.connections': range(256, 1, 10_000),
  'limits.connectionsPerPeer': range(4, 1, 64),
  'limits.inboundPerSecond': range(40, 1, 10_000),
  'limits.inboundPerSecondPerAddress': range(undefined, 1, 10_000),
  'limits.pendingInbound': range(64, 1, 10_000),
  'limits.pendingInboundPerAddress': range(undefined, 1, 10_000),
  'limits.helloTimeoutMs': range(5000, 100, 60_000),
  'limits.pendingDials': range(64, 1, 1000),
  'limits.onionConnections': range(256, 1, 10_000),
  'limits.onionConnectionsPerPeer': range(4, 1, 64),
  'limits.onionInboundPerSecond': range(12, 1, 10_000),
  'limits.pendingOnionInbound': range(128, 1, 10_000),
  'limits.onionHelloTimeoutMs': range(60_000, 1000, 600_000),
  'limits.pendingOnionDials': range(64, 1, 1000),
  'limits.lanesPerPeer': range(3, 0, 8),
  'limits.dialsPerSecond': range(50, 1, 1000),
  'limits.dialsPerSecondPerAddress': range(undefined, 1, 1000),
  'limits.streamsPerConnection': range(64, 8, 1000),
  'limits.streamsPerSecond': range(400, 1, 10_000),
  'limits.requestsAtOnce': range(64, 1, 10_000),
  'limits.requestBytesAtOnce': range(16 * MIB, MIB, 1024 * MIB),
  'limits.requestsPerSecond': range(1000, 10, 1_000_000),
  'limits.envelopesPerSecond': range(1000, 100, 1_000_000),
  'limits.envelopesPerSecondInAll': range(10_000, 100, 1_000_000),
  'limits.bytesPerSecond': range(64 * MIB, MIB, 16 * 1024 * MIB),
  'limits.bytesWaiting': range(8 * MIB, MIB, 1024 * MIB),
  'limits.bulkPerPeer': range(8, 1, 64),
  'limits.bulk': range(64, 1, 1000),
  'limits.apiConnections': range(256, 1, 10_000),
  'limits.apiRequestsAtOnce': range(64, 1, 10_000),
  'limits.apiBodiesAtOnce': range(32, 1, 10_000),
  'limits.apiWaits': range(48, 1, 10_000),
  'limits.apiEventStreams': range(32, 1, 10_000),
  'limits.apiPerSecond': range(2000, 1, 1_000_000),
  'limits.apiPerSecondPerToken': range(1500, 1, 1_000_000),
} as const satisfies Record<`limits.${string}`, Range>;

export type LimitKey = keyof typeof LIMIT_RANGES;

/** Those that may be undefined have another default on loopback, where peers share an address. */
export type LimitSettings = {
  readonly [K in LimitKey]: (typeof LIMIT_RANGES)[K] extends Range<number>
    ? number
    : number | undefined;
};

export const LIMIT_KEYS = Object.keys(LIMIT_RANGES) as readonly LimitKey[];

export const DEFAULT_LIMITS = Object.fromEntries(
  LIMIT_KEYS.map((key) => [key, LIMIT_RANGES[key].default]),
) as unknown as LimitSettings;
