/**
 * What was computed from bytes, for so many of them: the one that was not asked for the longest
 * goes first. Only for what follows from the bytes alone, so that nobody can tell it is there.
 */
export class Memo<T extends object> {
  readonly #known = new Map<string, T>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#known.size;
  }

  /** `compute` is asked when the answer is not known; `undefined` is not kept. */
  get(bytes: Uint8Array, compute: (bytes: Uint8Array) => T | undefined): T | undefined {
    const id = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
    const known = this.#known.get(id);
    if (known !== undefined) {
      // A map goes through its keys in the order in which they came.
      this.#known.delete(id);
      this.#known.set(id, known);
      return known;
    }
    const computed = compute(bytes);
    if (computed === undefined) return undefined;
    this.#known.set(id, computed);
    if (this.#known.size > this.#max) this.#known.delete(this.#known.keys().next().value!);
    return computed;
  }
}
