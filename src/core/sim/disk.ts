/**
 * A simulated disk. Fault model: a commit is one transaction, durable as a whole after a delay and
 * in the order of the commits; a crash loses what is not durable yet; a disk can be lost
 * altogether, and single content roots can be damaged. Durable entries never change by themselves,
 * and a commit that was reported is never lost without the disk.
 */
import type { LogEntry } from '../machine.ts';
import type { SimClock } from './clock.ts';
import type { SimRandom } from './random.ts';

export interface DiskOptions {
  readonly minMs: number;
  readonly maxMs: number;
}

export class SimDisk {
  readonly #options: DiskOptions;
  readonly #clock: SimClock;
  readonly #random: SimRandom;
  readonly #tables = new Map<string, Map<string, Uint8Array>>();
  readonly #roots = new Set<string>();
  /** Cancels what is under way. */
  #underWay = new Set<() => void>();
  #lastAt = 0;
  /** Multiplies all delays. */
  slowness = 1;

  constructor(
    options: DiskOptions,
    deps: { readonly clock: SimClock; readonly random: SimRandom },
  ) {
    this.#options = options;
    this.#clock = deps.clock;
    this.#random = deps.random;
  }

  /** Calls back once the entries are durable; never after a crash. */
  commit(entries: readonly LogEntry[], done: () => void): void {
    this.#later(() => {
      for (const { table, key, value } of entries) {
        const rows = this.#tables.get(table) ?? new Map<string, Uint8Array>();
        this.#tables.set(table, rows);
        if (value === undefined) rows.delete(key);
        else rows.set(key, Uint8Array.from(value));
      }
      done();
    });
  }

  /** Stores all objects of a root. */
  putRoot(root: string, done: () => void): void {
    this.#later(() => {
      this.#roots.add(root);
      done();
    });
  }

  hasRoot(root: string): boolean {
    return this.#roots.has(root);
  }

  /** All durable rows of a table, by key. */
  scan(table: string): { table: string; key: string; value: Uint8Array }[] {
    return [...(this.#tables.get(table) ?? [])]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => ({ table, key, value }));
  }

  has(table: string, key: string): boolean {
    return this.#tables.get(table)?.has(key) === true;
  }

  roots(): string[] {
    return [...this.#roots].toSorted();
  }

  crash(): void {
    for (const cancel of this.#underWay) cancel();
    this.#underWay = new Set();
  }

  /** The disk is replaced by an empty one. */
  lose(): void {
    this.crash();
    this.#tables.clear();
    this.#roots.clear();
  }

  damageRoot(root: string): void {
    this.#roots.delete(root);
  }

  #later(run: () => void): void {
    const { minMs, maxMs } = this.#options;
    const delay = (minMs + this.#random.fraction() * (maxMs - minMs)) * this.slowness;
    // One disk does one thing after another, so order is kept.
    this.#lastAt = Math.max(this.#lastAt, this.#clock.now() + delay);
    const cancel = this.#clock.after(this.#lastAt - this.#clock.now(), () => {
      this.#underWay.delete(cancel);
      run();
    });
    this.#underWay.add(cancel);
  }
}
