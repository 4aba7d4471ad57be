/**
 * Between the network and the chain: opens what peers send, has the signatures in it checked in the
 * pool of threads, and gives it to the machine only then. What one peer sends on one protocol
 * stays in order, and waits behind nobody else's. What does not hold is dropped whole and named.
 * What needs a key that is not known here yet is kept, within limits, until keys have changed.
 */
import { AegisError, toAegisError } from '../errors.ts';
import type { SignatureCheck } from '../model/signed.ts';
import type { IncomingEnvelope } from '../network/rpc-server.ts';
import type { Metrics } from '../ports.ts';
import { MIB, MINUTE, type Verified, verified } from '../units.ts';

export interface MessageGateOptions {
  /** Messages of one peer and protocol that wait for their checks. @default 256 */
  readonly waitingMax?: number;
  /** The same in bytes. @default 4 MiB */
  readonly waitingBytesMax?: number;
  /**
   * Signatures of one message that are in the pool at a time; and while so many of a peer and
   * protocol wait, those of its later messages are not begun. @default 64
   */
  readonly checksAtOnce?: number;
  /**
   * A peer that has sent so many messages on one protocol within `badMs` that do not hold is not
   * read there until `badMs` after the first of them: what it sends costs time. Whoever follows the
   * rules sends none. @default 64
   */
  readonly badMax?: number;
  /** @default 1 min */
  readonly badMs?: number;
  /** Messages that wait for keys, of all peers; the oldest ones make room. @default 32 */
  readonly earlyMax?: number;
  /** The same in bytes. @default 1 MiB */
  readonly earlyBytesMax?: number;
  /** Milliseconds that only grow. @default performance.now */
  readonly now?: () => number;
}

interface Opened<M> {
  readonly message: M;
  readonly checks: readonly SignatureCheck[];
  /** Something was left out of it, since its key is not known here yet. */
  readonly isEarly?: boolean;
}

export interface MessageGateDeps<M> {
  /** Whether the peer has anything to say on the protocol: else nothing of it is even decoded. */
  isAllowed(from: string, protocol: string): boolean;
  /** Decodes. @throws {AegisError} for what cannot be read. */
  open(protocol: string, body: Uint8Array): Opened<M>;
  /** The identity key of a member in a key epoch. */
  keyOf(nodeId: string, keyEpoch: number): Uint8Array | undefined;
  /** Off the thread. */
  verify(key: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean>;
  /** All its signatures hold. */
  offer(from: string, message: Verified<M>, sizeBytes: number): void;
  /** A peer has sent something that nobody who follows the rules sends. */
  refused(from: string, error: AegisError): void;
  readonly metrics: Metrics;
}

/** What one peer sends on one protocol. */
interface Lane {
  count: number;
  bytes: number;
  /** Signatures whose checks have begun, of all its messages. */
  checks: number;
  last: Promise<void> | undefined;
}

/** Messages of one peer on one protocol that did not hold. */
interface Bad {
  count: number;
  readonly since: number;
}

const DEFAULTS: Required<MessageGateOptions> = {
  waitingMax: 256,
  waitingBytesMax: 4 * MIB,
  checksAtOnce: 64,
  badMax: 64,
  badMs: MINUTE,
  earlyMax: 32,
  earlyBytesMax: MIB,
  now: () => performance.now(),
};

export class MessageGate<M> {
  readonly #options: Required<MessageGateOptions>;
  readonly #deps: MessageGateDeps<M>;
  readonly #lanes = new Map<string, Lane>();
  /** At most one for each member and protocol. */
  readonly #bad = new Map<string, Bad>();
  #early: IncomingEnvelope[] = [];

  constructor(options: MessageGateOptions, deps: MessageGateDeps<M>) {
    this.#options = { ...DEFAULTS, ...options };
    this.#deps = deps;
  }

  /** Keys have changed: what waited for them is read again. */
  retry(): void {
    const early = this.#early;
    this.#early = [];
    for (const envelope of early) this.take(envelope);
  }

  take(envelope: IncomingEnvelope): void {
    const { from, protocol, body } = envelope;
    const { waitingMax, waitingBytesMax } = this.#options;
    if (!this.#deps.isAllowed(from, protocol)) {
      this.#refuse(from, new AegisError('DENIED', `the sender has no part in ${protocol}`));
      return;
    }
    const key = `${protocol} ${from}`;
    const lane = this.#lanes.get(key) ?? { count: 0, bytes: 0, checks: 0, last: undefined };
    const isFull = lane.bytes + body.length > waitingBytesMax;
    const isOver = lane.count > 0 && (lane.count >= waitingMax || isFull);
    if (isOver || this.#isBad(key)) {
      this.#deps.metrics.count('aegis_chain_messages_dropped_total');
      return;
    }
    const opened = this.#open(from, protocol, body);
    if (opened === undefined) {
      this.#noteBad(key);
      return;
    }
    const { message, checks, isEarly = false } = opened;
    if (isEarly) this.#keep(envelope);
    // Votes carry no such signatures: they pass at once, unless something before them waits.
    if (checks.length === 0 && lane.last === undefined) {
      this.#deps.offer(from, verified(message), body.length);
      return;
    }
    lane.count += 1;
    lane.bytes += body.length;
    this.#lanes.set(key, lane);
    const offer = () => this.#deps.offer(from, verified(message), body.length);
    const passed = this.#pass(lane, from, checks, (isSound) => {
      if (isSound) offer();
      else this.#noteBad(key);
    });
    lane.last = (async () => {
      await passed;
      lane.count -= 1;
      lane.bytes -= body.length;
      if (lane.count === 0) this.#lanes.delete(key);
    })();
  }

  /** Says whether the signatures of a message hold, once those before it are through. */
  async #pass(
    lane: Lane,
    from: string,
    checks: readonly SignatureCheck[],
    tell: (isSound: boolean) => void,
  ): Promise<void> {
    const before = lane.last;
    // All peers share the pool: one that floods must not stand in it with all that it sends.
    if (lane.checks >= this.#options.checksAtOnce) await before;
    lane.checks += checks.length;
    // The results wait for those of the messages before.
    const sound = this.#check(from, checks);
    await before;
    tell(await sound);
    lane.checks -= checks.length;
  }

  #isBad(key: string): boolean {
    const bad = this.#bad.get(key);
    if (bad === undefined) return false;
    const { badMax, badMs, now } = this.#options;
    if (now() - bad.since <= badMs) return bad.count >= badMax;
    this.#bad.delete(key);
    return false;
  }

  #noteBad(key: string): void {
    const bad = this.#bad.get(key) ?? { count: 0, since: this.#options.now() };
    bad.count += 1;
    this.#bad.set(key, bad);
  }

  #open(from: string, protocol: string, body: Uint8Array) {
    try {
      return this.#deps.open(protocol, body);
    } catch (error) {
      this.#refuse(from, toAegisError(error));
      return undefined;
    }
  }

  async #check(from: string, checks: readonly SignatureCheck[]): Promise<boolean> {
    const { checksAtOnce } = this.#options;
    for (let at = 0; at < checks.length; at += checksAtOnce) {
      const some = checks.slice(at, at + checksAtOnce);
      const verdicts = await Promise.all(some.map((check) => this.#holds(check)));
      const bad = some[verdicts.indexOf(false)];
      if (bad === undefined) continue;
      const what = `a signature of ${bad.author} does not hold`;
      this.#refuse(from, new AegisError('BAD_SIGNATURE', what));
      return false;
    }
    return true;
  }

  #keep(envelope: IncomingEnvelope): void {
    const { earlyMax, earlyBytesMax } = this.#options;
    if (envelope.body.length > earlyBytesMax) return;
    const kept = [...this.#early, envelope].slice(-earlyMax);
    let bytes = kept.reduce((sum, { body }) => sum + body.length, 0);
    while (bytes > earlyBytesMax) bytes -= kept.shift()!.body.length;
    this.#early = kept;
  }

  async #holds(check: SignatureCheck): Promise<boolean> {
    const { author, keyEpoch, message, signature } = check;
    // A statement carries its key; whether that key may say it, the chain judges.
    const key = check.key ?? this.#deps.keyOf(author, keyEpoch);
    return key !== undefined && (await this.#deps.verify(key, message, signature));
  }

  #refuse(from: string, error: AegisError): void {
    this.#deps.metrics.count('aegis_chain_messages_refused_total');
    this.#deps.refused(from, error);
  }
}
