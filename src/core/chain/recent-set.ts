/** A set that forgets: at least the latest `max / 2` items are in it, and never more than `max`. */
export class RecentSet {
  readonly #half: number;
  #young = new Set<string>();
  #old = new Set<string>();

  constructor(max: number) {
    this.#half = Math.max(1, Math.floor(max / 2));
  }

  has(item: string): boolean {
    return this.#young.has(item) || this.#old.has(item);
  }

  add(item: string): void {
    this.#young.add(item);
    if (this.#young.size < this.#half) return;
    this.#old = this.#young;
    this.#young = new Set();
  }
}
