/**
 * Intents that wait for a block. Each author has a queue of its own, by sequence, and a share
 * of the room that no other author can take away. It executes no intents and verifies nothing.
 * Statements wait beside them, in their own lane.
 */
import type { SignedIntent } from '../model/intent.ts';
import { LIMITS } from './limits.ts';
import type { StatementLane } from './statement-lane.ts';

export interface MempoolEntry {
  readonly signed: SignedIntent;
  /** When it came, by the clock of this node. */
  readonly since: number;
}

/**
 * `stale`: its sequence is decided. `ahead`: beyond the window. `taken`: another intent has the
 * sequence. `full`: the author has as much waiting as it may. `retired`: it is of another key epoch
 * than its author (A2).
 */
export type Admission = 'added' | 'known' | 'stale' | 'ahead' | 'taken' | 'full' | 'retired';

interface Queue {
  readonly entries: Map<number, MempoolEntry>;
  bytes: number;
  /** The last sequence that is decided. */
  base: number;
}

export interface MempoolOptions {
  /** Whose intents are never put out. */
  readonly self: string;
  readonly authorIntents?: number;
  readonly authorBytes?: number;
  readonly totalBytes?: number;
}

/** What a mempool asks about authors, as of the last final block. */
export interface MempoolDeps {
  /** How many may be authors: each has a share of the whole. */
  memberCount(): number;
  /** The last sequence of an author that is decided. */
  baseOf(author: string): number;
  keyEpochOf(author: string): number;
  readonly statements: StatementLane;
}

export class Mempool {
  /** Those that wait. */
  readonly statements: StatementLane;
  readonly #self: string;
  readonly #authorIntents: number;
  readonly #authorBytes: number;
  readonly #totalBytes: number;
  readonly #deps: MempoolDeps;
  readonly #queues = new Map<string, Queue>();
  readonly #byDigest = new Map<string, MempoolEntry>();
  /** Authors whose next intent is here. */
  readonly #ready = new Set<string>();
  #bytes = 0;
  /** Whose turn it is first when a block is filled. */
  #turn = 0;

  constructor(options: MempoolOptions, deps: MempoolDeps) {
    this.#self = options.self;
    this.#authorIntents = options.authorIntents ?? LIMITS.authorIntents;
    this.#authorBytes = options.authorBytes ?? LIMITS.authorBytes;
    this.#totalBytes = options.totalBytes ?? LIMITS.mempoolBytes;
    this.#deps = deps;
    this.statements = deps.statements;
  }

  get count(): number {
    return this.#byDigest.size + this.statements.count;
  }

  get bytes(): number {
    return this.#bytes + this.statements.bytes;
  }

  /** Bytes that an author always has room for: less when members come, more when they go. */
  get #share(): number {
    return Math.floor(this.#totalBytes / Math.max(1, this.#deps.memberCount()));
  }

  /** Whether a block could be made of what is here. */
  get hasWork(): boolean {
    return this.#ready.size > 0 || this.statements.count > 0;
  }

  get(digest: string): SignedIntent | undefined {
    return this.#byDigest.get(digest)?.signed ?? this.statements.get(digest);
  }

  at(author: string, sequence: number): MempoolEntry | undefined {
    return this.#queues.get(author)?.entries.get(sequence);
  }

  /** The first sequence of an author that is neither decided nor here. */
  nextSequence(author: string): number {
    const queue = this.#queues.get(author);
    let next = (queue?.base ?? this.#deps.baseOf(author)) + 1;
    while (queue?.entries.has(next) === true) next += 1;
    return next;
  }

  add(signed: SignedIntent, since: number): Admission {
    const { author, sequence, changes, keyEpoch } = signed.intent;
    if (this.#byDigest.has(signed.digest)) return 'known';
    if (keyEpoch !== this.#deps.keyEpochOf(author)) return 'retired';
    const base = this.#queues.get(author)?.base ?? this.#deps.baseOf(author);
    if (sequence <= base) return 'stale';
    if (sequence > base + LIMITS.authorWindow) return 'ahead';
    const present = this.at(author, sequence);
    if (present !== undefined) {
      // One without changes cancels what has the sequence, and is cancelled by nothing.
      if (changes.length > 0 || present.signed.intent.changes.length === 0) return 'taken';
      this.#remove(present.signed);
    }
    if (!this.#makeRoom(author, sequence, signed.bytes.length)) return 'full';
    this.#insert(signed, since, base);
    return 'added';
  }

  #insert(signed: SignedIntent, since: number, base: number): void {
    const { author, sequence } = signed.intent;
    const queue = this.#queues.get(author) ?? { entries: new Map(), bytes: 0, base };
    this.#queues.set(author, queue);
    const entry = { signed, since };
    queue.entries.set(sequence, entry);
    queue.bytes += signed.bytes.length;
    this.#bytes += signed.bytes.length;
    this.#byDigest.set(signed.digest, entry);
    if (sequence === base + 1) this.#ready.add(author);
  }

  /** For a block of this time: statements, then intents. */
  takeAll(maxBytes: number, maxCount: number, time: number): SignedIntent[] {
    const { blockStatements, blockStatementBytes } = LIMITS;
    const statements = this.statements.take(blockStatementBytes, blockStatements, time);
    let left = maxBytes;
    for (const { bytes } of statements) left -= bytes.length;
    return [...statements, ...this.take(left, maxCount - statements.length)];
  }

  /**
   * Intents for a block, each the next of its author: in turns, so that nobody's many intents keep
   * another's few waiting.
   */
  take(maxBytes: number, maxCount: number): SignedIntent[] {
    const authors = [...this.#ready].toSorted();
    const first = authors.length === 0 ? 0 : this.#turn % authors.length;
    this.#turn += 1;
    const order = [...authors.slice(first), ...authors.slice(0, first)];
    const next = new Map(order.map((author) => [author, this.#queues.get(author)!.base + 1]));
    const taken: SignedIntent[] = [];
    let bytes = 0;
    while (next.size > 0) {
      for (const [author, sequence] of next) {
        if (taken.length >= maxCount) return taken;
        const signed = this.at(author, sequence)?.signed;
        if (signed === undefined || bytes + signed.bytes.length > maxBytes) {
          next.delete(author);
          continue;
        }
        bytes += signed.bytes.length;
        taken.push(signed);
        next.set(author, sequence + 1);
      }
    }
    return taken;
  }

  /** Everything up to `sequence` is decided: it is waited for no more. */
  settle(author: string, sequence: number): void {
    const queue = this.#queues.get(author);
    if (queue === undefined || sequence <= queue.base) return;
    const from = queue.base + 1;
    queue.base = sequence;
    // A jump over more sequences than there are entries looks at the entries instead.
    const stale =
      sequence - from < queue.entries.size
        ? Array.from({ length: sequence - from + 1 }, (_, at) => from + at)
        : [...queue.entries.keys()].filter((key) => key <= sequence);
    for (const key of stale) {
      const entry = queue.entries.get(key);
      if (entry !== undefined) this.#remove(entry.signed);
    }
    if (queue.entries.has(sequence + 1)) this.#ready.add(author);
    else this.#ready.delete(author);
  }

  /** A2: what its author has signed with another key than the one in force waits no more. */
  retire(author: string): void {
    const keyEpoch = this.#deps.keyEpochOf(author);
    for (const { signed } of [...(this.#queues.get(author)?.entries.values() ?? [])]) {
      if (signed.intent.keyEpoch !== keyEpoch) this.#remove(signed);
    }
  }

  /** Nothing of this author waits any more: it has left. */
  forget(author: string): void {
    for (const { signed } of [...(this.#queues.get(author)?.entries.values() ?? [])]) {
      this.#remove(signed);
    }
  }

  #remove(signed: SignedIntent): void {
    const { author, sequence } = signed.intent;
    const queue = this.#queues.get(author)!;
    queue.entries.delete(sequence);
    queue.bytes -= signed.bytes.length;
    this.#bytes -= signed.bytes.length;
    this.#byDigest.delete(signed.digest);
    if (sequence === queue.base + 1) this.#ready.delete(author);
    if (queue.entries.size === 0) this.#queues.delete(author);
  }

  /** Puts out later intents of the author, or of those who have more than their share. */
  #makeRoom(author: string, sequence: number, sizeBytes: number): boolean {
    if (sizeBytes > this.#authorBytes) return false;
    for (;;) {
      const queue = this.#queues.get(author);
      if (queue === undefined || this.#hasRoom(queue, sizeBytes)) break;
      if (!this.#putOutLast(queue, sequence)) return false;
    }
    while (this.#bytes + sizeBytes > this.#totalBytes) {
      const own = this.#queues.get(author)?.bytes ?? 0;
      if (author !== this.#self && own + sizeBytes > this.#share) return false;
      const largest = this.#largest();
      if (largest === undefined || !this.#putOutLast(largest, 0)) return false;
    }
    return true;
  }

  #hasRoom({ entries, bytes }: Queue, sizeBytes: number): boolean {
    return entries.size < this.#authorIntents && bytes + sizeBytes <= this.#authorBytes;
  }

  /** Who has most of those who have more than their share. */
  #largest(): Queue | undefined {
    let largest: Queue | undefined;
    for (const [author, queue] of this.#queues) {
      if (author === this.#self || queue.bytes <= this.#share) continue;
      if (largest === undefined || queue.bytes > largest.bytes) largest = queue;
    }
    return largest;
  }

  /** Removes the entry of the greatest sequence, if that is above `than`. */
  #putOutLast(queue: Queue, than: number): boolean {
    let last = 0;
    for (const sequence of queue.entries.keys()) if (sequence > last) last = sequence;
    const entry = queue.entries.get(last);
    if (entry === undefined || last <= than) return false;
    this.#remove(entry.signed);
    return true;
  }
}
