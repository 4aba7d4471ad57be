/**
 * The libp2p node behind a host: which modules it has and how they are set. Everything that could
 * speak to the outside on its own (mDNS, UPnP, relays, public bootstrap lists) is left out, so
 * that no connection is made that the operator did not ask for.
 */
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { identify } from '@libp2p/identify';
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
import { createLibp2p } from 'libp2p';
import type { Clock } from '../ports.ts';
import { MIB, MINUTE } from '../units.ts';
import { isLoopback } from './addresses.ts';
import type { Allowance } from './conduct.ts';
import type { HostLimits, Profile } from './limits.ts';
import { guardMuxer } from './muxer-guard.ts';
import { noiseCrypto } from './noise-crypto.ts';
import { CAR_PROTOCOL, RPC_PROTOCOL } from './peer-table.ts';
import { silentLogger } from './silent-logger.ts';
import { meterStreams } from './stream-meter.ts';
import { sparseWindowUpdates } from './window-updates.ts';

export interface SwarmOptions {
  readonly networkSeed: Uint8Array;
  readonly listen: readonly string[];
  readonly agent: string;
  readonly limits: HostLimits;
  readonly profile: Profile;
}

export interface SwarmDeps {
  readonly gater: ConnectionGater;
  encrypter(noise: ConnectionEncrypter): ConnectionEncrypter;
  /** @param upgrader of this swarm: makes connections of what its transport accepts. */
  transport(upgrader: Upgrader): Transport;
  readonly clock: Clock;
  /** The peer behind an encrypted stream asks this of the node. @returns how long it must wait. */
  spend(stream: MessageStream, allowance: Allowance, cost: number): number;
}

export type Swarm = Libp2p<{ kad: KadDHT }>;

const KAD_PROTOCOL = '/aegis/kad/1';

/** Outside one machine, loopback addresses of others lead to ourselves. */
const withoutLoopback = (peer: PeerInfo): PeerInfo => ({
  ...peer,
  multiaddrs: peer.multiaddrs.filter((address) => !isLoopback(address)),
});

export async function createSwarm(options: SwarmOptions, deps: SwarmDeps): Promise<Swarm> {
  const { limits, profile, agent } = options;
  const [name = 'aegis', version = '0'] = agent.split('/');
  const makeNoise = noise({ crypto: noiseCrypto() });
  return createLibp2p({
    start: false,
    privateKey: await generateKeyPairFromSeed('Ed25519', options.networkSeed),
    logger: silentLogger(),
    nodeInfo: { name, version, userAgent: agent },
    addresses: { listen: [...options.listen] },
    transports: [({ upgrader }: { upgrader: Upgrader }) => deps.transport(upgrader)],
    connectionEncrypters: [(components) => deps.encrypter(makeNoise(components))],
    streamMuxers: [guardedYamux(limits, deps)],
    connectionGater: deps.gater,
    // Our heartbeat measures peers; libp2p's opens a new stream for each ping.
    connectionMonitor: { enabled: false },
    connectionManager: connections(limits),
    services: {
      identify: identify(),
      ping: ping(),
      kad: kadDHT({
        protocol: KAD_PROTOCOL,
        clientMode: false,
        peerInfoMapper: profile === 'loopback' ? (peer) => peer : withoutLoopback,
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

/** The gate counts first and says why; libp2p's own numbers are set out of its way. */
const connections = (limits: HostLimits) => ({
  maxConnections: limits.maxConnections * 2,
  maxIncomingPendingConnections: limits.maxPendingInbound * 2,
  inboundConnectionThreshold: limits.inboundPerSecond * 8,
  inboundUpgradeTimeout: limits.helloTimeoutMs,
  inboundStreamProtocolNegotiationTimeout: limits.streamTimeoutMs,
  outboundStreamProtocolNegotiationTimeout: limits.helloTimeoutMs,
  maxParallelDials: limits.maxPendingDials,
  // The peer book dials again, by its own rules.
  reconnectRetries: 0,
});
