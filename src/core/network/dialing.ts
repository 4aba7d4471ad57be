/**
 * Dials: one at a time to an address, so many in all, each with a deadline and a typed reason when
 * it fails. When to dial again is for the peer book to say.
 */
import type { Connection, MessageStream } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import { AegisError, isAegisError, toAegisError } from '../errors.ts';
import type { Clock, DialedPeer } from '../ports.ts';
import { hostOf, networkOf, parseDialAddress, peerIn, withoutPeer } from './addresses.ts';
import type { HostLimits } from './limits.ts';
import { type Side, sideOf, timesOf } from './passages.ts';
import { Bucket, Buckets } from './rates.ts';
import { busyBy } from './refusals.ts';
import type { AddressClass } from './transports.ts';

export interface DialingDeps {
  readonly clock: Clock;
  /**
   * @param address without a peer id: who answers there is found out by hello.
   * @param options.force also where there is a connection with that address already.
   */
  dial(
    address: Multiaddr,
    options: { readonly signal: AbortSignal; readonly force: boolean },
  ): Promise<Connection>;
  /** Node id behind a peer id that is connected. */
  nodeIdOf(peerId: string): string | undefined;
  /** Node that is known to have, or to have had, a peer id. */
  ownerOf(peerId: string): string | undefined;
  /** Whether the node that has answered with one peer id is the one that another means. */
  isMeant(answering: string, meant: string): boolean;
  isConnected(nodeId: string): boolean;
  /** Node id that this node has dialled at the address and still holds. */
  dialledAt(address: string): string | undefined;
  /** Whether this node has, or has had, the peer id. */
  isOwn(peerId: string): boolean;
  /** How the route dials an address; undefined: not at all. */
  classOf(address: Multiaddr): AddressClass | undefined;
}

export interface DialOptions {
  /** @default that of the class of the address (O24) */
  readonly timeoutMs?: number | undefined;
}

interface Pending {
  readonly side: Side;
  readonly dial: Promise<DialedPeer>;
}

const MAX_REMEMBERED = 256;

export class Dialing {
  readonly #limits: HostLimits;
  readonly #deps: DialingDeps;
  readonly #pending = new Map<string, Pending>();
  /** libp2p keeps only the text of what went wrong in a handshake; the error itself waits here. */
  readonly #failures = new Map<string, AegisError>();
  #stop = new AbortController();
  #isStopped = false;
  /** Addresses without peer id that are being dialled on our owner's wish. */
  readonly #wanted = new Map<string, number>();

  readonly #rates: Readonly<Record<Side, Bucket>>;
  readonly #rateByAddress: Buckets;

  constructor(options: { limits: HostLimits }, deps: DialingDeps) {
    this.#limits = options.limits;
    this.#deps = deps;
    const { dialsPerSecond, dialsPerSecondPerAddress } = options.limits;
    const rate = rateOf(dialsPerSecond);
    this.#rates = { direct: new Bucket(rate, deps), onion: new Bucket(rate, deps) };
    this.#rateByAddress = new Buckets({ rate: rateOf(dialsPerSecondPerAddress) }, deps);
  }

  get pending(): number {
    return this.#pending.size;
  }

  /**
   * Whether a dial is one of ours. libp2p would also dial by itself: peers that Kademlia has
   * tagged, and any address that a member names in an answer.
   */
  wants(address: Multiaddr): boolean {
    return this.#wanted.has(withoutPeer(address));
  }

  stop(): void {
    this.#isStopped = true;
    this.#stop.abort(new AegisError('STOPPING', 'the node is stopping'));
  }

  /** Ends the dials under way; later ones begin as ever (O6). */
  cut(reason: AegisError): void {
    if (this.#isStopped) return;
    this.#stop.abort(reason);
    this.#stop = new AbortController();
  }

  /** Called by the handshake, before libp2p reports the failed dial. */
  remember(connection: MessageStream, error: AegisError): void {
    const { remoteAddr } = connection as MessageStream & { remoteAddr?: Multiaddr };
    if (remoteAddr === undefined) return;
    if (this.#failures.size >= MAX_REMEMBERED) this.#failures.clear();
    this.#failures.set(withoutPeer(remoteAddr), error);
  }

  /**
   * The peer id in an address says which node is meant, not with which key it answers: one that its
   * succession has outlived still leads to the node.
   * @throws {AegisError} `BAD_REQUEST`, `BUSY`, `DIAL_FAILED`, `HELLO_REFUSED`, `TIMEOUT`,
   * `ROUTE_FORBIDS`, `STOPPING`, and what Tor says of an onion service.
   */
  async dial(text: string, options: DialOptions = {}): Promise<DialedPeer> {
    const address = parseDialAddress(text);
    const peerId = peerIn(address);
    if (peerId !== undefined && this.#deps.isOwn(peerId)) {
      throw new AegisError('BAD_REQUEST', `the address ${text} is this node itself`);
    }
    const connected = this.#connectedAt(withoutPeer(address), peerId);
    if (connected !== undefined) return { nodeId: connected, address: text };
    return await this.#start(text, text, options);
  }

  /** Dials a peer that is connected already, e.g. with another key (H5). See `dial`. */
  async redial(text: string, options: DialOptions = {}): Promise<DialedPeer> {
    return await this.#start(`again ${text}`, text, options);
  }

  /**
   * Dials a peer that is connected already once more, for bulk streams (O11).
   * @param lane the address of its service, with the number of the lane.
   */
  async lane(lane: Multiaddr): Promise<Connection> {
    const key = lane.toString();
    const side = this.#checkRoom(lane);
    const deadline = AbortSignal.timeout(timesOf(this.#limits, side).dialMs);
    const dial = this.#connect(lane, key, { deadline, force: true });
    const named = dial.then((connection) => ({
      nodeId: this.#deps.nodeIdOf(connection.remotePeer.toString()) ?? '',
      address: key,
    }));
    this.#pending.set(key, { side, dial: named });
    named.catch(() => undefined);
    return await dial.finally(() => this.#pending.delete(key));
  }

  #connectedAt(bare: string, peerId: string | undefined): string | undefined {
    if (peerId === undefined) return this.#deps.dialledAt(bare);
    const nodeId = this.#deps.nodeIdOf(peerId) ?? this.#deps.ownerOf(peerId);
    return nodeId !== undefined && this.#deps.isConnected(nodeId) ? nodeId : undefined;
  }

  async #start(key: string, text: string, options: DialOptions): Promise<DialedPeer> {
    const running = this.#pending.get(key);
    if (running !== undefined) return running.dial;
    const side = this.#checkRoom(parseDialAddress(text));
    const dial = this.#run(text, options.timeoutMs).finally(() => {
      this.#pending.delete(key);
    });
    this.#pending.set(key, { side, dial });
    return dial;
  }

  /** @throws {AegisError} `BUSY` naming the setting, `ROUTE_FORBIDS`. */
  #checkRoom(address: Multiaddr): Side {
    const side = sideOf(this.#wayOf(address));
    const knob = side === 'onion' ? 'maxPendingOnionDials' : 'maxPendingDials';
    const rivals = [...this.#pending.values()].filter((one) => one.side === side);
    if (rivals.length >= this.#limits[knob]) throw busyBy(knob, 'too many dials are under way');
    if (!this.#rateByAddress.of(networkOf(hostOf(address))).take()) {
      throw busyBy('dialsPerSecondPerAddress', 'too many dials to one host');
    }
    if (!this.#rates[side].take()) throw busyBy('dialsPerSecond', 'too many dials a second');
    return side;
  }

  /** @throws {AegisError} `ROUTE_FORBIDS`. */
  #wayOf(address: Multiaddr): AddressClass {
    const way = this.#deps.classOf(address);
    if (way !== undefined) return way;
    throw new AegisError('ROUTE_FORBIDS', `the route has no way to ${withoutPeer(address)}`, {
      hint: 'See the setting tor.route.',
    });
  }

  async #run(text: string, wishMs: number | undefined): Promise<DialedPeer> {
    const address = parseDialAddress(text);
    const bare = withoutPeer(address);
    const timeoutMs = wishMs ?? timesOf(this.#limits, this.#wayOf(address)).dialMs;
    const deadline = AbortSignal.timeout(timeoutMs);
    const stop = this.#stop.signal;
    this.#failures.delete(bare);
    try {
      const connection = await this.#connect(parseDialAddress(bare), bare, {
        ...{ deadline, force: false },
      });
      const remote = connection.remotePeer.toString();
      const nodeId = this.#deps.nodeIdOf(remote);
      if (nodeId === undefined) {
        throw new AegisError('DIAL_FAILED', `the node at ${text} closed the connection at once`);
      }
      const meant = peerIn(address) ?? remote;
      if (meant === remote || this.#deps.isMeant(remote, meant)) return { nodeId, address: text };
      throw new AegisError('DIAL_FAILED', `another node answers at ${text}: ${nodeId}`);
    } catch (error) {
      if (stop.aborted) throw stop.reason;
      throw this.#explain(text, bare, timeoutMs, deadline, error);
    } finally {
      this.#failures.delete(bare);
    }
  }

  /** Libp2p may dial the address while this runs. */
  async #connect(
    address: Multiaddr,
    key: string,
    { deadline, force }: { deadline: AbortSignal; force: boolean },
  ): Promise<Connection> {
    this.#wanted.set(key, (this.#wanted.get(key) ?? 0) + 1);
    try {
      const signal = AbortSignal.any([deadline, this.#stop.signal]);
      return await this.#deps.dial(address, { signal, force });
    } finally {
      const left = (this.#wanted.get(key) ?? 1) - 1;
      if (left === 0) this.#wanted.delete(key);
      else this.#wanted.set(key, left);
    }
  }

  #explain(
    text: string,
    bare: string,
    timeoutMs: number,
    deadline: AbortSignal,
    error: unknown,
  ): AegisError {
    const failure = this.#failures.get(bare);
    if (failure !== undefined) {
      const { code, hint, details } = failure;
      const options = hint === undefined ? { details } : { hint, details };
      return new AegisError(code, `${failure.message} (${text})`, { ...options, cause: failure });
    }
    if (deadline.aborted) {
      return new AegisError('TIMEOUT', `no answer from ${text} within ${timeoutMs} ms`);
    }
    if (isAegisError(error)) return error;
    if (speaksNoHello(error)) {
      return new AegisError('HELLO_REFUSED', `the node at ${text} speaks another hello than ours`, {
        hint: 'Upgrade the older of the two nodes.',
        cause: error,
      });
    }
    return new AegisError('DIAL_FAILED', `cannot reach ${text}: ${toAegisError(error).message}`, {
      hint: 'Is the other node running, and the address right?',
      cause: error,
    });
  }
}

/** libp2p has found no handshake that both sides know. */
const speaksNoHello = (error: unknown): boolean =>
  /UnsupportedProtocol|protocol selection failed/i.test(String((error as Error)?.stack ?? error));

/** A node that starts dials everybody it knows. */
const rateOf = (perSecond: number) => ({ perSecond, burst: perSecond * 4 });
