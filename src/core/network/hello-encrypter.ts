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
  checkWelcome,
  encodeHello,
  encodeKnock,
  encodeRefusal,
  encodeWelcome,
  type Heard,
  type HelloContext,
  type HelloIdentity,
  type HelloReading,
  type Judged,
  judgeDialer,
  judgeFirst,
  judgeListener,
  type Refusal,
} from './hello.ts';
import type { HostLimits } from './limits.ts';
import { type Passage, type Purpose, timesOf } from './passages.ts';

export interface HelloEncrypterOptions {
  readonly hello: HelloContext;
  /** Public key of the network seed with which Noise runs here, 32 bytes. */
  readonly networkKey: Uint8Array;
  readonly agent: string;
  /** Of this process. */
  readonly instance?: Uint8Array;
  readonly limits: HostLimits;
}

export interface HelloEncrypterDeps {
  readonly noise: ConnectionEncrypter;
  /** What is known of a raw connection. */
  passage(connection: MessageStream): Passage;
  /** A member has proved itself; the answer may still be a refusal. */
  place(identity: HelloIdentity, peerId: PeerId, passage: Passage): Refusal | undefined;
  /** Who was behind a network key before, if anybody. */
  lastKnown(peerId: PeerId): HelloIdentity | undefined;
  /** Whether this node keeps itself apart from a member that it has dialled. */
  isIsolated(nodeId: string): boolean;
  /** Marks the time of a judgement, for `onIdentity`. */
  judging(): number;
  /** A peer that has passed hello, told before its connection opens. */
  onIdentity(peerId: PeerId, heard: Heard, judged: number): void;
  /** Why a handshake failed; libp2p keeps the text only. */
  onFailure(direction: 'inbound' | 'outbound', connection: MessageStream, error: AegisError): void;
}

const HELLO_PROTOCOL = '/aegis/hello/2';

export class HelloEncrypter implements ConnectionEncrypter {
  readonly protocol = HELLO_PROTOCOL;
  readonly #options: HelloEncrypterOptions;
  readonly #deps: HelloEncrypterDeps;
  readonly #nodeIds = new WeakMap<MessageStream, string>();
  #underWay = 0;

  constructor(options: HelloEncrypterOptions, deps: HelloEncrypterDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Handshakes that have begun and not ended. */
  get underWay(): number {
    return this.#underWay;
  }

  /** The member at the other end of an encrypted stream, once it has passed hello. */
  nodeIdOf(stream: MessageStream): string | undefined {
    return this.#nodeIds.get(stream);
  }

  async secureOutbound(
    connection: MessageStream,
    options: SecureConnectionOptions = {},
  ): Promise<SecuredConnection> {
    this.#underWay += 1;
    try {
      const passage = this.#deps.passage(connection);
      const signal = this.#deadline(passage, options);
      coalesceWrites(connection);
      const secured = await this.#deps.noise.secureOutbound(connection, { ...options, signal });
      await this.#introduce(secured, passage, signal);
      return secured;
    } catch (error) {
      throw this.#failed('outbound', connection, error);
    } finally {
      this.#underWay -= 1;
    }
  }

  async secureInbound(
    connection: MessageStream,
    options: SecureConnectionOptions = {},
  ): Promise<SecuredConnection> {
    this.#underWay += 1;
    try {
      const passage = this.#deps.passage(connection);
      const signal = this.#deadline(passage, options);
      coalesceWrites(connection);
      const secured = await this.#deps.noise.secureInbound(connection, { ...options, signal });
      await this.#receive(secured, passage, signal);
      return secured;
    } catch (error) {
      throw this.#failed('inbound', connection, error);
    } finally {
      this.#underWay -= 1;
    }
  }

  async #introduce(
    secured: SecuredConnection,
    passage: Passage,
    signal: AbortSignal,
  ): Promise<void> {
    const { hello, limits } = this.#options;
    const networkKey = keyOf(secured.remotePeer);
    // Asked before this node says anything: the other one would take it for connected.
    this.#mayKnow(this.#deps.lastKnown(secured.remotePeer));
    const channel = new FrameChannel({ maxBytes: limits.helloMaxBytes }, secured.connection);
    try {
      const judged = this.#deps.judging();
      const heard = hello.expects(networkKey)
        ? await this.#greet(channel, networkKey, passage, signal)
        : await this.#knock(channel, networkKey, passage, signal);
      this.#met(secured, passage, heard, judged);
    } finally {
      channel.release();
    }
  }

  async #greet(
    channel: FrameChannel,
    networkKey: Uint8Array,
    { purpose }: Passage,
    signal: AbortSignal,
  ): Promise<Heard> {
    channel.write(this.#ownHello(purpose));
    const answer = await channel.read(signal).catch(explainSilence);
    const heard = judgeListener(answer, this.#reading(networkKey));
    this.#mayKnow(heard.identity);
    return heard;
  }

  /** H3: whoever is there introduces itself first, or learns no more than that somebody knocked. */
  async #knock(
    channel: FrameChannel,
    networkKey: Uint8Array,
    { purpose }: Passage,
    signal: AbortSignal,
  ): Promise<Heard> {
    const { hello, networkKey: dialer, limits } = this.#options;
    channel.write(encodeKnock(hello.clusterId, { dialer, listener: networkKey }));
    const answer = await channel.read(signal).catch(explainNoIntroduction);
    const heard = judgeListener(answer, this.#reading(networkKey));
    this.#mayKnow(heard.identity);
    channel.write(this.#ownHello(purpose));
    checkWelcome(await channel.read(signal).catch(explainSilence), limits.helloMaxBytes);
    return heard;
  }

  async #receive(secured: SecuredConnection, passage: Passage, signal: AbortSignal): Promise<void> {
    const { limits, networkKey: ownKey } = this.#options;
    const channel = new FrameChannel({ maxBytes: limits.helloMaxBytes }, secured.connection);
    const reading = this.#reading(keyOf(secured.remotePeer));
    const admit = (judged: Judged) => this.#admit(secured, channel, { judged, passage, signal });
    try {
      const first = judgeFirst(await channel.read(signal), reading, ownKey);
      if (first.type !== 'knock') {
        await admit(first);
        channel.write(this.#ownHello());
        return;
      }
      channel.write(this.#ownHello());
      await admit(judgeDialer(await channel.read(signal), reading));
      channel.write(encodeWelcome());
    } finally {
      channel.release();
    }
  }

  /** @throws {AegisError} `HELLO_REFUSED` when the member was told that it is not let in. */
  async #admit(
    secured: SecuredConnection,
    channel: FrameChannel,
    { judged, passage, signal }: { judged: Judged; passage: Passage; signal: AbortSignal },
  ): Promise<void> {
    const { identity } = judged;
    passage.purpose = judged.purpose;
    const refusal =
      judged.type === 'refused'
        ? judged.refusal
        : this.#deps.place(identity, secured.remotePeer, passage);
    if (refusal !== undefined) {
      channel.write(encodeRefusal(refusal));
      await secured.connection.close({ signal });
      throw new AegisError('HELLO_REFUSED', `refused ${identity.nodeId}: ${refusal}`);
    }
    this.#met(secured, passage, judged, this.#deps.judging());
  }

  #met(secured: SecuredConnection, passage: Passage, heard: Heard, judged: number): void {
    const { nodeId } = heard.identity;
    passage.nodeId = nodeId;
    this.#nodeIds.set(secured.connection, nodeId);
    this.#deps.onIdentity(secured.remotePeer, heard, judged);
  }

  #reading(networkKey: Uint8Array): HelloReading {
    const { hello, limits } = this.#options;
    return { context: hello, networkKey, maxBytes: limits.helloMaxBytes };
  }

  #ownHello(purpose: Purpose = 'talk'): Uint8Array {
    const { hello, agent, limits, instance } = this.#options;
    return encodeHello(hello, agent, limits.helloMaxBytes, instance, purpose);
  }

  #mayKnow(identity: HelloIdentity | undefined): void {
    if (identity === undefined || !this.#deps.isIsolated(identity.nodeId)) return;
    throw new AegisError('HELLO_REFUSED', `this node keeps itself apart from ${identity.name}`, {
      hint: 'In a devnet: aegis devnet heal',
      details: { refusal: 'ISOLATED' },
    });
  }

  #deadline({ class: way }: Passage, options: SecureConnectionOptions): AbortSignal {
    const deadline = AbortSignal.timeout(timesOf(this.#options.limits, way).helloMs);
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

/** Nobody answers a knock but a node of the same cluster. */
function explainNoIntroduction(error: unknown): never {
  if (!hasCode(error, 'DIAL_FAILED')) throw error;
  throw new AegisError('HELLO_REFUSED', 'the node at this address is no member', {
    hint: 'Check the address, and that both nodes have the same genesis file.',
    cause: error,
  });
}

function keyOf(peerId: PeerId): Uint8Array {
  if (peerId.type !== 'Ed25519') {
    throw new AegisError('HELLO_REFUSED', `a ${peerId.type} network key is not supported`);
  }
  return peerId.publicKey.raw;
}
