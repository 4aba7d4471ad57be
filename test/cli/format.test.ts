import { expect, test } from 'vitest';
import { ago, bytes, facts, parseDuration, span, table } from '../../src/cli/format.ts';
import { AegisError } from '../../src/core/errors.ts';

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [1536, '1.5 KiB'],
  [102_400, '100 KiB'],
  [1_048_575, '1.0 MiB'],
  [20 * 1024 * 1024, '20.0 MiB'],
  [5 * 1024 ** 4, '5.0 TiB'],
])('%d bytes are %s', (size, text) => expect(bytes(size)).toBe(text));

test.each([
  [0, '0ms'],
  [999, '999ms'],
  [1500, '1.5s'],
  [9999, '9.9s'],
  [10_000, '10s'],
  [90_000, '1m30s'],
  [3_600_000, '1h'],
  [3_660_000, '1h1m'],
  [90_061_000, '1d1h'],
  [-5, '0ms'],
])('%d ms are %s', (ms, text) => expect(span(ms)).toBe(text));

test('ago', () => {
  expect(ago(1000, 61_000)).toBe('1m ago');
  expect(ago('2026-01-01T00:00:00Z', Date.parse('2026-01-01T02:00:00Z'))).toBe('2h ago');
  expect(ago(1000, 1500)).toBe('now');
  expect(ago('never')).toBe('unknown');
});

test.each([
  ['500ms', 500],
  ['30s', 30_000],
  ['1.5s', 1500],
  ['2m', 120_000],
  ['1h', 3_600_000],
  ['30', 30_000],
])('%s is a length of time', (text, ms) => expect(parseDuration(text)).toBe(ms));

test.each(['', '0', 'soon', '-1s', '1d', '1e3', '99999999h', '30 s', 'NaN'])(
  '%s is not a length of time',
  (text) => expect(() => parseDuration(text)).toThrow(AegisError),
);

test('a table aligns cells, tames names and marks what is missing', () => {
  const rows = [
    { name: 'notes.md', size: 5, peer: undefined },
    { name: '資\u001b[2J', size: 1234, peer: 'bob' },
  ];
  const text = table(rows, [
    { title: 'NAME', cell: (row) => row.name },
    { title: 'SIZE', cell: (row) => row.size, align: 'right' },
    { title: 'PEER', cell: (row) => row.peer },
  ]);
  expect(text).toBe(
    ['NAME         SIZE  PEER', 'notes.md        5  -', '資\\u001b[2J  1234  bob'].join('\n'),
  );
});

test('facts leave out what is not known', () => {
  expect(
    facts([
      ['node', 'a'],
      ['cluster', undefined],
      ['zone', 'b'],
    ]),
  ).toBe('node  a\nzone  b');
});
