import { expect, test } from 'vitest';
import { FIND_LIMITS } from '../../../../src/core/kb/find/limits.ts';
import { textsOf } from '../../../../src/core/node/search/texts.ts';
import { contentOf } from '../../kb/authors.ts';

const root = contentOf('root');
const fileOf = (content: string | Uint8Array, sizeBytes?: number) => {
  const bytes = Buffer.from(content);
  async function* chunks() {
    for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
  }
  return { kind: 'file' as const, sizeBytes: sizeBytes ?? bytes.length, bytes: chunks() };
};

const ofFile = (content: string | Uint8Array, sizeBytes?: number) =>
  textsOf({ open: () => Promise.resolve(fileOf(content, sizeBytes)) }, root);

const ofTree = (files: readonly (readonly [string, string | Uint8Array | undefined])[]) => {
  async function* entries() {
    for (const [path, content] of files) {
      if (content !== undefined) yield { path, ...fileOf(content) };
      else yield { path, kind: 'directory' as const, sizeBytes: 0, bytes: fileOf('').bytes };
    }
  }
  return textsOf({ open: () => Promise.resolve({ kind: 'directory', entries: entries() }) }, root);
};

test('of a file: its text', async () => {
  expect(await ofFile('año nuevo')).toEqual(['año nuevo']);
});

test.each([
  ['nothing', ''],
  ['a NUL', 'a\0b'],
  ['no UTF-8', new Uint8Array([0x61, 0xff])],
  ['more than 1 MiB', 'x'.repeat(FIND_LIMITS.textBytes + 1)],
])('of a file with %s: no words', async (_what, content) => {
  expect(await ofFile(content)).toBeUndefined();
});

test('of a file of 1 MiB: all', async () => {
  expect((await ofFile('x'.repeat(FIND_LIMITS.textBytes)))?.[0]).toHaveLength(
    FIND_LIMITS.textBytes,
  );
});

test('a file that is longer than it says is an error', async () => {
  const expected = expect.objectContaining({ code: 'BAD_DATA' });
  await expect(ofFile('x'.repeat(5000), 10)).rejects.toThrow(expected);
});

test('of a directory: names, and the texts in it', async () => {
  const binary = new Uint8Array([0, 1]);
  expect(
    await ofTree([
      ['a', undefined],
      ['a/b.txt', 'uno'],
      ['c.bin', binary],
    ]),
  ).toEqual([...['a', 'a/b.txt', 'uno', 'c.bin']]);
});

test('of a large directory: as much as there is room for', async () => {
  const text = 'x'.repeat(FIND_LIMITS.textBytes);
  const texts = await ofTree(Array.from({ length: 6 }, (_, n) => [`f${n}`, text] as const));
  const room = FIND_LIMITS.versionBytes / FIND_LIMITS.textBytes;
  expect(texts?.filter((one) => one === text)).toHaveLength(room);
  expect(texts).toHaveLength(6 + room);
  const many = Array.from({ length: FIND_LIMITS.names + 5 }, (_, n) => [`f${n}`, ''] as const);
  expect(await ofTree(many)).toHaveLength(FIND_LIMITS.names);
});
