/**
 * Noise, then hello, then the muxer: a libp2p connection encrypter. Because hello is done before a
 * muxer exists, no protocol at all (identify, ping, Kademlia, rpc) ever answers a stranger.
 * It does not count connections: the gate does, and says through `place` whether there is room.
 */
import type {
  ConnectionEncrypter,
  MessageStream,
  PeerId,
  SecureConnectionOptions,
  SecuredConnection,
} from '@libp2p/interface';
import { AegisError, hasCode, isAegisError, toAegisError } from '../errors.ts';
import { coalesceWrites } from './coalesce.ts';
import { FrameChannel } from './frame-channel.ts';
import {
  encodeHello,
  encodeRefusal,
  type HelloContext,
  type HelloIdentity,
  judgeDialer,
  judgeListener,
  type Refusal,
} from './hello.ts';
import type { HostLimits } from './limits.ts';

export interface HelloEncrypterOptions {
  readonly hello: HelloContext;
  readonly agent: string;
  readonly limits: HostLimits;
}

export interface HelloEncrypterDeps {
  readonly noise: ConnectionEncrypter;
  /** A member has proved itself; the answer may still be a refusal. */
  place(identity: HelloIdentity, peerId: PeerId): Refusal | undefined;
  /** Who was behind a network key before, if anybody. */
  lastKnown(peerId: PeerId): HelloIdentity | undefined;
  /** Whether this node keeps itself apart from a member that it has dialled. */
  isIsolated(nodeId: string): boolean;
  /** A peer that has passed hello, told before its connection opens. */
  onIdentity(peerId: PeerId, identity: HelloIdentity): void;
  /** Why a handshake failed; libp2p keeps the text only. */
  onFailure(direction: 'inbound' | 'outbound', connection: MessageStream, error: AegisError): void;
}

export class HelloEncrypter implements ConnectionEncrypter {
  readonly protocol = '/aegis/hello/1';
  readonly #options: HelloEncrypterOptions;
  readonly #deps: HelloEncrypterDeps;

  constructor(options: HelloEncrypterOptions, deps: HelloEncrypterDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  async secureOutbound(
    connection: MessageStream,
    options: SecureConnectionOptions = {},
  ): Promise<SecuredConnection> {
    try {
      const signal = this.#deadline(options);
      coalesceWrites(connection);
      const secured = await this.#deps.noise.secureOutbound(connection, { ...options, signal });
      await this.#introduce(secured, signal);
      return secured;
    } catch (error) {
      throw this.#failed('outbound', connection, error);
    }
  }

  async secureInbound(
    connection: MessageStream,
    options: SecureConnectionOptions = {},
  ): Promise<SecuredConnection> {
    try {
      const signal = this.#deadline(options);
      coalesceWrites(connection);
      const secured = await this.#deps.noise.secureInbound(connection, { ...options, signal });
      await this.#receive(secured, signal);
      return secured;
    } catch (error) {
      throw this.#failed('inbound', connection, error);
    }
  }

  async #introduce(secured: SecuredConnection, signal: AbortSignal): Promise<void> {
    const { hello, agent, limits } = this.#options;
    const networkKey = keyOf(secured.remotePeer);
    if (!hello.expects(networkKey)) {
      throw new AegisError('HELLO_REFUSED', 'the node at this address is no member', {
        hint: 'Check the address, and that both nodes have the same genesis file.',
      });
    }
    // Asked before this node says anything: the other one would take it for connected.
    this.#mayKnow(this.#deps.lastKnown(secured.remotePeer));
    const channel = new FrameChannel({ maxBytes: limits.helloMaxBytes }, secured.connection);
    try {
      channel.write(encodeHello(hello, agent));
      const answer = await channel.read(signal).catch(explainSilence);
      const identity = judgeListener(answer, networkKey, hello, limits.helloMaxBytes);
      this.#mayKnow(identity);
      this.#deps.onIdentity(secured.remotePeer, identity);
    } finally {
      channel.release();
    }
  }

  async #receive(secured: SecuredConnection, signal: AbortSignal): Promise<void> {
    const { hello, agent, limits } = this.#options;
    const channel = new FrameChannel({ maxBytes: limits.helloMaxBytes }, secured.connection);
    try {
      const frame = await channel.read(signal);
      const networkKey = keyOf(secured.remotePeer);
      const verdict = judgeDialer(frame, networkKey, hello, limits.helloMaxBytes);
      const refusal =
        verdict.type === 'refused'
          ? verdict.refusal
          : this.#deps.place(verdict.identity, secured.remotePeer);
      if (refusal !== undefined) {
        channel.write(encodeRefusal(refusal));
        await secured.connection.close({ signal });
        throw new AegisError('HELLO_REFUSED', `refused ${verdict.identity.nodeId}: ${refusal}`);
      }
      this.#deps.onIdentity(secured.remotePeer, verdict.identity);
      channel.write(encodeHello(hello, agent));
    } finally {
      channel.release();
    }
  }

  #mayKnow(identity: HelloIdentity | undefined): void {
    if (identity === undefined || !this.#deps.isIsolated(identity.nodeId)) return;
    throw new AegisError('HELLO_REFUSED', `this node keeps itself apart from ${identity.name}`, {
      hint: 'In a devnet: aegis devnet heal',
      details: { refusal: 'ISOLATED' },
    });
  }

  #deadline(options: SecureConnectionOptions): AbortSignal {
    const deadline = AbortSignal.timeout(this.#options.limits.helloTimeoutMs);
    return options.signal === undefined ? deadline : AbortSignal.any([options.signal, deadline]);
  }

  #failed(direction: 'inbound' | 'outbound', connection: MessageStream, error: unknown): Error {
    const typed = isAegisError(error)
      ? error
      : new AegisError('DIAL_FAILED', `the handshake failed: ${toAegisError(error).message}`, {
          cause: error,
        });
    this.#deps.onFailure(direction, connection, typed);
    return typed;
  }
}

/** A listener that does not know us says nothing, so the dialer can only guess at the reason. */
function explainSilence(error: unknown): never {
  if (!hasCode(error, 'DIAL_FAILED')) throw error;
  throw new AegisError('HELLO_REFUSED', 'the other node closed the connection without an answer', {
    hint: 'It does not know this node as a member: do both have the same genesis file?',
    cause: error,
  });
}

function keyOf(peerId: PeerId): Uint8Array {
  if (peerId.type !== 'Ed25519') {
    throw new AegisError('HELLO_REFUSED', `a ${peerId.type} network key is not supported`);
  }
  return peerId.publicKey.raw;
}
