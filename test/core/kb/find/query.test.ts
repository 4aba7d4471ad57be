import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FIND_LIMITS } from '../../../../src/core/kb/find/limits.ts';
import { parseQuery, termsOf } from '../../../../src/core/kb/find/query.ts';
import { TERM_PATTERN, Terms, termsKeyOf } from '../../../../src/core/kb/find/terms.ts';

const terms = new Terms(termsKeyOf(new Uint8Array(32)));
const word = (text: string): string => terms.word(text);
const parse = (query: string) => parseQuery(query, terms);
const refusal = expect.objectContaining({ code: 'BAD_REQUEST' });

describe('W33: queries', () => {
  it('have words, phrases and beginnings', () => {
    expect(parse('uno "dos tres" cuat*')).toEqual([
      { words: [word('uno')] },
      { words: [word('dos'), word('tres')] },
      { words: [], start: terms.start('cuat') },
    ]);
  });

  it('take what is between spaces for a phrase where it has several words', () => {
    expect(parse('etc/nginx.co*')).toEqual([
      { words: [word('etc'), word('nginx')], start: terms.start('co') },
    ]);
  });

  it('take a quote that is not closed to the end', () => {
    expect(parse('"uno dos')).toEqual([{ words: [word('uno'), word('dos')] }]);
  });

  it('take a star after a phrase for its last word', () => {
    expect(parse('"uno dos"*')).toEqual([{ words: [word('uno')], start: terms.start('dos') }]);
  });

  it('look for a long beginning by as much of it as is indexed', () => {
    const long = 'x'.repeat(FIND_LIMITS.startChars);
    expect(parse(`${long}yz*`)).toEqual([{ words: [], start: terms.start(long) }]);
  });

  it.each(['', '   ', '"', '""', '*', '"*"', '---', '( ) ^ :'])(
    'ask for something: not %j',
    (query) => {
      expect(() => parse(query)).toThrow(refusal);
    },
  );

  it('have beginnings of two letters at least', () => {
    expect(() => parse('a*')).toThrow(refusal);
  });

  it('have limits', () => {
    expect(() => parse('x'.repeat(FIND_LIMITS.queryChars + 1))).toThrow(refusal);
    expect(parse('ab '.repeat(FIND_LIMITS.terms))).toHaveLength(FIND_LIMITS.terms);
    expect(() => parse('ab '.repeat(FIND_LIMITS.terms + 1))).toThrow(refusal);
    expect(parse(`"${'ab '.repeat(FIND_LIMITS.words)}"`)).toHaveLength(1);
    expect(() => parse(`"${'ab '.repeat(FIND_LIMITS.words + 1)}"`)).toThrow(refusal);
  });

  it('say nothing but terms, whatever they are', () => {
    const hostile = fc.constantFrom(
      '"',
      '*',
      ' NEAR(',
      'OR ',
      '{path}:',
      '^',
      '\0',
      ')',
      '-',
      ';--',
    );
    const text = fc
      .array(fc.oneof(hostile, fc.string({ unit: 'binary' })))
      .map((all) => all.join(''));
    fc.assert(
      fc.property(text, (query) => {
        let phrases: ReturnType<typeof parse> = [];
        try {
          phrases = parse(query);
        } catch (error) {
          expect(error).toEqual(refusal);
        }
        for (const term of termsOf(phrases)) expect(term).toMatch(TERM_PATTERN);
      }),
    );
  });
});
