/**
 * What nodes ask each other for search (W34), in dag-cbor: for news of a filter, and for what is
 * found with them. Terms travel under the key. Decoding checks shapes and limits.
 */
import { CID } from 'multiformats/cid';
import { AegisError } from '../../errors.ts';
import { decode, encode } from '../../model/cbor.ts';
import { RecordReader } from '../../model/record.ts';
import type { FilterNews, FilterState, ToldNews } from './grown-filter.ts';
import { FIND_LIMITS } from './limits.ts';
import { type Phrase, termsOf } from './query.ts';
import { TERM_BYTES } from './terms.ts';

const V = 1;
export const EPOCH_BYTES = 8;
const CID_BYTES_MAX = 64;
/** Hits are compared in thousandths. */
const SCORE_MAX = 2 ** 31;

export interface FindQuestion {
  readonly phrases: readonly Phrase[];
  readonly limit: number;
}

export interface FindHit {
  readonly version: CID;
  /** How well it fits, in thousandths: BM25 of the node that says so. */
  readonly score: number;
}

export interface FindAnswer {
  /** The best first. */
  readonly hits: readonly FindHit[];
  /** Whether there are more. */
  readonly isMore: boolean;
  /** Whether all that the node holds is in its index. */
  readonly isSettled: boolean;
}

/** What is known of a filter; `undefined`: nothing. */
export const encodeState = (state: FilterState | undefined): Uint8Array =>
  encode({
    v: V,
    type: 'words-known',
    ...(state === undefined ? {} : { epoch: hexBytes(state.epoch), ones: state.ones }),
  });

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export function decodeState(bytes: Uint8Array): FilterState | undefined {
  const reader = open(bytes, FIND_LIMITS.questionBytes, 'words-known', ['epoch', 'ones']);
  return reader.has('epoch') ? stateOf(reader) : undefined;
}

export const encodeNews = (news: ToldNews): Uint8Array =>
  encode({
    v: V,
    type: 'words-news',
    epoch: hexBytes(news.epoch),
    ones: news.ones,
    isPartial: news.isPartial,
    ...(news.type === 'whole' ? { whole: news.bytes } : {}),
    ...(news.type === 'added' ? { added: [...news.positions] } : {}),
  });

/** Longest encoding of news. */
export const NEWS_BYTES_MAX = FIND_LIMITS.filterBitsMax / 8 + 1024;

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export function decodeNews(bytes: Uint8Array): ToldNews {
  const names = ['epoch', 'ones', 'isPartial', 'whole', 'added'];
  const reader = open(bytes, NEWS_BYTES_MAX, 'words-news', names);
  const isPartial = reader.flag('isPartial');
  return { ...changeOf(reader), isPartial };
}

function changeOf(reader: RecordReader): FilterNews {
  const state = stateOf(reader);
  if (reader.has('whole')) {
    const whole = reader.bytes('whole', { maxBytes: FIND_LIMITS.filterBitsMax / 8 });
    // Memory of its own: the message need not stay.
    return { ...state, type: 'whole', bytes: whole.slice() };
  }
  if (!reader.has('added')) return { ...state, type: 'same' };
  const positions = reader
    .list('added', FIND_LIMITS.additions)
    .map((value) => integer(value, FIND_LIMITS.filterBitsMax - 1));
  return { ...state, type: 'added', positions };
}

export const encodeQuestion = ({ phrases, limit }: FindQuestion): Uint8Array =>
  encode({
    v: V,
    type: 'find',
    limit,
    phrases: phrases.map(({ words, start }) => ({
      words: hexBytes(words.join('')),
      ...(start === undefined ? {} : { start: hexBytes(start) }),
    })),
  });

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export function decodeQuestion(bytes: Uint8Array): FindQuestion {
  const reader = open(bytes, FIND_LIMITS.questionBytes, 'find', ['limit', 'phrases']);
  const phrases = reader.list('phrases', FIND_LIMITS.terms).map(phraseOf);
  const count = termsOf(phrases).length;
  if (count === 0 || phrases.some((phrase) => termsOf([phrase]).length === 0)) {
    throw bad('asks for nothing');
  }
  if (count > FIND_LIMITS.words) throw new AegisError('TOO_LARGE', 'a question of too many words');
  return { phrases, limit: reader.integer('limit', 1, FIND_LIMITS.hits) };
}

export const encodeAnswer = ({ hits, isMore, isSettled }: FindAnswer): Uint8Array =>
  encode({
    v: V,
    type: 'found',
    isMore,
    isSettled,
    hits: hits.map(({ version, score }) => [version, score]),
  });

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export function decodeAnswer(bytes: Uint8Array): FindAnswer {
  const names = ['hits', 'isMore', 'isSettled'];
  const reader = open(bytes, FIND_LIMITS.answerBytes, 'found', names);
  const hits = reader.list('hits', FIND_LIMITS.hits).map(hitOf);
  return { hits, isMore: reader.flag('isMore'), isSettled: reader.flag('isSettled') };
}

const open = (
  bytes: Uint8Array,
  maxBytes: number,
  type: string,
  names: readonly string[],
): RecordReader => new RecordReader(decode(bytes, { maxBytes }), type, names, V);

const stateOf = (reader: RecordReader): FilterState => ({
  epoch: hexOf(reader.bytes('epoch', { length: EPOCH_BYTES })),
  ones: reader.integer('ones', 0, FIND_LIMITS.filterBitsMax),
});

function phraseOf(value: unknown): Phrase {
  const reader = new RecordReader(value, 'phrase', ['words', 'start'], null);
  const packed = hexOf(reader.bytes('words', { maxBytes: FIND_LIMITS.words * TERM_BYTES }));
  if (packed.length % (2 * TERM_BYTES) !== 0) throw bad('has a word of another length');
  const words = packed.match(/.{16}/g) ?? [];
  if (!reader.has('start')) return { words };
  return { words, start: hexOf(reader.bytes('start', { length: TERM_BYTES })) };
}

function hitOf(value: unknown): FindHit {
  if (!Array.isArray(value) || value.length !== 2) throw bad('has something else than a hit');
  const [version, score] = value as [unknown, unknown];
  if (!(version instanceof CID) || version.byteLength > CID_BYTES_MAX) throw bad('has a bad CID');
  return { version, score: integer(score, SCORE_MAX) };
}

function integer(value: unknown, max: number): number {
  if (!Number.isSafeInteger(value) || Number(value) < 0 || Number(value) > max) {
    throw bad(`has something else than a number up to ${max}`);
  }
  return Number(value);
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const hexBytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));

const bad = (why: string): AegisError => new AegisError('BAD_ENCODING', `a message ${why}`);
