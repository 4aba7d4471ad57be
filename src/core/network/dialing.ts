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
import { Bucket, Buckets } from './rates.ts';
import { busyBy } from './refusals.ts';

export interface DialingDeps {
  readonly clock: Clock;
  /** @param address without a peer id: who answers there is found out by hello. */
  dial(address: Multiaddr, signal: AbortSignal): Promise<Connection>;
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
}

const MAX_REMEMBERED = 256;

export class Dialing {
  readonly #limits: HostLimits;
  readonly #deps: DialingDeps;
  readonly #pending = new Map<string, Promise<DialedPeer>>();
  /** libp2p keeps only the text of what went wrong in a handshake; the error itself waits here. */
  readonly #failures = new Map<string, AegisError>();
  readonly #stop = new AbortController();
  /** Addresses without peer id that are being dialled on our owner's wish. */
  readonly #wanted = new Map<string, number>();

  readonly #rate: Bucket;
  readonly #rateByAddress: Buckets;

  constructor(options: { limits: HostLimits }, deps: DialingDeps) {
    this.#limits = options.limits;
    this.#deps = deps;
    const { dialsPerSecond, dialsPerSecondPerAddress } = options.limits;
    this.#rate = new Bucket(rateOf(dialsPerSecond), deps);
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
    this.#stop.abort(new AegisError('STOPPING', 'the node is stopping'));
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
   * `STOPPING`.
   */
  async dial(text: string, options: { timeoutMs: number }): Promise<DialedPeer> {
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
  async redial(text: string, options: { timeoutMs: number }): Promise<DialedPeer> {
    return await this.#start(`again ${text}`, text, options);
  }

  #connectedAt(bare: string, peerId: string | undefined): string | undefined {
    if (peerId === undefined) return this.#deps.dialledAt(bare);
    const nodeId = this.#deps.nodeIdOf(peerId) ?? this.#deps.ownerOf(peerId);
    return nodeId !== undefined && this.#deps.isConnected(nodeId) ? nodeId : undefined;
  }

  async #start(key: string, text: string, options: { timeoutMs: number }): Promise<DialedPeer> {
    const running = this.#pending.get(key);
    if (running !== undefined) return running;
    this.#checkRoom(hostOf(parseDialAddress(text)));
    const dial = this.#run(text, options.timeoutMs).finally(() => {
      this.#pending.delete(key);
    });
    this.#pending.set(key, dial);
    return dial;
  }

  /** @throws {AegisError} `BUSY` naming the setting. */
  #checkRoom(host: string): void {
    if (this.#pending.size >= this.#limits.maxPendingDials) {
      throw busyBy('maxPendingDials', 'too many dials are under way');
    }
    if (!this.#rateByAddress.of(networkOf(host)).take()) {
      throw busyBy('dialsPerSecondPerAddress', 'too many dials to one host');
    }
    if (!this.#rate.take()) throw busyBy('dialsPerSecond', 'too many dials a second');
  }

  async #run(text: string, timeoutMs: number): Promise<DialedPeer> {
    const address = parseDialAddress(text);
    const bare = withoutPeer(address);
    this.#failures.delete(bare);
    const deadline = AbortSignal.timeout(timeoutMs);
    this.#wanted.set(bare, (this.#wanted.get(bare) ?? 0) + 1);
    try {
      const signal = AbortSignal.any([deadline, this.#stop.signal]);
      const connection = await this.#deps.dial(parseDialAddress(bare), signal);
      const remote = connection.remotePeer.toString();
      const nodeId = this.#deps.nodeIdOf(remote);
      if (nodeId === undefined) {
        throw new AegisError('DIAL_FAILED', `the node at ${text} closed the connection at once`);
      }
      const meant = peerIn(address) ?? remote;
      if (meant === remote || this.#deps.isMeant(remote, meant)) return { nodeId, address: text };
      throw new AegisError('DIAL_FAILED', `another node answers at ${text}: ${nodeId}`);
    } catch (error) {
      throw this.#explain(text, bare, timeoutMs, deadline, error);
    } finally {
      this.#failures.delete(bare);
      const left = (this.#wanted.get(bare) ?? 1) - 1;
      if (left === 0) this.#wanted.delete(bare);
      else this.#wanted.set(bare, left);
    }
  }

  #explain(
    text: string,
    bare: string,
    timeoutMs: number,
    deadline: AbortSignal,
    error: unknown,
  ): AegisError {
    if (this.#stop.signal.aborted) return new AegisError('STOPPING', 'the node is stopping');
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
