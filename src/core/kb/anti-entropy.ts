/**
 * What two nodes say to each other until both know the same versions. All answers follow from the
 * message and the graph: nothing is remembered about the other node, so any message may be lost,
 * repeated or late.
 */
import { KIB } from '../units.ts';
import { LIMITS } from './limits.ts';
import { type DigestRange, HOPS_MAX, type KbMessage, RANGES_MAX } from './messages.ts';
import type { VersionGraph } from './versions.ts';

type Message<T extends KbMessage['type']> = Extract<KbMessage, { type: T }>;

/** Bytes of signed versions in one message. */
const PAGE_BYTES = LIMITS.messageBytes - 64 * KIB;
/** A range of this many sequences is sent, not cut further. */
const RANGE_SEND = 8;
/** Pages in answer to one message: what does not fit is a matter of the next vector. */
const PAGES_MAX = 4;
/** Authors whose differences are followed up in answer to one vector. */
const DIFFERENCES_MAX = 4;

export function vectorMessage(
  graph: VersionGraph,
  held: Uint8Array,
  isReply: boolean,
): Message<'vector'> {
  const entries = [...graph.vector()].map(([author, sequence]) => {
    const digest = graph.author(author).digest(1, sequence);
    return { author, sequence, digest };
  });
  return { type: 'vector', entries: entries.slice(0, LIMITS.vectorAuthors), held, isReply };
}

/**
 * What the sender of a vector lacks, and where its versions differ from those here.
 * @returns `isBehind` when the sender knows something that this node does not.
 */
export function answerVector(
  graph: VersionGraph,
  message: Message<'vector'>,
): { readonly answers: KbMessage[]; readonly isBehind: boolean } {
  const answers: KbMessage[] = [];
  const theirs = new Map(message.entries.map(({ author, sequence }) => [author, sequence]));
  const limits = { maxCount: LIMITS.messageVersions, maxBytes: PAGE_BYTES };
  const { versions, isMore } = graph.after(theirs, limits);
  if (versions.length > 0) {
    answers.push({ type: 'versions', versions: versions.map(({ bytes }) => bytes), isMore });
  }
  let isBehind = false;
  let differences = 0;
  for (const { author, sequence, digest } of message.entries) {
    const log = graph.author(author);
    if (sequence > log.sequence) isBehind = true;
    else if (sequence > 0 && differences < DIFFERENCES_MAX) {
      const mine = log.digest(1, sequence);
      if (Buffer.compare(mine, digest) === 0) continue;
      differences += 1;
      const ranges = [{ from: 1, to: sequence, digest: mine }];
      answers.push({ type: 'ranges', author, ranges, hops: HOPS_MAX });
    }
  }
  return { answers, isBehind };
}

/** Follows a difference one level down; sends the versions when the range is short. */
export function answerRanges(graph: VersionGraph, message: Message<'ranges'>): KbMessage[] {
  const { author, hops } = message;
  const log = graph.author(author);
  const differs = message.ranges
    .map(({ from, to, digest }) => ({ from, to: Math.min(to, log.sequence), digest }))
    .filter(
      ({ from, to, digest }) => from <= to && Buffer.compare(log.digest(from, to), digest) !== 0,
    );
  const short = differs.filter(({ from, to }) => to - from < RANGE_SEND);
  const long = differs.find(({ from, to }) => to - from >= RANGE_SEND);
  const answers: KbMessage[] = [];
  const versions = short.flatMap(({ from, to }) => [...log.between(from, to)]);
  for (const page of pagesOf(versions.map(({ bytes }) => bytes)).slice(0, PAGES_MAX)) {
    answers.push({ type: 'versions', versions: page, isMore: false });
  }
  if (hops === 0) return answers;
  const mine = short.map(({ from, to }) => ({ from, to, digest: log.digest(from, to) }));
  if (mine.length > 0) answers.push({ type: 'ranges', author, ranges: mine, hops: hops - 1 });
  if (long !== undefined) {
    answers.push({ type: 'ranges', author, ranges: cut(long, log), hops: hops - 1 });
  }
  return answers;
}

function pagesOf(versions: readonly Uint8Array[]): Uint8Array[][] {
  const pages: Uint8Array[][] = [];
  let pageBytes = 0;
  for (const bytes of versions) {
    const page = pages.at(-1);
    const isFull =
      page === undefined ||
      page.length === LIMITS.messageVersions ||
      pageBytes + bytes.length > PAGE_BYTES;
    if (isFull) pages.push([bytes]);
    else page.push(bytes);
    pageBytes = isFull ? bytes.length : pageBytes + bytes.length;
  }
  return pages;
}

function cut(
  { from, to }: DigestRange,
  log: { digest(from: number, to: number): Uint8Array },
): DigestRange[] {
  const width = Math.ceil((to - from + 1) / RANGES_MAX);
  const ranges: DigestRange[] = [];
  for (let start = from; start <= to; start += width) {
    const end = Math.min(start + width - 1, to);
    ranges.push({ from: start, to: end, digest: log.digest(start, end) });
  }
  return ranges;
}
