/**
 * The libp2p node behind a host: which modules it has and how they are set. Everything that could
 * speak to the outside on its own (mDNS, UPnP, relays, public bootstrap lists) is left out, so
 * that no connection is made that the operator did not ask for.
 */
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import type { Identify } from '@libp2p/identify';
import type {
  ConnectionEncrypter,
  ConnectionGater,
  Libp2p,
  MessageStream,
  PeerInfo,
  StreamMuxerFactory,
  Transport,
  Upgrader,
} from '@libp2p/interface';
import { type KadDHT, kadDHT } from '@libp2p/kad-dht';
import { noise } from '@libp2p/noise';
import { ping } from '@libp2p/ping';
import { yamux } from '@libp2p/yamux';
import type { Multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import type { Clock } from '../ports.ts';
import { silentLogger } from '../silent-logger.ts';
import { MIB, MINUTE, SECOND } from '../units.ts';
import { isFromOnion, isLoopback, isOnion } from './addresses.ts';
import type { Allowance } from './conduct.ts';
import type { HostLimits, Profile } from './limits.ts';
import { guardMuxer } from './muxer-guard.ts';
import { noiseCrypto } from './noise-crypto.ts';
import { CAR_PROTOCOL, RPC_PROTOCOL } from './peer-table.ts';
import { quietIdentify } from './quiet-identify.ts';
import { meterStreams } from './stream-meter.ts';
import { sparseWindowUpdates } from './window-updates.ts';

export interface SwarmOptions {
  readonly networkSeed: Uint8Array;
  readonly listen: readonly string[];
  readonly agent: string;
  readonly limits: HostLimits;
  readonly profile: Profile;
  /** O2: announces its onion address, and nothing else. */
  readonly isHidden: boolean;
}

export interface SwarmDeps {
  readonly gater: ConnectionGater;
  encrypter(noise: ConnectionEncrypter): ConnectionEncrypter;
  readonly transports: readonly Transport[];
  /** Of this swarm: makes connections of what its transports accept. */
  onUpgrader(upgrader: Upgrader): void;
  readonly clock: Clock;
  /** The peer behind an encrypted stream asks this of the node. @returns how long it must wait. */
  spend(stream: MessageStream, allowance: Allowance, cost: number): number;
}

export type Swarm = Libp2p<{ kad: KadDHT; identify: Identify }>;

const KAD_PROTOCOL = '/aegis/kad/1';

const KAD_TIMES = { minTimeout: 30 * SECOND, maxTimeout: 60 * SECOND };

/** What is told of addresses, of this node and of others (O2). */
function mayTell({ profile, isHidden }: SwarmOptions): (address: Multiaddr) => boolean {
  if (isHidden) return isOnion;
  // Outside one machine, loopback addresses of others lead to ourselves.
  return (address) => isOnion(address) || profile === 'loopback' || !isLoopback(address);
}

/** Kademlia answers with what the route allows, and keeps no more of answers. */
const mapperOf =
  (isTold: (address: Multiaddr) => boolean) =>
  (peer: PeerInfo): PeerInfo => ({
    ...peer,
    multiaddrs: peer.multiaddrs.filter((address) => !isFromOnion(address) && isTold(address)),
  });

export async function createSwarm(options: SwarmOptions, deps: SwarmDeps): Promise<Swarm> {
  const { limits, agent, isHidden } = options;
  const isTold = mayTell(options);
  const [name = 'aegis', version = '0'] = agent.split('/');
  const makeNoise = noise({ crypto: noiseCrypto() });
  return createLibp2p({
    start: false,
    privateKey: await generateKeyPairFromSeed('Ed25519', options.networkSeed),
    logger: silentLogger(),
    nodeInfo: { name, version, userAgent: agent },
    addresses: {
      listen: [...options.listen],
      announceFilter: (addresses) => (isHidden ? addresses.filter(isOnion) : addresses),
    },
    transports: deps.transports.map((transport) => ({ upgrader }: { upgrader: Upgrader }) => {
      deps.onUpgrader(upgrader);
      return transport;
    }),
    connectionEncrypters: [(components) => deps.encrypter(makeNoise(components))],
    streamMuxers: [guardedYamux(limits, deps)],
    connectionGater: deps.gater,
    // Our heartbeat measures peers; libp2p's opens a new stream for each ping.
    connectionMonitor: { enabled: false },
    connectionManager: connections(limits),
    services: {
      identify: quietIdentify({ timeoutMs: limits.onionStreamTimeoutMs }),
      ping: ping(),
      kad: kadDHT({
        protocol: KAD_PROTOCOL,
        clientMode: false,
        peerInfoMapper: mapperOf(isTold),
        ...(isHidden ? { networkDialTimeout: KAD_TIMES } : {}),
        querySelfInterval: 10 * MINUTE,
        allowQueryWithZeroPeers: true,
      }),
    },
  });
}

/**
 * Windows: a bulk stream must have a round trip's worth of bytes on its way, and one slow reader
 * must not make us keep more than this. The first is not told to the other side, so it is a part
 * of `/aegis/hello/2`: a node with another first window would break the rules with its first bytes.
 */
const WINDOW_BYTES = MIB;
const WINDOW_MAX_BYTES = 4 * MIB;

/** Those that are open, and some that were opened and given up before this node looked. */
const BURSTS = 4;

function guardedYamux(limits: HostLimits, deps: SwarmDeps): () => StreamMuxerFactory {
  const make = yamux({
    maxInboundStreams: limits.maxStreamsPerConnection,
    maxOutboundStreams: limits.maxStreamsPerConnection,
    streamOptions: {
      initialStreamWindowSize: WINDOW_BYTES,
      maxStreamWindowSize: WINDOW_MAX_BYTES,
    },
  });
  return () => {
    const inner = make();
    return {
      protocol: inner.protocol,
      createStreamMuxer(connection) {
        guardMuxer(
          connection,
          { maxBytes: WINDOW_MAX_BYTES, openedMax: limits.maxStreamsPerConnection * BURSTS },
          {
            clock: deps.clock,
            opened: (count) => deps.spend(connection, 'streamsPerSecond', count),
          },
        );
        const muxer = sparseWindowUpdates(inner.createStreamMuxer(connection));
        return meterStreams(muxer, {
          clock: deps.clock,
          isMetered: (protocol) => protocol === RPC_PROTOCOL || protocol === CAR_PROTOCOL,
          charge: (requests) => deps.spend(connection, 'requestsPerSecond', requests),
        });
      },
    };
  };
}

/**
 * The gate counts first and says why, and each connection has the times of its class (O24); the
 * numbers of libp2p are for all connections, so they are set out of the way of both.
 */
const connections = (limits: HostLimits) => ({
  maxConnections: (limits.maxConnections + limits.maxOnionConnections) * 2,
  maxIncomingPendingConnections: (limits.maxPendingInbound + limits.maxPendingOnionInbound) * 2,
  inboundConnectionThreshold: limits.inboundPerSecond * 8,
  inboundUpgradeTimeout: Math.max(limits.helloTimeoutMs, limits.onionHelloTimeoutMs),
  inboundStreamProtocolNegotiationTimeout: longest(limits),
  outboundStreamProtocolNegotiationTimeout: longest(limits),
  // Each dial comes with its own end.
  addressDialTimeout: Math.max(limits.onionDialTimeoutMs, limits.dialTimeoutMs) * 2,
  maxParallelDials: limits.maxPendingDials + limits.maxPendingOnionDials,
  // The peer book dials again, by its own rules.
  reconnectRetries: 0,
  // Names are resolved by the transport that dials them, or by an exit; never by libp2p (O1, O5).
  resolvers: {},
});

const longest = ({ streamTimeoutMs, onionStreamTimeoutMs }: HostLimits): number =>
  Math.max(streamTimeoutMs, onionStreamTimeoutMs);
