/** What a host is made of, and what it tells. Types only. */
import type { Clock, Log, Metrics, Random, Security } from '../ports.ts';
import type { HelloContext } from './hello.ts';
import type { HostLimits, Profile } from './limits.ts';
import type { MakeTransport } from './transports.ts';

/** Where and how a host speaks. */
export interface Route {
  /**
   * Nothing else is ever constructed (O1). The first that takes an address dials it. Without
   * `tcpTransport` the host announces its onion address and nothing else (O2).
   */
  readonly transports: readonly MakeTransport[];
  /** Multiaddrs, e.g. `/ip4/127.0.0.1/tcp/0` or `/onion3/...:4001`. */
  readonly listen: readonly string[];
  readonly profile: Profile;
}

export interface HostOptions extends Omit<Route, 'transports'> {
  /** Ed25519 seed of the network key, 32 bytes. */
  readonly networkSeed: Uint8Array;
  /** @default [tcpTransport] */
  readonly transports?: Route['transports'];
  readonly hello: HelloContext;
  readonly limits?: Partial<HostLimits>;
  /** @default 'aegis/0.1.0' */
  readonly agent?: string;
}

export interface HostDeps {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly random: Random;
  /** @default keeps nothing */
  readonly security?: Security;
}

export interface HostStats {
  readonly peers: number;
  /** Without lanes. */
  readonly connections: number;
  readonly lanes: number;
  readonly pendingInbound: number;
  readonly pendingDials: number;
  readonly bulkStreams: number;
  /** Network keys of before that still carry connections. */
  readonly retiredKeys: number;
}

export interface RotateOptions {
  /**
   * Connections of the key of before end after this, replaced or not; not before
   * `limits.drainTimeoutMs`, in which peers are dialled anew. @default 60,000
   */
  readonly graceMs?: number;
  /** Where a peer may be found, beside what the host itself knows. */
  addressesOf?(nodeId: string): readonly string[];
}

export interface LearnedAddresses {
  readonly nodeId: string;
  /** Where the peer says it listens. Not checked. */
  readonly addresses: readonly string[];
}
