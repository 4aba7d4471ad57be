/** W46: what is shredded is nowhere in the files, and does not come back. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CID } from 'multiformats/cid';
import { expect, test } from 'vitest';
import { recipientOfSecret } from '../../../src/core/crypto/reading-key.ts';
import { hasCode } from '../../../src/core/errors.ts';
import { encodeSealedRoot, SEALED_CODEC } from '../../../src/core/model/sealed.ts';
import { blockOf, openContent, randomBlock, scratch } from './support/stores.ts';

const isIn = (path: string, bytes: Uint8Array): boolean =>
  [path, `${path}-wal`].some((file) => readFileSync(file).includes(Buffer.from(bytes)));

test('a shredded object is overwritten, is refused from then on, and only it', async () => {
  const path = join(await scratch(), 'content.db');
  const store = await openContent(path);
  const [key, other] = [randomBlock(230), randomBlock(230)];
  await store.put([key, other], { verify: true });
  expect(isIn(path, key.bytes)).toBe(true);
  await store.shred([key.cid]);
  expect(isIn(path, key.bytes)).toBe(false);
  expect(isIn(path, other.bytes)).toBe(true);
  expect(await store.has([key.cid, other.cid])).toEqual([false, true]);
  expect(await store.stat()).toMatchObject({ objects: 1, bytes: other.bytes.length });
  const refused = expect.objectContaining({ code: 'NOT_KEPT' });
  await expect(store.put([other, key], { verify: true })).rejects.toEqual(refused);
  await store.close();
  const again = await openContent(path);
  await expect(again.put([key], { verify: true })).rejects.toEqual(refused);
  await again.put([randomBlock(10)], { verify: true });
  // What was never here can be refused, too, and twice is as once.
  const never = randomBlock(20);
  await again.shred([never.cid, key.cid]);
  await expect(again.put([never], { verify: true })).rejects.toSatisfy((error) =>
    hasCode(error, 'NOT_KEPT'),
  );
  expect((await again.stat()).objects).toBe(2);
});

test('sealed roots are found by the key object that they name', async () => {
  const store = await openContent(join(await scratch(), 'content.db'));
  const [key, other, content] = [randomBlock(230), randomBlock(230), randomBlock(50)];
  const to = [recipientOfSecret(new Uint8Array(32).fill(1))];
  const roots = [key, key, other].map(({ cid }, n) => {
    const below = n === 1 ? randomBlock(10).cid : content.cid;
    const bytes = encodeSealedRoot({ key: cid, content: below, to });
    const raw = blockOf(bytes, 'blake3');
    return { cid: CID.createV1(SEALED_CODEC, raw.cid.multihash), bytes };
  });
  await store.put([...roots, key, other, content], { verify: true });
  for (const { cid } of [...roots, content]) {
    await store.setRoot(cid, { complete: true, sizeBytes: 1 });
  }
  const found: string[] = [];
  for await (const root of store.sealedRoots(key.cid)) found.push(root.toString());
  expect(found.toSorted()).toEqual(
    [roots[0]!, roots[1]!].map(({ cid }) => cid.toString()).toSorted(),
  );
});
