/** A seeded generator (sfc32), so that a failing run can be repeated. */
export class Prng {
  #a: number;
  #b = 0x9e3779b9;
  #c = 0x243f6a88;
  #d = 1;

  constructor(seed: number) {
    this.#a = seed | 0;
    for (let i = 0; i < 12; i += 1) this.u32();
  }

  u32(): number {
    const t = (((this.#a + this.#b) | 0) + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (this.#c << 21) | (this.#c >>> 11);
    this.#c = (this.#c + t) | 0;
    return t >>> 0;
  }

  /** From 0 up to, not including, 1. */
  float(): number {
    return this.u32() / 2 ** 32;
  }

  /** From `low` to `high`, both included. */
  int(low: number, high: number): number {
    return low + Math.floor(this.float() * (high - low + 1));
  }

  pick<T>(list: readonly T[]): T {
    return list[this.int(0, list.length - 1)]!;
  }

  bytes(length: number): Uint8Array {
    const words = new Uint32Array(Math.ceil(length / 4));
    for (let i = 0; i < words.length; i += 1) words[i] = this.u32();
    return new Uint8Array(words.buffer, 0, length);
  }

  /** Sizes from 0 to `maxBytes`, equally likely in every power of two, `totalBytesMax` in all. */
  logUniformSizes(count: number, maxBytes: number, totalBytesMax: number): number[] {
    const sizes: number[] = [];
    let total = 0;
    while (sizes.length < count) {
      const size = Math.floor(Math.exp(this.float() * Math.log(maxBytes + 1))) - 1;
      if (total + size > totalBytesMax) continue;
      total += size;
      sizes.push(size);
    }
    return sizes;
  }
}
