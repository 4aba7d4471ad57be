/** What has lately been used, up to so many bytes. What is in it must also lie somewhere else. */

interface Kept<V> {
  readonly value: V;
  readonly sizeBytes: number;
}

export class ByteCache<V> {
  readonly #maxBytes: number;
  /** Used longest ago first. */
  readonly #kept = new Map<string, Kept<V>>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get(key: string): V | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    return kept.value;
  }

  set(key: string, value: V, sizeBytes: number): void {
    this.delete(key);
    this.#kept.set(key, { value, sizeBytes });
    this.#bytes += sizeBytes;
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= this.#maxBytes) return;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    const kept = this.#kept.get(key);
    if (kept === undefined) return;
    this.#kept.delete(key);
    this.#bytes -= kept.sizeBytes;
  }
}
