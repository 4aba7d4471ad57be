/** A map within a block: what has been changed so far, above a map that stays as it is. */
export interface ReadMap<V> {
  get(key: string): V | undefined;
  values(): Iterable<V>;
  readonly size: number;
}

export class DraftMap<V> implements ReadMap<V> {
  readonly #below: ReadMap<V>;
  /** Undefined: taken away. */
  readonly #changed = new Map<string, V | undefined>();
  /** Counted along: each change of an intent asks for it. */
  #size: number;

  constructor(below: ReadMap<V>) {
    this.#below = below;
    this.#size = below.size;
  }

  get(key: string): V | undefined {
    return this.#changed.size > 0 && this.#changed.has(key)
      ? this.#changed.get(key)
      : this.#below.get(key);
  }

  set(key: string, value: V | undefined): void {
    const wasThere = this.get(key) !== undefined;
    if (wasThere !== (value !== undefined)) this.#size += wasThere ? -1 : 1;
    this.#changed.set(key, value);
  }

  /** Each once, in the order in which they were changed first. */
  get changed(): ReadonlyMap<string, V | undefined> {
    return this.#changed;
  }

  get size(): number {
    return this.#size;
  }

  *values(): Generator<V> {
    const seen = new Set<V>();
    for (const [key, value] of this.#changed) {
      const before = this.#below.get(key);
      if (before !== undefined) seen.add(before);
      if (value !== undefined) yield value;
    }
    for (const value of this.#below.values()) if (!seen.has(value)) yield value;
  }

  /** Takes over what another one has changed above this one. */
  absorb(above: DraftMap<V>): void {
    for (const [key, value] of above.changed) this.set(key, value);
  }
}

/** Changes a map as drafts have it. */
export function applyTo<V>(map: Map<string, V>, changed: ReadonlyMap<string, V | undefined>): void {
  for (const [key, value] of changed) {
    if (value === undefined) map.delete(key);
    else map.set(key, value);
  }
}
