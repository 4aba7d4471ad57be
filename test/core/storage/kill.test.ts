import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { CID } from 'multiformats/cid';
import { expect, test } from 'vitest';
import { acknowledged, startWriter } from './support/child.ts';
import { openChain, openContent, scratch } from './support/stores.ts';

test('kill -9 loses nothing that was acknowledged, and leaves no half of a batch', async () => {
  const dir = await scratch();
  const contents = new Set<string>();
  const facts = new Set<string>();
  for (let round = 0; round < 3; round += 1) {
    const writer = startWriter(dir, 'endless');
    await writer.until((line) => line === 'chain e40b');
    writer.child.kill('SIGKILL');
    expect((await writer.ended).signal).toBe('SIGKILL');
    for (const name of acknowledged(writer.lines, 'content')) contents.add(name);
    for (const name of acknowledged(writer.lines, 'chain')) facts.add(name);
  }
  const store = await openContent(join(dir, 'content.db'));
  expect(contents.size).toBeGreaterThan(3);
  let found = 0;
  for await (const { bytes } of store.stream(
    [...contents].map((text) => CID.parse(text)),
    {
      verify: true,
    },
  )) {
    if (bytes?.length === 50_000) found += 1;
  }
  expect(found).toBe(contents.size);

  const rows = await (await openChain(join(dir, 'chain.db'))).scan('facts');
  const keys = new Set(rows.map(({ key }) => key));
  expect(facts.difference(keys)).toEqual(new Set());
  for (const { key, value } of rows) {
    const name = key.slice(0, -1);
    expect(keys.has(`${name}a`) && keys.has(`${name}b`)).toBe(true);
    expect(Buffer.from(value)).toEqual(createHash('sha256').update(name).digest());
  }
});
