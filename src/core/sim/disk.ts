/**
 * A simulated disk. Fault model: a commit is one transaction, durable as a whole after a delay and
 * in the order of the commits. A crash loses what is not durable yet; the transaction that is being
 * written may land whole, though nobody was told, or torn, which is found out and is as good as
 * lost. A disk can be full for a while, can fail to sync (after which nothing may be written to it
 * by the same run of the node), can be lost altogether, and can go back to an older state: by a
 * damaged tail or a restored copy. Single content roots can be damaged. Apart from that, what was
 * reported durable stays.
 */
import type { LogEntry } from '../machine.ts';
import { MemoryRows } from '../memory-rows.ts';
import type { Row, Rows, RowsQuery } from '../ports.ts';
import type { SimClock } from './clock.ts';
import type { SimRandom } from './random.ts';

export interface DiskOptions {
  readonly minMs: number;
  readonly maxMs: number;
  /** Keeps what is needed to go back to an older state. @default false */
  readonly keepsHistory?: boolean;
}

interface TableRow extends Row {
  readonly table: string;
}

/** Why a commit did not happen; nothing of it is on the disk. */
export type CommitFault = 'full' | 'sync';
/** What a crash makes of the transaction that is being written. */
export type CrashOutcome = 'landed' | 'lost' | 'torn';

type Undo = readonly { table: string; key: string; value: Uint8Array | undefined }[];

export class SimDisk implements Rows {
  readonly #options: DiskOptions;
  readonly #clock: SimClock;
  readonly #random: SimRandom;
  readonly #rows = new MemoryRows();
  readonly #roots = new Set<string>();
  /** What is under way, in order; each with how to cancel it and what would land. */
  readonly #underWay = new Map<() => void, readonly LogEntry[]>();
  /** How to take back each transaction, oldest first. */
  #history: Undo[] = [];
  #lastAt = 0;
  /** Multiplies all delays. */
  slowness = 1;
  isFull = false;
  /** The next commit fails. */
  failsToSync = false;
  /** The owner cannot know any more that this disk holds all that it once held. */
  isDoubtful = false;

  constructor(
    options: DiskOptions,
    deps: { readonly clock: SimClock; readonly random: SimRandom },
  ) {
    this.#options = options;
    this.#clock = deps.clock;
    this.#random = deps.random;
  }

  /** Calls back once the entries are durable, or refused; never after a crash. */
  commit(entries: readonly LogEntry[], done: (fault?: CommitFault) => void): void {
    this.#later(entries, () => {
      if (this.failsToSync) {
        this.failsToSync = false;
        return done('sync');
      }
      if (this.isFull) return done('full');
      this.#write(entries);
      done();
    });
  }

  /** Stores all objects of a root. */
  putRoot(root: string, done: () => void): void {
    this.#later([], () => {
      this.#roots.add(root);
      done();
    });
  }

  hasRoot(root: string): boolean {
    return this.#roots.has(root);
  }

  /** All durable rows of a table, by key. */
  scan(table: string): TableRow[] {
    return this.range({ table, from: '', limit: Infinity }).map((row) => ({ table, ...row }));
  }

  /** The names of the tables that have had rows. */
  tables(): string[] {
    return this.#rows.tables();
  }

  has(table: string, key: string): boolean {
    return this.get(table, key) !== undefined;
  }

  get(table: string, key: string): Uint8Array | undefined {
    return this.#rows.get(table, key);
  }

  range(query: RowsQuery): readonly Row[] {
    return this.#rows.range(query);
  }

  roots(): string[] {
    return [...this.#roots].toSorted();
  }

  /** Whether a transaction is being written. */
  get isWriting(): boolean {
    return this.#underWay.size > 0;
  }

  /** Transactions that `goBack` could take back. */
  get transactions(): number {
    return this.#history.length;
  }

  /** @param outcome of the oldest transaction under way; later ones are lost. */
  crash(outcome: CrashOutcome = 'lost'): void {
    const [oldest] = this.#underWay.values();
    for (const cancel of this.#underWay.keys()) cancel();
    this.#underWay.clear();
    if (outcome === 'landed' && oldest !== undefined && !this.isFull) this.#write(oldest);
  }

  /** The disk is replaced by an empty one. */
  lose(): void {
    this.crash();
    this.#rows.clear();
    this.#roots.clear();
    this.#history = [];
    this.isDoubtful = true;
  }

  /** Takes back the last transactions: a damaged tail, or a copy that is older. */
  goBack(transactions: number): void {
    this.crash();
    for (let i = 0; i < transactions; i += 1) {
      this.#rows.apply((this.#history.pop() ?? []).toReversed());
    }
    this.isDoubtful = true;
  }

  damageRoot(root: string): void {
    this.#roots.delete(root);
  }

  #write(entries: readonly LogEntry[]): void {
    if (this.#options.keepsHistory === true) {
      const undo = entries.map(({ table, key }) => ({ table, key, value: this.get(table, key) }));
      this.#history.push(undo);
    }
    // Copies, so that nobody changes what is durable.
    const copy = (value: Uint8Array | undefined) => value && new Uint8Array(value);
    this.#rows.apply(entries.map((entry) => ({ ...entry, value: copy(entry.value) })));
  }

  #later(entries: readonly LogEntry[], run: () => void): void {
    const { minMs, maxMs } = this.#options;
    const delay = (minMs + this.#random.fraction() * (maxMs - minMs)) * this.slowness;
    // One disk does one thing after another, so order is kept.
    this.#lastAt = Math.max(this.#lastAt, this.#clock.now() + delay);
    const cancel = this.#clock.after(this.#lastAt - this.#clock.now(), () => {
      this.#underWay.delete(cancel);
      run();
    });
    this.#underWay.set(cancel, entries);
  }
}
