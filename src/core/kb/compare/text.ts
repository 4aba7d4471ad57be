/** What two texts differ in, as hunks of lines with some around them (the unified format). */
import { type Change, changesOf } from '../merge/changes.ts';
import { linesOf } from '../merge/text.ts';

export interface Hunk {
  /** First line on either side, from 1; the one before it where the hunk has none there. */
  readonly aLine: number;
  readonly aLines: number;
  readonly bLine: number;
  readonly bLines: number;
  /** Each with a space, `-` or `+` before it, and without its end. */
  readonly lines: readonly string[];
}

export interface TextDifference {
  readonly type: 'text';
  readonly hunks: readonly Hunk[];
  /** Whether the last line of each side has no end. */
  readonly isOpenA: boolean;
  readonly isOpenB: boolean;
}

/** Never fails: beyond the budget of edits all between the first and the last change is one. */
export function compareText(a: string, b: string, context: number): TextDifference {
  const [before, after] = [linesOf(a), linesOf(b)];
  const changes = changesOf(before, after) ?? wholeChange(before, after);
  const hunks = groupsOf(changes, context).map((group) => hunkOf(before, group, context));
  return { type: 'text', hunks, isOpenA: isOpen(a), isOpenB: isOpen(b) };
}

const isOpen = (text: string): boolean => text !== '' && !text.endsWith('\n');

function wholeChange(before: readonly string[], after: readonly string[]): Change[] {
  let [head, tail] = [0, 0];
  const most = Math.min(before.length, after.length);
  while (head < most && before[head] === after[head]) head += 1;
  while (tail < most - head && before.at(-1 - tail) === after.at(-1 - tail)) tail += 1;
  return [{ from: head, to: before.length - tail, lines: after.slice(head, after.length - tail) }];
}

interface Placed extends Change {
  /** Where it begins on the other side. */
  readonly at: number;
}

/** Changes whose surroundings touch come into one hunk. */
function groupsOf(changes: readonly Change[], context: number): Placed[][] {
  const groups: Placed[][] = [];
  let shift = 0;
  for (const change of changes) {
    const placed = { ...change, at: change.from + shift };
    shift += change.lines.length - (change.to - change.from);
    const last = groups.at(-1)?.at(-1);
    if (last !== undefined && change.from - last.to <= 2 * context) groups.at(-1)!.push(placed);
    else groups.push([placed]);
  }
  return groups;
}

function hunkOf(before: readonly string[], group: readonly Placed[], context: number): Hunk {
  const [first, last] = [group[0]!, group.at(-1)!];
  const from = Math.max(0, first.from - context);
  const to = Math.min(before.length, last.to + context);
  const lines: string[] = [];
  let at = from;
  for (const change of group) {
    lines.push(...before.slice(at, change.from).map((line) => ` ${bare(line)}`));
    lines.push(...before.slice(change.from, change.to).map((line) => `-${bare(line)}`));
    lines.push(...change.lines.map((line) => `+${bare(line)}`));
    at = change.to;
  }
  lines.push(...before.slice(at, to).map((line) => ` ${bare(line)}`));
  const aLines = to - from;
  const grown = group.reduce((sum, each) => sum + each.lines.length - (each.to - each.from), 0);
  const bLines = aLines + grown;
  const bFrom = first.at - (first.from - from);
  return {
    aLine: aLines === 0 ? from : from + 1,
    aLines,
    bLine: bLines === 0 ? bFrom : bFrom + 1,
    bLines,
    lines,
  };
}

const bare = (line: string): string => (line.endsWith('\n') ? line.slice(0, -1) : line);
