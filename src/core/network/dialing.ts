/**
 * Dials: one at a time to an address, so many in all, each with a deadline and a typed reason when
 * it fails. When to dial again is for the peer book to say.
 */
import type { Connection, MessageStream } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import { AegisError, isAegisError, toAegisError } from '../errors.ts';
import type { DialedPeer } from '../ports.ts';
import { parseDialAddress, peerIn, withoutPeer } from './addresses.ts';
import type { HostLimits } from './limits.ts';

export interface DialingDeps {
  dial(address: Multiaddr, signal: AbortSignal): Promise<Connection>;
  /** Node id behind a peer id that is connected. */
  nodeIdOf(peerId: string): string | undefined;
  /** Node id that this node has dialled at the address and still holds. */
  dialledAt(address: string): string | undefined;
  readonly ownPeerId: string;
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

  constructor(options: { limits: HostLimits }, deps: DialingDeps) {
    this.#limits = options.limits;
    this.#deps = deps;
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
   * @throws {AegisError} `BAD_REQUEST`, `BUSY`, `DIAL_FAILED`, `HELLO_REFUSED`, `TIMEOUT`,
   * `STOPPING`.
   */
  async dial(text: string, options: { timeoutMs: number }): Promise<DialedPeer> {
    const address = parseDialAddress(text);
    const peerId = peerIn(address);
    if (peerId === this.#deps.ownPeerId) {
      throw new AegisError('BAD_REQUEST', `the address ${text} is this node itself`);
    }
    const bare = withoutPeer(address);
    const connected =
      peerId === undefined ? this.#deps.dialledAt(bare) : this.#deps.nodeIdOf(peerId);
    if (connected !== undefined) return { nodeId: connected, address: text };
    const running = this.#pending.get(text);
    if (running !== undefined) return running;
    if (this.#pending.size >= this.#limits.maxPendingDials) {
      throw new AegisError('BUSY', 'too many dials are under way', {
        details: { knob: 'maxPendingDials' },
      });
    }
    const dial = this.#run(text, address, options.timeoutMs).finally(() => {
      this.#pending.delete(text);
    });
    this.#pending.set(text, dial);
    return dial;
  }

  async #run(text: string, address: Multiaddr, timeoutMs: number): Promise<DialedPeer> {
    const bare = withoutPeer(address);
    this.#failures.delete(bare);
    const deadline = AbortSignal.timeout(timeoutMs);
    this.#wanted.set(bare, (this.#wanted.get(bare) ?? 0) + 1);
    try {
      const signal = AbortSignal.any([deadline, this.#stop.signal]);
      const connection = await this.#deps.dial(address, signal);
      const nodeId = this.#deps.nodeIdOf(connection.remotePeer.toString());
      if (nodeId !== undefined) return { nodeId, address: text };
      throw new AegisError('DIAL_FAILED', `the node at ${text} closed the connection at once`);
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
    return new AegisError('DIAL_FAILED', `cannot reach ${text}: ${toAegisError(error).message}`, {
      hint: 'Is the other node running, and the address right?',
      cause: error,
    });
  }
}
