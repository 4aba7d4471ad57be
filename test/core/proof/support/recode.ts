/** Other encodings of the same value, none of which is the one that counts. */
import type { Chance } from './history.ts';

interface Item {
  /** Where it begins, and where what is in it does. */
  readonly at: number;
  readonly content: number;
  readonly end: number;
  readonly major: number;
  readonly argument: number;
  /** Of maps: where each entry begins; the end is the last. */
  readonly entries: readonly number[];
}

/** All items of canonical bytes, the outer ones first. */
function itemsOf(bytes: Uint8Array): Item[] {
  const items: Item[] = [];
  const view = Buffer.from(bytes);
  const read = (at: number): number => {
    const major = view[at]! >> 5;
    const info = view[at]! & 31;
    const extra = info < 24 ? 0 : 1 << (info - 24);
    const content = at + 1 + extra;
    if (major === 7) {
      items.push({ at, content, end: content, major, argument: 0, entries: [] });
      return content;
    }
    const argument =
      extra === 0
        ? info
        : extra === 8
          ? Number(view.readBigUInt64BE(at + 1))
          : view.readUIntBE(at + 1, extra);
    const own = items.length;
    items.push({ at, content, end: content, major, argument, entries: [] });
    const entries: number[] = [];
    let end = content;
    if (major === 2 || major === 3) end += argument;
    const count = major === 4 ? argument : major === 5 ? 2 * argument : major === 6 ? 1 : 0;
    for (let n = 0; n < count; n += 1) {
      if (major === 5 && n % 2 === 0) entries.push(end);
      end = read(end);
    }
    if (major === 5) entries.push(end);
    items[own] = { ...items[own]!, end, entries };
    return end;
  };
  read(0);
  return items;
}

/** The same value in bytes that a strict reader refuses. */
export function recoded(bytes: Uint8Array, chance: Chance): Uint8Array {
  const items = itemsOf(bytes);
  const item = chance.pick(items.filter(({ major }) => major !== 7));
  const before = bytes.subarray(0, item.at);
  const content = bytes.subarray(item.content, item.end);
  const after = bytes.subarray(item.end);
  const kind = chance.below(3);
  if (kind === 0 && (item.major === 4 || item.major === 5)) {
    return join(before, [(item.major << 5) | 31], content, [0xff], after);
  }
  if (kind === 1 && item.entries.length > 2)
    return join(before, swapped(bytes, item, chance), after);
  return join(before, longerHead(item), content, after);
}

function swapped(bytes: Uint8Array, { at, content, entries }: Item, chance: Chance): Uint8Array {
  const pieces = entries.slice(0, -1).map((from, n) => bytes.subarray(from, entries[n + 1]));
  const n = chance.below(pieces.length - 1);
  const [one, two] = [pieces[n]!, pieces[n + 1]!];
  return join(bytes.subarray(at, content), ...pieces.with(n, two).with(n + 1, one));
}

/** The next longer form of the number in it. */
function longerHead({ major, argument }: Item): number[] {
  if (argument < 24) return [(major << 5) | 24, argument];
  if (argument < 256) return [(major << 5) | 25, 0, argument];
  if (argument < 65_536) return [(major << 5) | 26, 0, 0, argument >> 8, argument & 255];
  const bytes = Buffer.alloc(9);
  bytes[0] = (major << 5) | 27;
  bytes.writeBigUInt64BE(BigInt(argument), 1);
  return [...bytes];
}

const join = (...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array =>
  new Uint8Array(Buffer.concat(parts.map((part) => Uint8Array.from(part))));
