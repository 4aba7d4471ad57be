import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FIND_LIMITS } from '../../../../src/core/kb/find/limits.ts';
import { TERM_PATTERN, Terms, termsKeyOf } from '../../../../src/core/kb/find/terms.ts';
import { fold, startsOf, wordsOf } from '../../../../src/core/kb/find/words.ts';

const words = (text: string): string[] => [...wordsOf(text)];

describe('W33: words', () => {
  it.each([
    ['La configuración del Señor Núñez', ['la', 'configuracion', 'del', 'senor', 'nunez']],
    ['ACCIÓN, acción; acción', ['accion', 'accion', 'accion']],
    ['pingüino', ['pinguino']],
    ['Straße STRASSE', ['strasse', 'strasse']],
    ['Δρόμος ΔΡΟΜΟΣ', ['δρομοσ', 'δρομοσ']],
    ['ﬁne Ｆｕｌｌ ①', ['fine', 'full', '1']],
    ['İstanbul ISTANBUL', ['istanbul', 'istanbul']],
    ['etc/nginx_2.conf-a', ['etc', 'nginx', '2', 'conf', 'a']],
    ['東京都 tokyo', ['東', '京', '都', 'tokyo']],
    ['データ', ['デ', 'ー', 'タ']],
    ['" OR * NEAR(a) ^', ['or', 'near', 'a']],
    ['…  — ', []],
  ])('of %j', (text, expected) => {
    expect(words(text)).toEqual(expected);
  });

  it('are the same composed and decomposed', () => {
    const text = 'Años de ñandú, últimos días';
    expect(words(text.normalize('NFD'))).toEqual(words(text.normalize('NFC')));
  });

  it('are folded once and for all', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        for (const word of words(text)) expect(fold(fold(word))).toBe(fold(word));
      }),
    );
  });

  it('are cut where they are too long', () => {
    const [word] = words('x'.repeat(2 * FIND_LIMITS.wordChars));
    expect(word).toHaveLength(FIND_LIMITS.wordChars);
  });

  it('begin with two letters at least, and are found by so much of them', () => {
    expect([...startsOf('abcd')]).toEqual(['ab', 'abc', 'abcd']);
    expect([...startsOf('a')]).toEqual([]);
    expect([...startsOf('x'.repeat(40))].at(-1)).toHaveLength(FIND_LIMITS.startChars);
  });
});

describe('W34: terms', () => {
  const one = new Terms(termsKeyOf(new Uint8Array(32).fill(1)));
  const other = new Terms(termsKeyOf(new Uint8Array(32).fill(2)));

  it('depend on the key, and on what they are of', () => {
    const all = [one.word('ab'), one.start('ab'), one.path('ab'), other.word('ab')];
    expect(new Set(all).size).toBe(all.length);
    for (const term of all) expect(term).toMatch(TERM_PATTERN);
  });

  it('are those of this key for ever: indexes of a cluster compare', () => {
    expect(one.word('configuracion')).toBe('179ad9c613893fb6');
  });

  it('of a text stand in its order', () => {
    expect(one.wordsOf('b a b')).toEqual(['b', 'a', 'b'].map((word) => one.word(word)));
    expect(one.startsOf('abc abd')).toEqual(['ab', 'abc', 'abd'].map((word) => one.start(word)));
  });
});
