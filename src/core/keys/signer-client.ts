/**
 * A ring of keys that lie with a signer (`aegis keys serve`, G1). It signs synchronously, as the
 * machines step: the socket is in a thread of its own, and this thread waits for it, up to a
 * deadline. While the signer is out of reach every signature fails at once; the thread connects
 * again by itself. Whoever may wait for that does so with `reached`, and asks again.
 */
import { Worker } from 'node:worker_threads';
import { AegisError } from '../errors.ts';
import type { KeyRing, Log, SeedProver, Signer, VoteSigner } from '../ports.ts';
import { hex } from './material.ts';
import {
  decodeDescription,
  decodeReply,
  encodeEntries,
  encodeRequest,
  FOLLOW_ENTRIES_MAX,
  frameOf,
  SIGNER_FRAME_BYTES_MAX,
  type SignerDescription,
  type SignerReply,
  type SignerRequest,
} from './signer-frames.ts';
import {
  type FromLink,
  type LinkStart,
  newSharedMemory,
  type SharedMemory,
  STATE,
  sharedMemory,
  type ToLink,
  WORD,
} from './signer-link.ts';

/** How long a signature may take before it is done without. */
const DEADLINE_MS = 1000;
/** Longer than the pause between two attempts to connect and the answer to the second of them. */
const REACH_MS = 3000;
/** Requests are numbered from 1; the numbers above are the thread's own. */
const ID_MAX = 0xffff_fff0;
/** Of what nobody waits for. */
const TOLD_ID = 0xffff_fff1;

/** A frame has a head, and a list around what is signed. */
const PAYLOAD_BYTES_MAX = SIGNER_FRAME_BYTES_MAX - 256;
/** Of what each operation answers, in bytes. */
const LENGTHS: Readonly<Partial<Record<SignerRequest['op'], number>>> = {
  vote: 96,
  sign: 64,
  prove: 80,
};

type RingKeys = Pick<SignerDescription, 'identity' | 'consensus' | 'vrf'>;

export interface RemoteRingOptions {
  readonly socket: string;
  /** What is known of the signer's keys before it is reached. */
  readonly known?: RingKeys;
  /** @default 1000 */
  readonly deadlineMs?: number;
  /** Called whenever the signer says what it holds. */
  readonly described?: (description: SignerDescription) => void;
}

/** Sources run as they are; the bundler puts this file in `dist/chunks` and the worker above it. */
const entry = (): URL =>
  new URL(
    import.meta.url.endsWith('.ts') ? './signer-worker.ts' : '../signer-worker.js',
    import.meta.url,
  );

export class RemoteRing implements KeyRing {
  readonly #log: Log;
  readonly #deadlineMs: number;
  readonly #worker: Worker;
  readonly #memory: SharedMemory;
  #held: Readonly<Record<keyof RingKeys, ReadonlySet<string>>>;
  #description: SignerDescription | undefined;
  #lastId = 0;
  #isMissed = false;
  #settled: readonly Uint8Array[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #described: RemoteRingOptions['described'];

  private constructor(options: RemoteRingOptions, log: Log) {
    const { socket, deadlineMs = DEADLINE_MS, known, described } = options;
    this.#described = described;
    this.#log = log;
    this.#deadlineMs = deadlineMs;
    this.#held = heldOf(known);
    const buffer = newSharedMemory();
    this.#memory = sharedMemory(buffer);
    const workerData: LinkStart = { buffer, socket, deadlineMs };
    this.#worker = new Worker(entry(), { workerData, name: 'aegis-signer' });
    this.#worker.unref();
  }

  /** Resolves when the signer has answered, or when it is clear that it does not. */
  static async open(options: RemoteRingOptions, { log }: { log: Log }): Promise<RemoteRing> {
    const ring = new RemoteRing(options, log);
    await new Promise<void>((resolve, reject) => {
      ring.#worker.once('error', reject);
      ring.#worker.on('message', (message: FromLink) => {
        ring.#take(message);
        resolve();
      });
      // Until then somebody waits for it.
      ring.#worker.ref();
    });
    ring.#worker.unref();
    return ring;
  }

  /** What the signer has said that it holds; undefined before it was reached. */
  get description(): SignerDescription | undefined {
    return this.#description;
  }

  get isReached(): boolean {
    return Atomics.load(this.#memory.words, WORD.up) === 1;
  }

  async reached(): Promise<void> {
    if (this.isReached) return;
    await new Promise<void>((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#waiting.delete(end);
        resolve();
      };
      const timer = setTimeout(end, REACH_MS);
      this.#waiting.add(end);
    });
  }

  identity(publicKey: Uint8Array): Signer | undefined {
    if (!this.#held.identity.has(hex(publicKey))) return undefined;
    return {
      publicKey,
      sign: (payload) => {
        const signature = this.#ask({ op: 'sign', key: publicKey, payload });
        if (signature instanceof AegisError) throw signature;
        return signature;
      },
    };
  }

  votes(publicKey: Uint8Array): VoteSigner | undefined {
    if (!this.#held.consensus.has(hex(publicKey))) return undefined;
    return { publicKey, sign: (payload) => this.#try({ op: 'vote', key: publicKey, payload }) };
  }

  seeds(publicKey: Uint8Array): SeedProver | undefined {
    if (!this.#held.vrf.has(hex(publicKey))) return undefined;
    return { publicKey, prove: (payload) => this.#try({ op: 'prove', key: publicKey, payload }) };
  }

  heldConsensusKeys(): readonly string[] {
    return [...this.#held.consensus];
  }

  settled(succession: readonly Uint8Array[]): void {
    this.#settled = succession;
    this.#follow();
  }

  async close(): Promise<void> {
    Atomics.store(this.#memory.words, WORD.up, 0);
    this.#goOn();
    await this.#worker.terminate();
  }

  /** Nobody waits any longer for the signer. */
  #goOn(): void {
    for (const end of [...this.#waiting]) end();
  }

  /** A part at a time: the signer describes itself again when it has taken it up. */
  #follow(): void {
    const known = this.#description?.number ?? Infinity;
    if (!this.isReached || known >= this.#settled.length) return;
    const payload = encodeEntries(this.#settled.slice(known, known + FOLLOW_ENTRIES_MAX));
    const request = { op: 'follow', key: new Uint8Array(), payload } as const;
    this.#post({ type: 'tell', frame: frameOf(TOLD_ID, encodeRequest(request)) });
  }

  /** G2: without an answer there is no vote, and nothing else changes. */
  #try(request: SignerRequest): Uint8Array | undefined {
    const answer = this.#ask(request);
    return answer instanceof AegisError ? undefined : answer;
  }

  #ask(request: SignerRequest): Uint8Array | AegisError {
    const { words, body } = this.#memory;
    if (!this.isReached) return unreachable('the signer is out of reach');
    // The signer would hang up on a longer frame, and with it on the votes.
    if (request.payload.length > PAYLOAD_BYTES_MAX) return this.#refused(tooLong());
    this.#lastId = (this.#lastId % ID_MAX) + 1;
    Atomics.store(words, WORD.state, STATE.waiting);
    this.#post({
      type: 'ask',
      id: this.#lastId,
      frame: frameOf(this.#lastId, encodeRequest(request)),
    });
    if (Atomics.wait(words, WORD.state, STATE.waiting, this.#deadlineMs) === 'timed-out') {
      // Not asked again before it has answered on a new connection: this one is out of step.
      Atomics.store(words, WORD.up, 0);
      this.#post({ type: 'reset' });
      return this.#refused(unreachable(`the signer has not answered in ${this.#deadlineMs} ms`));
    }
    if (Atomics.load(words, WORD.state) !== STATE.answered) {
      return this.#refused(unreachable('the signer has gone'));
    }
    return this.#read(request.op, body.slice(0, words[WORD.length]));
  }

  /** What makes no sense is no signature; it must not end the step that asked. */
  #read(op: SignerRequest['op'], body: Uint8Array): Uint8Array | AegisError {
    let reply: SignerReply;
    try {
      reply = decodeReply(body);
    } catch (error) {
      return this.#refused(unreachable(`the signer talks nonsense: ${(error as Error).message}`));
    }
    if (reply.type === 'done') {
      if (reply.bytes.length === LENGTHS[op]) return reply.bytes;
      return this.#refused(unreachable('the signer talks nonsense: that is no signature'));
    }
    const { refusal, why } = reply;
    const text = `the signer refuses: ${refusal}: ${why}`;
    return this.#refused(new AegisError('SIGNER_REFUSED', text, { details: { refusal } }));
  }

  #refused(error: AegisError): AegisError {
    this.#log.write('warn', error.message, error.details);
    return error;
  }

  #post(message: ToLink): void {
    this.#worker.postMessage(message, []);
  }

  #take(message: FromLink): void {
    if (message.type === 'down') {
      // Each attempt to connect ends like this; the first says it all.
      if (!this.#isMissed) {
        this.#log.write('warn', 'the signer is out of reach', { reason: message.reason });
      }
      this.#isMissed = true;
      return;
    }
    this.#isMissed = false;
    this.#description = decodeDescription(message.description);
    this.#held = heldOf(this.#description);
    this.#goOn();
    this.#described?.(this.#description);
    this.#follow();
    this.#log.write('info', 'the signer answers', { consensusKeys: this.heldConsensusKeys() });
  }
}

const tooLong = (): AegisError =>
  new AegisError('SIGNER_REFUSED', `more than ${PAYLOAD_BYTES_MAX} bytes are not signed`);

const unreachable = (text: string): AegisError => new AegisError('SIGNER_UNREACHABLE', text);

const heldOf = (keys: RingKeys | undefined) => {
  const set = (list: readonly Uint8Array[] = []): ReadonlySet<string> => new Set(list.map(hex));
  return { identity: set(keys?.identity), consensus: set(keys?.consensus), vrf: set(keys?.vrf) };
};
