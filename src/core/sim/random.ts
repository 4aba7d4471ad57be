/** Seeded randomness. Each concern has a child of its own, so that one more draw moves no other. */
import { sha256 } from '../crypto/hash.ts';
import type { Random } from '../ports.ts';

/** sfc32 (Chris Doty-Humphrey, PractRand), seeded by SHA-256 of a name. */
export class SimRandom implements Random {
  readonly #name: string;
  readonly #state: Uint32Array;

  constructor(name: string) {
    this.#name = name;
    const { buffer } = sha256(Buffer.from(name));
    this.#state = new Uint32Array(buffer, 0, 4);
    for (let i = 0; i < 12; i += 1) this.#word();
  }

  child(name: string): SimRandom {
    return new SimRandom(`${this.#name}/${name}`);
  }

  /** In [0, 1). */
  fraction(): number {
    return this.#word() / 2 ** 32;
  }

  /** An integer from `min` to `max`, both included. */
  between(min: number, max: number): number {
    return min + Math.floor(this.fraction() * (max - min + 1));
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items[this.between(0, items.length - 1)];
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#word() & 255);
  }

  #word(): number {
    const s = this.#state;
    const word = (s[0]! + s[1]! + s[3]!) >>> 0;
    s[3] = s[3]! + 1;
    s[0] = s[1]! ^ (s[1]! >>> 9);
    s[1] = s[2]! + (s[2]! << 3);
    s[2] = ((s[2]! << 21) | (s[2]! >>> 11)) + word;
    return word;
  }
}
