/** Cutting streams into leaves, and handing leaves on in batches. */
import * as fc from 'fast-check';
import { CID } from 'multiformats/cid';
import { expect, test } from 'vitest';
import { cidOf, RAW } from '../../../src/core/kb/block.ts';
import { cut, LeafWriter } from '../../../src/core/node/leaves.ts';
import { createHasher } from '../../../src/core/storage/hasher.ts';

async function* stream(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

test('cut keeps every byte, and all chunks but the last are full', async () => {
  const parts = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(parts, fc.integer({ min: 1, max: 30 }), async (given, sizeBytes) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of cut(stream(given), sizeBytes)) chunks.push(chunk);
      expect(Buffer.concat(chunks)).toEqual(Buffer.concat(given));
      expect(chunks.slice(0, -1).every((chunk) => chunk.length === sizeBytes)).toBe(true);
      expect(chunks.every((chunk) => chunk.length > 0 && chunk.length <= sizeBytes)).toBe(true);
    }),
  );
});

test('chunks own their memory, so that they can move to another thread', async () => {
  for await (const chunk of cut(stream([new Uint8Array(25)]), 10)) {
    expect(chunk.buffer.byteLength).toBe(chunk.length);
  }
});

test('leaves come back under their own names, batch or no batch', async () => {
  const hasher = await createHasher('blake3');
  const batches: number[] = [];
  const writer = new LeafWriter(async (chunks) => {
    batches.push(chunks.length);
    return chunks.map((chunk) => cidOf(RAW, chunk, hasher));
  });
  const chunks = Array.from({ length: 1200 }, (_, i) => Buffer.from(`leaf ${i}`));
  const leaves: { cid: Promise<CID> }[] = [];
  for (const chunk of chunks) leaves.push(await writer.write(chunk));
  await writer.flush();
  const cids = await Promise.all(leaves.map((leaf) => leaf.cid));
  expect(cids.map(String)).toEqual(chunks.map((chunk) => cidOf(RAW, chunk, hasher).toString()));
  expect(batches).toEqual([512, 512, 176]);
});

test('a failed batch fails its leaves and nothing else', async () => {
  let calls = 0;
  const writer = new LeafWriter(async (chunks) => {
    calls += 1;
    if (calls === 1) throw new Error('no room');
    return chunks.map(() => CID.parse('bafkqaaa'));
  });
  const first = await writer.write(new Uint8Array(1));
  await writer.flush();
  const second = await writer.write(new Uint8Array(1));
  await writer.flush();
  await expect(first.cid).rejects.toThrow('no room');
  await expect(second.cid).resolves.toBeInstanceOf(CID);
});
