import * as fc from 'fast-check';
import { CID } from 'multiformats/cid';
import { describe, expect, it } from 'vitest';
import { AegisError } from '../../../../src/core/errors.ts';
import { FIND_LIMITS } from '../../../../src/core/kb/find/limits.ts';
import {
  decodeAnswer,
  decodeNews,
  decodeQuestion,
  decodeState,
  encodeAnswer,
  encodeNews,
  encodeQuestion,
  encodeState,
} from '../../../../src/core/kb/find/messages.ts';
import { encode } from '../../../../src/core/model/cbor.ts';

const version = CID.parse('bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy');
const epoch = '0123456789abcdef';
const word = 'fedcba9876543210';

describe('messages of search', () => {
  it('come back as they were', () => {
    const question = { phrases: [{ words: [word, epoch] }, { words: [], start: word }], limit: 5 };
    expect(decodeQuestion(encodeQuestion(question))).toEqual(question);
    const answer = { hits: [{ version, score: 12 }], isMore: true, isSettled: false };
    expect(decodeAnswer(encodeAnswer(answer))).toEqual(answer);
    expect(decodeState(encodeState(undefined))).toBeUndefined();
    expect(decodeState(encodeState({ epoch, ones: 7 }))).toEqual({ epoch, ones: 7 });
    for (const news of [
      { epoch, ones: 7, type: 'same', isPartial: true },
      { epoch, ones: 7, type: 'added', positions: [1, 9], isPartial: false },
      { epoch, ones: 7, type: 'whole', bytes: new Uint8Array(128), isPartial: false },
    ] as const) {
      expect(decodeNews(encodeNews(news))).toEqual(news);
    }
  });

  it('have limits', () => {
    const question = { phrases: [{ words: [word] }], limit: 1 };
    const many = (count: number) => Array.from({ length: count }, () => ({ words: [word] }));
    const refused = (bytes: Uint8Array) =>
      expect(() => decodeQuestion(bytes)).toThrow(expect.any(AegisError));
    refused(encodeQuestion({ ...question, limit: FIND_LIMITS.hits + 1 }));
    refused(encodeQuestion({ ...question, limit: 0 }));
    refused(encodeQuestion({ ...question, phrases: many(FIND_LIMITS.terms + 1) }));
    refused(encodeQuestion({ ...question, phrases: [] }));
    refused(encodeQuestion({ ...question, phrases: [{ words: [] }] }));
    const words = Array.from({ length: FIND_LIMITS.words + 1 }, () => word);
    refused(encodeQuestion({ ...question, phrases: [{ words }] }));
    const hits = Array.from({ length: FIND_LIMITS.hits + 1 }, () => ({ version, score: 1 }));
    const answer = { hits, isMore: false, isSettled: true };
    expect(() => decodeAnswer(encodeAnswer(answer))).toThrow(expect.any(AegisError));
    const all = encodeAnswer({ ...answer, hits: hits.slice(1) });
    expect(all.length).toBeLessThan(FIND_LIMITS.answerBytes);
    expect(decodeAnswer(all).hits).toHaveLength(FIND_LIMITS.hits);
    const positions = Array.from({ length: FIND_LIMITS.additions + 1 }, () => 1);
    const news = { epoch, ones: 1, type: 'added', positions, isPartial: false } as const;
    expect(() => decodeNews(encodeNews(news))).toThrow(expect.any(AegisError));
    const far = { ...news, positions: [FIND_LIMITS.filterBitsMax] };
    expect(() => decodeNews(encodeNews(far))).toThrow(expect.any(AegisError));
  });

  it('refuse whatever else comes, with a word', () => {
    const value = fc.oneof(
      fc.uint8Array(),
      fc.dictionary(fc.constantFrom('v', 'type', 'hits', 'words', 'phrases', 'epoch'), fc.nat()),
      fc.record({ v: fc.constant(1), type: fc.constant('find'), phrases: fc.array(fc.anything()) }),
    );
    fc.assert(
      fc.property(value, (one) => {
        let bytes: Uint8Array;
        try {
          bytes = one instanceof Uint8Array ? one : encode(one);
        } catch {
          return;
        }
        for (const decode of [decodeState, decodeNews, decodeQuestion, decodeAnswer]) {
          expect(() => decode(bytes)).toThrow(AegisError);
        }
      }),
    );
  });
});
