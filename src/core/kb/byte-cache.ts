/**
 * What has lately been used, up to so many bytes. What is in it must also lie somewhere else. In
 * two halves: what is used goes to the young one, and when that is full the old one is forgotten.
 * So nothing is ever looked for or moved to make room.
 */

interface Kept<V> {
  readonly value: V;
  readonly sizeBytes: number;
}

export class ByteCache<V> {
  readonly #halfBytes: number;
  #young = new Map<string, Kept<V>>();
  #old = new Map<string, Kept<V>>();
  #youngBytes = 0;

  constructor(maxBytes: number) {
    this.#halfBytes = maxBytes / 2;
  }

  get(key: string): V | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young.value;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old.value, old.sizeBytes);
    return old?.value;
  }

  set(key: string, value: V, sizeBytes: number): void {
    this.#youngBytes += sizeBytes - (this.#young.get(key)?.sizeBytes ?? 0);
    this.#young.set(key, { value, sizeBytes });
    if (this.#youngBytes <= this.#halfBytes) return;
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngBytes = 0;
  }

  delete(key: string): void {
    this.#youngBytes -= this.#young.get(key)?.sizeBytes ?? 0;
    this.#young.delete(key);
    this.#old.delete(key);
  }
}
