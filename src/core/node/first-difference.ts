/** Where two streams of bytes begin to differ. */

/** The offset of the first byte that only one has, or that is another; the length if none is. */
export async function firstDifference(
  a: AsyncIterable<Uint8Array>,
  b: AsyncIterable<Uint8Array>,
): Promise<number> {
  const [one, other] = [new Pieces(a), new Pieces(b)];
  let offset = 0;
  try {
    for (;;) {
      const [x, y] = [await one.peek(), await other.peek()];
      const length = Math.min(x.length, y.length);
      const same = commonLength(x, y, length);
      offset += same;
      if (same < length || length === 0) return offset;
      one.take(length);
      other.take(length);
    }
  } finally {
    await Promise.all([one.close(), other.close()]);
  }
}

function commonLength(a: Uint8Array, b: Uint8Array, length: number): number {
  if (Buffer.compare(a.subarray(0, length), b.subarray(0, length)) === 0) return length;
  let n = 0;
  while (a[n] === b[n]) n += 1;
  return n;
}

class Pieces {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array();

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#chunks = source[Symbol.asyncIterator]();
  }

  /** What comes next; empty at the end only. */
  async peek(): Promise<Uint8Array> {
    while (this.#rest.length === 0) {
      const next = await this.#chunks.next();
      if (next.done === true) break;
      this.#rest = next.value;
    }
    return this.#rest;
  }

  take(length: number): void {
    this.#rest = this.#rest.subarray(length);
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}
