/** Differences of contents for people: unified text, JSON by pointer, the rest by size. */
import type { Reply } from '../../core/api/contract/endpoints.ts';
import type { KbDifference, KbFileDiff } from '../../core/api/contract/kb-versions.ts';
import type { Colours } from '../colour.ts';
import { bytes, safeText } from '../format.ts';

/** So many characters name a version of a path. */
const MARK_LENGTH = 8;

export function diffView(diff: Reply<'kb.diff'>, paint: Colours): string {
  const blocks = diff.files.map((file) => fileView(diff, file, paint).join('\n'));
  if (diff.more) blocks.push('There is more: compare a part of it.');
  return blocks.join('\n');
}

function fileView({ a, b }: Reply<'kb.diff'>, file: KbFileDiff, paint: Colours): string[] {
  const isOne = a.path === b.path;
  const [before, after] = [nameOf(a, file.at, isOne), nameOf(b, file.at, isOne)];
  const { difference } = file;
  if (file.status === 'added') return [paint.green(`added    ${after}${sizeOf(file.b)}`)];
  if (file.status === 'removed') return [paint.red(`removed  ${before}${sizeOf(file.a)}`)];
  if (difference === null) return [`changed  ${after}: ${file.a?.kind} to ${file.b?.kind}`];
  if (difference.type === 'bytes') {
    const sizes = `${bytes(file.a?.sizeBytes ?? 0)} to ${bytes(file.b?.sizeBytes ?? 0)}`;
    return [`changed  ${after}: ${sizes}, first at byte ${difference.offset}`];
  }
  const head = [paint.bold(`--- ${before}`), paint.bold(`+++ ${after}`)];
  return [
    ...head,
    ...(difference.type === 'text' ? text(difference, paint) : json(difference, paint)),
  ];
}

/** Of two versions of one path each has its mark. */
const nameOf = ({ path, version, cid }: Reply<'kb.diff'>['a'], at: string, isOne: boolean) => {
  const mark = isOne && version !== null ? `@${version.slice(-MARK_LENGTH)}` : '';
  const name = path === null ? cid : path + mark;
  return safeText(at === '' ? name : `${name}/${at}`);
};

const sizeOf = (content: KbFileDiff['a']): string =>
  content === null ? '' : `  ${content.kind}  ${bytes(content.sizeBytes)}`;

function text(
  { hunks, isOpenA, isOpenB }: Extract<KbDifference, { type: 'text' }>,
  paint: Colours,
): string[] {
  const out: string[] = [];
  for (const { aLine, aLines, bLine, bLines, lines } of hunks) {
    out.push(paint.cyan(`@@ -${rangeOf(aLine, aLines)} +${rangeOf(bLine, bLines)} @@`));
    for (const line of lines) out.push(painted(line, paint));
  }
  if (isOpenA !== isOpenB) {
    out.push(`\\ No newline at the end of the ${isOpenA ? 'first' : 'second'}`);
  }
  return out;
}

const rangeOf = (line: number, count: number): string =>
  count === 1 ? String(line) : `${line},${count}`;

function painted(line: string, paint: Colours): string {
  const shown = safeText(line);
  if (line.startsWith('+')) return paint.green(shown);
  return line.startsWith('-') ? paint.red(shown) : shown;
}

function json({ members }: Extract<KbDifference, { type: 'json' }>, paint: Colours): string[] {
  return members.flatMap(({ pointer, a, b }) => [
    paint.cyan(`@@ ${safeText(pointer)} @@`),
    ...(a === null ? [] : a.split('\n').map((line) => paint.red(`-${safeText(line)}`))),
    ...(b === null ? [] : b.split('\n').map((line) => paint.green(`+${safeText(line)}`))),
  ]);
}
