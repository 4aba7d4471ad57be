import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeJson } from '../../../../src/core/kb/merge/json.ts';
import { MERGE_LIMITS } from '../../../../src/core/kb/merge/limits.ts';

const merged = (base: string | undefined, first: string, second: string): unknown => {
  const merge = mergeJson(base, first, second);
  return merge?.type === 'clean' ? merge.text : merge?.pointers;
};

/** Few keys and values, so that sides meet. */
const { object: objects } = fc.letrec<{ object: Record<string, unknown>; value: unknown }>(
  (tie) => ({
    object: fc.dictionary(fc.constantFrom('a', 'b', 'c', '__proto__', 'x/y~z'), tie('value'), {
      maxKeys: 4,
      noNullPrototype: true,
    }),
    value: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      fc.constantFrom(0, 1, 'text', null, true),
      fc.array(fc.constantFrom(1, 'two', { a: 1 }), { maxLength: 2 }),
      tie('object'),
    ),
  }),
);
const text = fc
  .tuple(objects, fc.constantFrom(undefined, 2, '\t'), fc.constantFrom('', '\n'))
  .map(([value, indent, end]) => JSON.stringify(value, null, indent) + end);

type Plain = Record<string, unknown>;
const CONFLICT = Symbol('conflict');
const isPlain = (value: unknown): value is Plain =>
  value !== null && typeof value === 'object' && !Array.isArray(value);
const byKey = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : 1);
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    isPlain(inner) ? Object.fromEntries(Object.entries(inner).toSorted(byKey)) : inner,
  );
const has = (value: unknown, key: string): unknown =>
  isPlain(value) && Object.hasOwn(value, key) ? value[key] : undefined;

/** The same rule on plain values, slowly. */
function model(o: unknown, a: unknown, b: unknown): unknown {
  const [base, one, other] = [o, a, b].map(canonical);
  if (one === other || base === other) return a;
  if (base === one) return b;
  if (!isPlain(a) || !isPlain(b)) return CONFLICT;
  const out: [string, unknown][] = [];
  for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const value = model(has(o, key), has(a, key), has(b, key));
    if (value === CONFLICT) return CONFLICT;
    if (value !== undefined) out.push([key, value]);
  }
  return Object.fromEntries(out);
}

describe('mergeJson', () => {
  it('merges as the rule does on plain values, whatever the order of the sides', () => {
    fc.assert(
      fc.property(text, text, text, (base, a, b) => {
        const [one, other] = [mergeJson(base, a, b)!, mergeJson(base, b, a)!];
        const expected = model(JSON.parse(base), JSON.parse(a), JSON.parse(b));
        expect(one.type).toBe(expected === CONFLICT ? 'conflict' : 'clean');
        if (one.type === 'clean' && other.type === 'clean') {
          expect(canonical(JSON.parse(one.text))).toBe(canonical(expected));
          expect(canonical(JSON.parse(other.text))).toBe(canonical(expected));
        } else expect(one.type).toBe(other.type);
      }),
      { numRuns: 500 },
    );
  });

  it('never writes a number that nobody wrote', () => {
    expect(merged('{"port": 80}', '{"port": 8080}', '{"port": 443}')).toEqual(['/port']);
  });

  it.each([
    ['keys of both', '{"a":1}', '{"a":1,"b":2}', '{"a":1,"c":3}', '{"a":1,"b":2,"c":3}'],
    ['a key taken away', '{"a":1,"b":2}', '{"b":2}', '{"a":1,"b":3}', '{"b":3}'],
    ['taken away against changed', '{"a":1}', '{}', '{"a":2}', ['/a']],
    ['arrays are atomic', '{"a":[1]}', '{"a":[1,2]}', '{"a":[1,3]}', ['/a']],
    ['numbers by their text', '{"a":1.0}', '{"a":1}', '{"a":1.00}', ['/a']],
    [
      'large numbers stand',
      '{}',
      '{"a":12345678901234567890}',
      '{"b":1e999}',
      '{"a":12345678901234567890,"b":1e999}',
    ],
    ['two objects added', '{}', '{"o":{"a":1}}', '{"o":{"b":2}}', '{"o":{"a":1,"b":2}}'],
    ['pointers escaped', '{"a/b":{"~":1}}', '{"a/b":{"~":2}}', '{"a/b":{"~":3}}', ['/a~1b/~0']],
    [
      'a prototype is a key',
      '{}',
      '{"__proto__":1}',
      '{"constructor":2}',
      '{"__proto__":1,"constructor":2}',
    ],
    ['no base', undefined, '{"a":1}', '{"b":2}', '{"a":1,"b":2}'],
    ['an empty file as the base', ' \n', '{"a":1}', '{"b":2}', '{"a":1,"b":2}'],
    [
      'equal but for order and space',
      '{"a":1,"b":2}',
      '{"b":2, "a":1}',
      '{"a":1,"b":3}',
      '{"b":3, "a":1}',
    ],
  ])('%s', (_, base, first, second, result) => {
    expect(merged(base, first, second)).toEqual(result);
  });

  it('keeps the layout of the first, and what stands the same stands as it stood', () => {
    const first = '{\n    "b": [1, 2],\n    "a": {"x": 1}\n}\n';
    const second = '{"a":{"x":1,"y":{"z":[1]}},"b":[1,2],"c":"\\u00e9"}';
    expect(merged('{"a":{"x":1},"b":[1,2]}', first, second)).toBe(
      [
        '{',
        '    "b": [1, 2],',
        '    "a": {',
        '        "x": 1,',
        '        "y": {',
        '            "z": [',
        '                1',
        '            ]',
        '        }',
        '    },',
        '    "c": "\\u00e9"',
        '}\n',
      ].join('\n'),
    );
  });

  it.each([
    ['a duplicate key', '{"a":1,"a":1}'],
    ['a duplicate key that is escaped', '{"a":1,"\\u0061":1}'],
    ['a lone surrogate', '{"a":"\\ud800"}'],
    ['a comma too much', '{"a":1,}'],
    ['a key without quotes', '{a:1}'],
    ['an open string', '{"a'],
    ['an open escape', '{"a\\'],
    ['a control character', '{"a":"\n"}'],
    ['a leading zero', '{"a":01}'],
    ['something after it', '{} {}'],
    ['a byte order mark', '\ufeff{}'],
    ['an array', '[]'],
    ['a word', 'nothing'],
    ['nothing', ''],
    ['too many levels', `${'{"a":'.repeat(MERGE_LIMITS.jsonDepth)}{}${'}'.repeat(64)}`],
  ])('takes %s for no object', (_, bad) => {
    expect(mergeJson('{}', bad, '{"k":1}')).toBeUndefined();
    expect(mergeJson('{}', '{"k":1}', bad)).toBeUndefined();
  });

  it('reads what the platform reads, and no more', () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        const outer = `{"k":${json}}`;
        const depth = /[[{]/.test(json) && json.split(/[[{]/).length > MERGE_LIMITS.jsonDepth;
        fc.pre(!depth && json.isWellFormed() && !/\\ud[89a-f]/i.test(json));
        const merge = mergeJson('{}', outer, '{"other":1}');
        fc.pre(merge !== undefined);
        expect(merge.type === 'clean' && JSON.parse(merge.text)).toEqual({
          ...(JSON.parse(outer) as object),
          other: 1,
        });
      }),
    );
  });

  it('lists so many pointers', () => {
    const of = (value: number): string =>
      JSON.stringify(Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`k${n}`, value])));
    expect(merged('{}', of(1), of(2))).toHaveLength(MERGE_LIMITS.conflicts);
  });

  it('does not grow a content beyond its limit by indentation', () => {
    const wide = `{"a":${'['.repeat(60)}${'1,'.repeat(10_000)}1${']'.repeat(60)}}`;
    expect(merged('{}', '{\n        "b": 1\n}', wide)).toEqual([]);
    const line = merged('{}', '{"b": 1}', wide) as string;
    expect(line.length).toBe('{"b": 1, "a": }'.length + 120 + '1, '.length * 10_000 + 1);
  });
});
