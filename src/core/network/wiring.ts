/**
 * What a swarm of this host is connected with: hello at its encrypter, the protocols of this room,
 * and what becomes of a connection that has opened. It makes no swarm, and decides nothing.
 */
import type {
  Connection,
  ConnectionEncrypter,
  MessageStream,
  PeerId,
  Stream,
} from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import { AegisError } from '../errors.ts';
import { hostOf, isOnion } from './addresses.ts';
import type { Bulk } from './bulk.ts';
import type { Dialing } from './dialing.ts';
import type { Gate } from './gate.ts';
import type { HelloContext } from './hello.ts';
import { HelloEncrypter } from './hello-encrypter.ts';
import type { LearnedAddresses } from './host-types.ts';
import type { Identities } from './identities.ts';
import type { Lanes } from './lanes.ts';
import type { HostLimits } from './limits.ts';
import { limitStreams, type Passages, timesOf } from './passages.ts';
import { CAR_PROTOCOL, type PeerTable, RPC_PROTOCOL } from './peer-table.ts';
import type { Refusals } from './refusals.ts';
import type { RpcServer } from './rpc-server.ts';
import type { Swarm } from './swarm.ts';
import type { Tickets } from './tickets.ts';

export interface WiringOptions {
  readonly hello: HelloContext;
  readonly agent: string;
  /** Of this process. */
  readonly instance: Uint8Array;
  readonly limits: HostLimits;
}

export interface WiringDeps {
  readonly bulk: Bulk;
  readonly dialing: Dialing;
  readonly gate: Gate;
  readonly identities: Identities;
  readonly lanes: Lanes;
  readonly passages: Passages;
  readonly refusals: Refusals;
  readonly rpc: RpcServer;
  readonly table: PeerTable;
  readonly tickets: Tickets;
  /** Whether the host has a swarm that dials and answers. */
  isRunning(): boolean;
  learned(learned: LearnedAddresses): void;
}

export const stopping = (): AegisError => new AegisError('STOPPING', 'the node is stopping');

export class Wiring {
  readonly #options: WiringOptions;
  readonly #deps: WiringDeps;

  constructor(options: WiringOptions, deps: WiringDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Puts the protocols of this room on a swarm. */
  async wire(swarm: Swarm, generation: number): Promise<void> {
    const { table, lanes, rpc, bulk } = this.#deps;
    const { limits } = this.#options;
    swarm.addEventListener('connection:open', ({ detail }) =>
      this.#opened(swarm, detail, generation),
    );
    swarm.addEventListener('connection:close', ({ detail }) => {
      table.remove(detail);
      lanes.remove(detail);
    });
    swarm.addEventListener('peer:identify', ({ detail }) =>
      this.#learned(detail.peerId, detail.listenAddrs),
    );
    const streams = { maxInboundStreams: limits.maxStreamsPerConnection };
    await swarm.handle(
      RPC_PROTOCOL,
      (stream, connection) => this.#serve(stream, connection, (id) => rpc.serve(id, stream)),
      streams,
    );
    await swarm.handle(
      CAR_PROTOCOL,
      (stream, connection) =>
        this.#serve(stream, connection, (id, { streamMs }) => bulk.serve(id, stream, streamMs)),
      streams,
    );
  }

  encrypter(noise: ConnectionEncrypter, networkKey: Uint8Array): HelloEncrypter {
    const { identities, gate, passages, dialing, refusals } = this.#deps;
    return new HelloEncrypter(
      { ...this.#options, networkKey },
      {
        noise,
        lastKnown: (peerId) => identities.get(peerId.toString()),
        isIsolated: (nodeId) => gate.isIsolated(nodeId),
        passage: (connection) => passages.of(connection),
        place: (identity, peerId, passage) =>
          gate.place(identity.nodeId, peerId.toString(), passage),
        judging: () => identities.reviews,
        onIdentity: (peerId, heard, reviews) => identities.keep(peerId.toString(), heard, reviews),
        onFailure: (direction, connection, error) => {
          if (direction === 'outbound') dialing.remember(connection, error);
          else refusals.hello({ address: hostOfStream(connection) }, error.message);
        },
      },
    );
  }

  #opened(swarm: Swarm, connection: Connection, generation: number): void {
    const { identities, gate, lanes, table, passages, tickets } = this.#deps;
    const identity = identities.accepted(connection.remotePeer.toString());
    // Only a peer that has passed hello gets this far; anything else must not stay.
    if (identity === undefined || !this.#deps.isRunning()) return connection.abort(stopping());
    // It had passed before the isolation began; or this node has dialled one that it has cut.
    if (gate.isApart(identity.nodeId)) return connection.abort(stopping());
    const { class: way, purpose, lane } = passages.of(connection);
    limitStreams(connection, timesOf(this.#options.limits, way));
    const link = { connection, identity, generation, class: way };
    if (purpose === 'lane') return lanes.add(link, lane);
    const { remoteAddr, direction } = connection;
    if (direction === 'outbound' && isOnion(remoteAddr)) {
      tickets.met(hostOf(remoteAddr), identity.nodeId);
    }
    table.add(link);
    // Where it listens; a peer that does not say it is a peer all the same.
    swarm.services.identify.identify(connection).catch(() => undefined);
  }

  #serve(
    stream: Stream,
    connection: Connection,
    serve: (nodeId: string, times: { readonly streamMs: number }) => void | Promise<void>,
  ): void {
    const { identities, passages } = this.#deps;
    const identity = identities.get(connection.remotePeer.toString());
    const { class: way, purpose } = passages.of(connection);
    const isMisused = purpose === 'lane' && stream.protocol !== CAR_PROTOCOL;
    if (identity === undefined || isMisused || !this.#deps.isRunning()) stream.abort(stopping());
    else void serve(identity.nodeId, timesOf(this.#options.limits, way));
  }

  #learned(peerId: PeerId, listens: readonly Multiaddr[]): void {
    const { table, tickets } = this.#deps;
    const nodeId = table.nodeIdOf(peerId.toString());
    if (nodeId === undefined) return;
    const addresses = listens.map(String);
    table.learned(nodeId, addresses);
    for (const address of listens.filter(isOnion)) tickets.claimed(hostOf(address), nodeId);
    this.#deps.learned({ nodeId, addresses });
  }
}

function hostOfStream(stream: MessageStream): string {
  const { remoteAddr } = stream as MessageStream & { remoteAddr?: Multiaddr };
  return remoteAddr === undefined ? 'unknown' : hostOf(remoteAddr);
}
