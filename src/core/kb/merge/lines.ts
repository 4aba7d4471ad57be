/**
 * Union of lines, for logs that several append to: what either side has removed is gone, what
 * either has added is there. Never a conflict.
 */
import { changesOf } from './changes.ts';

/** Files that are merged like that, by the last part of their path. */
const LOGS = /\.(?:log|ndjson|jsonl)$/;

export const isLog = (name: string): boolean => LOGS.test(name);

/** `second` adds after `first` where both add at one place. Undefined beyond the budget. */
export function mergeLines(base: string, first: string, second: string): string | undefined {
  const lines = split(base);
  const sides = [sideOf(lines, split(first)), sideOf(lines, split(second))];
  const [a, b] = sides;
  if (a === undefined || b === undefined) return undefined;
  const out: string[] = [];
  for (let place = 0; place <= lines.length; place += 1) {
    const before = a.added.get(place) ?? [];
    const known = new Set(before);
    for (const line of before) out.push(line);
    for (const line of b.added.get(place) ?? []) if (!known.has(line)) out.push(line);
    const isKept = place < lines.length && !a.removed.has(place) && !b.removed.has(place);
    if (isKept) out.push(lines[place]!);
  }
  if (out.length === 0) return '';
  // The last line of a file may have no end; joined, each but the last needs one.
  return out.join('\n') + ([first, second].some((text) => text.endsWith('\n')) ? '\n' : '');
}

const split = (text: string): string[] =>
  text === '' ? [] : (text.endsWith('\n') ? text.slice(0, -1) : text).split('\n');

interface Side {
  /** By the line of the base that they stand before. */
  readonly added: ReadonlyMap<number, readonly string[]>;
  readonly removed: ReadonlySet<number>;
}

function sideOf(base: readonly string[], side: readonly string[]): Side | undefined {
  const changes = changesOf(base, side);
  if (changes === undefined) return undefined;
  const added = new Map<number, readonly string[]>();
  const removed = new Set<number>();
  for (const { from, to, lines } of changes) {
    if (lines.length > 0) added.set(from, lines);
    for (let n = from; n < to; n += 1) removed.add(n);
  }
  return { added, removed };
}
