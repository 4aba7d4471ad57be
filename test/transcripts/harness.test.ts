import { describe, expect, test } from 'vitest';
import { parseTranscript } from './markdown.ts';
import { bind, matches } from './match.ts';
import { contractSchemas, schemaFaults } from './schemas.ts';

describe('a transcript', () => {
  const text = [
    'Prose. <!-- not a setting -->',
    '<!-- transcript: cluster -->',
    '```sh',
    '$ not run',
    '```',
    '  ```console',
    '  $ aegis version',
    '  aegis/1',
    '  $ cat <<END |',
    '  > more',
    '  gone',
    '  ? 66',
    '  ```',
  ].join('\n');

  test('is the console blocks of a file', () => {
    expect(parseTranscript(text)).toEqual({
      setting: 'cluster',
      steps: [
        { line: 7, command: 'aegis version', output: ['aegis/1'], exit: 0 },
        { line: 9, command: 'cat <<END |\nmore', output: ['gone'], exit: 66 },
      ],
    });
  });

  test('that makes no sense is an error', () => {
    expect(() => parseTranscript('```console\noutput first\n```')).toThrow(/begins with/);
    expect(() => parseTranscript('<!-- transcript: moon -->')).toThrow(/moon/);
  });
});

describe('output', () => {
  const like = (expected: string[], actual: string[]): boolean =>
    matches(expected, actual, new Map());
  const id = `aegis1${'a'.repeat(32)}`;

  test.each([
    [[], [], true],
    [['a'], ['a'], true],
    [['a'], ['b'], false],
    [['a'], [], false],
    [[], ['a'], false],
    [['a.c'], ['abc'], false],
    [['up <duration>'], ['up 1m30s'], true],
    [['up <duration>'], ['up soon'], false],
    [['<node id> ready'], [`${id} ready`], true],
    [['<bob node id>'], [id], true],
    [['<node id>'], ['bob'], false],
    [['a … c'], ['a b b c'], true],
    [['…'], [], true],
    [['a', '…', 'c'], ['a', 'x', 'y', 'c'], true],
    [['a', '…', 'c'], ['a', 'x', 'y'], false],
    [['<size>'], ['20.0 MiB'], true],
  ])('%j and %j: %s', (expected, actual, right) => expect(like(expected, actual)).toBe(right));

  test('what a placeholder matched stands for it in later commands', () => {
    const bindings = new Map<string, string>();
    matches([`<node id> and <bob node id>`], [`${id}b and ${id}c`], bindings);
    expect(bind('show <bob node id> < <file>', bindings)).toBe(`show ${id}c < <file>`);
  });
});

test('JSON objects are held to the schema that they name', async () => {
  const schemas = await contractSchemas();
  const error = { code: 'NOT_FOUND', message: 'gone', exit: 66, retryable: false };
  const good = JSON.stringify({ schema: 'aegis.error/1', error });
  expect(schemaFaults([good, 'text', '{"no":"schema"}'], schemas)).toEqual([]);
  expect(schemaFaults(['{"schema":"aegis.error/1","error":{}}'], schemas)).not.toEqual([]);
  expect(schemaFaults(['{"schema":"aegis.moon/1"}'], schemas)).toEqual([
    'no schema aegis.moon/1 in api/contract',
  ]);
});
