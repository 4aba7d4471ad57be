/**
 * Values by key in the order of the bytes of their keys, as a database has them: what is not
 * durable yet is read together with what is. It copies nothing, and knows no disk.
 */
import { assert } from './assert.ts';

/** Keys of one piece; more make two of it. */
const CHUNK_MAX = 512;
const [SURROGATES_FROM, SURROGATES_END] = [0xd800, 0xe000];

/** The order of the bytes in UTF-8, which is not that of UTF-16 above U+FFFF. */
export function compareKeys(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at += 1) {
    const [x, y] = [a.charCodeAt(at), b.charCodeAt(at)];
    if (x === y) continue;
    const [isHighX, isHighY] = [isSurrogate(x), isSurrogate(y)];
    return isHighX === isHighY ? x - y : isHighX ? 1 : -1;
  }
  return a.length - b.length;
}

const isSurrogate = (unit: number): boolean => unit >= SURROGATES_FROM && unit < SURROGATES_END;

export interface Span {
  /** Inclusive. */
  readonly from: string;
  /** Exclusive; undefined: to the end. */
  readonly to?: string | undefined;
  readonly isReverse?: boolean | undefined;
}

export class SortedTable<V> {
  readonly #values = new Map<string, V>();
  /** Made when the order is asked for first: many tables are never read in it. */
  #chunks: string[][] | undefined;

  get size(): number {
    return this.#values.size;
  }

  get(key: string): V | undefined {
    return this.#values.get(key);
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  set(key: string, value: V): void {
    if (this.#chunks !== undefined && !this.#values.has(key)) this.#insert(this.#chunks, key);
    this.#values.set(key, value);
  }

  delete(key: string): void {
    if (!this.#values.delete(key) || this.#chunks === undefined) return;
    const chunks = this.#chunks;
    const at = chunkOf(chunks, key);
    const chunk = chunks[at]!;
    chunk.splice(lowerBound(chunk, key), 1);
    if (chunk.length === 0 && chunks.length > 1) chunks.splice(at, 1);
  }

  clear(): void {
    this.#values.clear();
    this.#chunks = undefined;
  }

  /** In the order of the keys, or against it. The table must not change meanwhile. */
  *between({ from, to, isReverse = false }: Span): Generator<[string, V]> {
    this.#chunks ??= chunksOf(this.#values.keys());
    const keys = isReverse ? descending(this.#chunks, to) : ascending(this.#chunks, from);
    for (const key of keys) {
      if (isReverse && compareKeys(key, from) < 0) return;
      if (!isReverse && to !== undefined && compareKeys(key, to) >= 0) return;
      yield [key, this.#values.get(key)!];
    }
  }

  #insert(chunks: string[][], key: string): void {
    const at = chunkOf(chunks, key);
    const chunk = chunks[at]!;
    chunk.splice(lowerBound(chunk, key), 0, key);
    if (chunk.length <= CHUNK_MAX) return;
    chunks.splice(at, 1, chunk.slice(0, CHUNK_MAX / 2), chunk.slice(CHUNK_MAX / 2));
  }
}

function chunksOf(keys: Iterable<string>): string[][] {
  const sorted = [...keys].toSorted(compareKeys);
  const chunks: string[][] = [];
  for (let at = 0; at < sorted.length; at += CHUNK_MAX / 2) {
    chunks.push(sorted.slice(at, at + CHUNK_MAX / 2));
  }
  return chunks.length === 0 ? [[]] : chunks;
}

/** The last piece that does not begin after the key, or the first. */
function chunkOf(chunks: readonly (readonly string[])[], key: string): number {
  assert(chunks.length > 0, 'there is always a piece');
  let [low, high] = [0, chunks.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (compareKeys(chunks[middle]![0]!, key) <= 0) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Of the first key that is not before. */
function lowerBound(chunk: readonly string[], key: string): number {
  let [low, high] = [0, chunk.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareKeys(chunk[middle]!, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function* ascending(chunks: readonly (readonly string[])[], from: string): Generator<string> {
  const first = chunkOf(chunks, from);
  for (let n = first; n < chunks.length; n += 1) {
    const chunk = chunks[n]!;
    for (let at = n === first ? lowerBound(chunk, from) : 0; at < chunk.length; at += 1) {
      yield chunk[at]!;
    }
  }
}

function* descending(
  chunks: readonly (readonly string[])[],
  to: string | undefined,
): Generator<string> {
  const last = to === undefined ? chunks.length - 1 : chunkOf(chunks, to);
  for (let n = last; n >= 0; n -= 1) {
    const chunk = chunks[n]!;
    const end = n === last && to !== undefined ? lowerBound(chunk, to) : chunk.length;
    for (let at = end - 1; at >= 0; at -= 1) yield chunk[at]!;
  }
}
