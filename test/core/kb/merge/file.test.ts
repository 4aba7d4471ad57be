import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FileMerge, mergeFile } from '../../../../src/core/kb/merge/file.ts';
import { MERGE_LIMITS } from '../../../../src/core/kb/merge/limits.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const shown = (merge: FileMerge): unknown =>
  merge.type === 'clean' ? new TextDecoder().decode(merge.bytes) : 'conflict';

function merged(name: string, base: string | undefined, ours: string, theirs: string): unknown {
  const sides = { ours: bytes(ours), theirs: bytes(theirs) };
  return shown(
    mergeFile({ name, ...(base !== undefined && { base: bytes(base) }), ...sides, first: 'ours' }),
  );
}

describe('mergeFile', () => {
  const content = fc.oneof(
    fc.array(fc.constantFrom('a', 'b', '{', ''), { maxLength: 6 }).map((list) => list.join('\n')),
    fc.constantFrom('{"a":1}', '{"a":2}', '{"a":1,"b":1}', '\0', 'text'),
  );
  const name = fc.constantFrom('file', 'file.log', 'file.json');

  it('makes the same bytes whoever has won', () => {
    fc.assert(
      fc.property(
        name,
        fc.option(content, { nil: undefined }),
        content,
        content,
        (of, base, a, b) => {
          const [ours, theirs] = [bytes(a), bytes(b)];
          const from = base === undefined ? {} : { base: bytes(base) };
          const one = mergeFile({ name: of, ...from, ours, theirs, first: 'ours' });
          const other = mergeFile({
            name: of,
            ...from,
            ours: theirs,
            theirs: ours,
            first: 'theirs',
          });
          expect(other).toEqual(one);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('changes nothing when it merges a result with a side again', () => {
    fc.assert(
      fc.property(name, content, content, content, (of, base, a, b) => {
        const [ours, theirs] = [bytes(a), bytes(b)];
        const merge = mergeFile({ name: of, base: bytes(base), ours, theirs, first: 'ours' });
        fc.pre(merge.type === 'clean');
        const again = {
          name: of,
          base: ours,
          ours: merge.bytes,
          theirs: ours,
          first: 'ours',
        } as const;
        expect(mergeFile(again)).toEqual(merge);
      }),
    );
  });

  it.each([
    ['the same of both', 'x', 'base', '\0same', '\0same', '\0same'],
    ['one unchanged', 'x', '\0base', '\0base', '\0new', '\0new'],
    ['text', 'x', 'a\nb\nc\n', 'A\nb\nc\n', 'a\nb\nC\n', 'A\nb\nC\n'],
    ['text without a base', 'x', undefined, 'a\n', 'b\n', 'conflict'],
    ['JSON without a base', 'x', undefined, '{"a":1}', '{"b":2}', '{"a":1,"b":2}'],
    ['JSON in conflict', 'x', '{"a":1}', '{"a":2}', '{"a":3}', 'conflict'],
    [
      'JSON from what was none',
      'x',
      '{"a":1,\n\n\n}\n',
      '{"a":1\n\n\n}\n',
      '{"a":2}\n',
      'conflict',
    ],
    [
      'a log of JSON',
      'x.jsonl',
      '{"a":1}\n',
      '{"a":1}\n{"b":1}\n',
      '{"a":1}\n{"c":1}\n',
      '{"a":1}\n{"b":1}\n{"c":1}\n',
    ],
    ['bytes', 'x', 'a\n', 'a\n\0', 'b\n', 'conflict'],
    ['a log with a NUL', 'x.log', 'a\n', 'a\n\0', 'b\n', 'conflict'],
  ])('%s', (_, of, base, ours, theirs, result) => {
    expect(merged(of, base, ours, theirs)).toBe(result);
  });

  it('takes for text only what is UTF-8, and keeps its byte order mark', () => {
    const latin = Uint8Array.of(0x61, 0x0a, 0xe9, 0x0a);
    const [base, theirs] = [bytes('a\n'), bytes('b\na\n')];
    expect(shown(mergeFile({ name: 'x', base, ours: latin, theirs, first: 'ours' }))).toBe(
      'conflict',
    );
    const marked = mergeFile({
      name: 'x',
      base: bytes('\ufeffa\nb\nc\n'),
      ours: bytes('\ufeffa\nb\nC\n'),
      theirs: bytes('\ufeffA\nb\nc\n'),
      first: 'ours',
    });
    expect(marked.type === 'clean' && marked.bytes).toEqual(bytes('\ufeffA\nb\nC\n'));
  });

  it('takes a content above its limit for bytes', () => {
    const line = 'x'.repeat(MERGE_LIMITS.bytes - 5);
    expect(merged('x', `${line}\n1\n2\n`, `${line}\n1\n3\n`, `y\n1\n2\n`)).toBe('y\n1\n3\n');
    expect(merged('x', `${line}\n1\n2\n`, `${line}\n1\n2\n3\n`, `y\n1\n2\n`)).toBe('conflict');
    expect(merged('x', `${line}\n1\n2\n`, `${line}\n1\n3\n`, `${line}\n4\n1\n2`)).toBe('conflict');
  });
});
