/** Sealed contents over a real content store: what goes in comes out, to its readers only. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import type { CID } from 'multiformats/cid';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TreeEntry } from '../../../src/core/api/backend.ts';
import { recipientOfSecret } from '../../../src/core/crypto/reading-key.ts';
import { hasCode } from '../../../src/core/errors.ts';
import { blockOf } from '../../../src/core/kb/block.ts';
import { DagWalk } from '../../../src/core/kb/walk.ts';
import { encodeSealedRoot, readSealedRoot, SEALED_CODEC } from '../../../src/core/model/sealed.ts';
import { Contents } from '../../../src/core/node/contents.ts';
import { Importer } from '../../../src/core/node/import.ts';
import { newSealing, type Sealing } from '../../../src/core/node/sealing.ts';
import type { Hasher, Log } from '../../../src/core/ports.ts';
import { ContentStore } from '../../../src/core/storage/content-store.ts';
import { createHasher } from '../../../src/core/storage/hasher.ts';
import { MIB } from '../../../src/core/units.ts';

const quiet: Log = { write: () => {}, child: () => quiet };
const secret = new Uint8Array(32).fill(1);
const reader = recipientOfSecret(secret);
let dir: string;
let content: ContentStore;
let hasher: Hasher;
let sealing: Sealing;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'aegis-sealed-'));
  content = await ContentStore.open(join(dir, 'content.db'), { log: quiet });
  hasher = await createHasher('blake3');
  sealing = await newSealing([reader], hasher);
});
afterAll(async () => {
  await content.close();
  rmSync(dir, { recursive: true, force: true });
});

const contentsOf = (...secrets: Uint8Array[]) =>
  new Contents({
    reader: {
      below: () => async (cids) => (await content.getMany(cids)) as Uint8Array[],
      sound: (cids) => content.getMany(cids),
    },
    keys: {
      among: (to) => secrets.filter((one) => to.includes(recipientOfSecret(one))),
      nameOf: (recipient) => `<${recipient.slice(0, 8)}>`,
    },
  });

const importer = (how: Sealing | undefined = sealing) =>
  new Importer({}, { content, hasher, sealing: how });

async function* stream(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

const file = (bytes: Uint8Array, how?: Sealing) => importer(how).file(stream(bytes));

async function collect(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of bytes) parts.push(part);
  return Buffer.concat(parts);
}

async function readFile(root: CID, contents = contentsOf(secret)) {
  const { exporter } = await contents.open(root);
  const opened = await exporter.open(root);
  if (opened.kind !== 'file') throw new Error('not a file');
  return { sizeBytes: opened.sizeBytes, bytes: await collect(opened.bytes) };
}

/** Every object below a root, as any holder walks it. */
async function objects(root: CID): Promise<Buffer> {
  const walk = new DagWalk({ root });
  const all: Uint8Array[] = [];
  for (let step = walk.next(); step !== undefined; step = walk.next()) {
    const bytes = (await content.get(step.cid))!;
    all.push(bytes);
    walk.give(bytes);
  }
  return Buffer.concat(all);
}

const patterned = (length: number) => Uint8Array.from({ length }, (_, n) => (n * 31) % 251);

test.for([0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 5 * MIB + 7])(
  'a file of %i bytes comes out as it went in, with its size',
  async (length) => {
    const bytes = patterned(length);
    const { root, sizeBytes } = await file(bytes);
    expect(sizeBytes).toBe(length);
    const read = await readFile(root);
    expect(read.sizeBytes).toBe(length);
    expect(read.bytes.equals(bytes)).toBe(true);
    expect((await file(bytes)).root.toString()).toBe(root.toString());
  },
);

test('what is stored of a directory has neither its names nor its words', async () => {
  const names = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 });
  const word = 'a word that nobody shall read';
  const tree = fc.dictionary(
    names.filter((name) => !/[/\0\ufffd]|^\.\.?$/.test(name) && name.isWellFormed()),
    fc.uint8Array({ maxLength: 100 }),
    { minKeys: 1, maxKeys: 5, noNullPrototype: true },
  );
  await fc.assert(
    fc.asyncProperty(tree, async (files) => {
      async function* entries(): AsyncGenerator<TreeEntry> {
        for (const [name, bytes] of Object.entries(files)) {
          const whole = Buffer.concat([Buffer.from(word), bytes]);
          const path = `the sealed directory/${name}`;
          yield { path, kind: 'file', sizeBytes: whole.length, bytes: stream(whole) };
        }
      }
      const { root, sizeBytes } = await importer().directory(entries());
      const contents = contentsOf(secret);
      const { exporter } = await contents.open(root);
      const inside = await exporter.resolve(root, ['the sealed directory']);
      const found: Record<string, Buffer> = {};
      let foundBytes = 0;
      for await (const { name, cid } of exporter.children(inside)) {
        expect((await exporter.describe(cid)).kind).toBe('file');
        const opened = await exporter.open(cid);
        if (opened.kind !== 'file') throw new Error('not a file');
        found[name] = (await collect(opened.bytes)).subarray(Buffer.byteLength(word));
        foundBytes += opened.sizeBytes;
      }
      expect(found).toEqual(
        Object.fromEntries(
          Object.entries(files).map(([name, bytes]) => [name, Buffer.from(bytes)]),
        ),
      );
      expect(foundBytes).toBe(sizeBytes);
      const stored = await objects(root);
      expect(stored.includes(word)).toBe(false);
      expect(stored.includes('the sealed directory')).toBe(false);
    }),
    { numRuns: 20 },
  );
});

test('who is no reader is told to whom it is sealed, and reads nothing', async () => {
  const { root } = await file(patterned(10));
  for (const contents of [contentsOf(), contentsOf(new Uint8Array(32).fill(9))]) {
    await expect(contents.open(root)).rejects.toSatisfy(
      (error) => hasCode(error, 'SEALED') && error.message.includes(`<${reader.slice(0, 8)}>`),
    );
    await expect(contents.openHere(root)).rejects.toSatisfy((error) => hasCode(error, 'SEALED'));
    expect((await contents.sealedRoot(root))?.to).toEqual([reader]);
  }
});

test('another key is another content; a root that lies of its readers opens for none', async () => {
  const bytes = patterned(100);
  const other = await newSealing([reader], hasher);
  const [a, b] = [await file(bytes), await file(bytes, other)];
  expect(a.root.equals(b.root)).toBe(false);
  expect((await readFile(b.root)).bytes.equals(bytes)).toBe(true);
  const stranger = new Uint8Array(32).fill(9);
  const { key, content: below } = readSealedRoot((await content.get(a.root))!);
  const to = [recipientOfSecret(stranger)];
  const lie = blockOf(SEALED_CODEC, encodeSealedRoot({ key, content: below, to }), hasher);
  await content.put([lie], { verify: true });
  await expect(contentsOf(stranger).open(lie.cid)).rejects.toSatisfy((error) =>
    hasCode(error, 'SEALED'),
  );
});

test('what is under another key, or plain, is no part of a sealed content', async () => {
  const other = await newSealing([reader], hasher);
  const [mine, theirs] = [await file(patterned(100)), await file(patterned(100), other)];
  const from = readSealedRoot((await content.get(mine.root))!);
  const belows = [readSealedRoot((await content.get(theirs.root))!).content];
  const raw = await content.addLeaves([patterned(200)], 'blake3');
  for (const below of [...belows, ...raw]) {
    const mixed = blockOf(SEALED_CODEC, encodeSealedRoot({ ...from, content: below }), hasher);
    await content.put([mixed], { verify: true });
    await expect(readFile(mixed.cid)).rejects.toSatisfy((error) => hasCode(error, 'BAD_DATA'));
  }
});

test('nothing is fetched for what is only looked at here', async () => {
  const missing = blockOf(SEALED_CODEC, new Uint8Array([1]), hasher).cid;
  expect(await contentsOf(secret).openHere(missing)).toBeUndefined();
  expect(await contentsOf(secret).sealedRoot(missing)).toBeUndefined();
  const { root } = await file(patterned(3));
  expect((await contentsOf(secret).openHere(root))?.sealing?.to).toEqual([reader]);
});
