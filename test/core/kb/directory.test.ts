import fc from 'fast-check';
import { exporter } from 'ipfs-unixfs-exporter';
import { importer, type WritableStorage } from 'ipfs-unixfs-importer';
import { describe, expect, it } from 'vitest';
import { buildDirectory, type DirectoryEntry } from '../../../src/core/kb/directory.ts';
import { parseNode } from '../../../src/core/kb/reader.ts';
import { bytesOf, directoryOf, fileOf, ipfsStore, Objects, sha256Hasher } from './helpers.ts';

const empty = fileOf(bytesOf(0));
const entryOf = (name: string): DirectoryEntry => ({
  name,
  cid: empty.root,
  tsize: 0,
  sizeBytes: 0,
});

/** What ipfs-unixfs-importer makes of files with these names. */
async function reference(files: ReadonlyMap<string, Uint8Array>) {
  const objects = new Objects();
  const source = [...files].map(([name, content]) => ({ path: `d/${name}`, content }));
  const options = { profile: 'unixfs-v1-2025' } as const;
  let last: { cid: string; size: number } | undefined;
  const store = ipfsStore(objects) as unknown as WritableStorage;
  for await (const { cid, size } of importer(source, store, options)) {
    last = { cid: cid.toString(), size: Number(size) };
  }
  return { ...last!, objects };
}

function ours(files: ReadonlyMap<string, Uint8Array>) {
  return directoryOf(Object.fromEntries([...files].map(([name, c]) => [name, fileOf(c)])));
}

const named = (count: number, length: number): Map<string, Uint8Array> =>
  new Map(
    Array.from({ length: count }, (_, i) => [`${i}`.padStart(length, 'n'), bytesOf(i % 3, i + 1)]),
  );

describe('buildDirectory', () => {
  it.each([1, 2, 100])('makes the CID of the reference for %i flat entries', async (count) => {
    const files = named(count, 12);
    const made = ours(files);
    const { cid, size } = await reference(files);
    expect(made.root.toString()).toBe(cid);
    expect(made.tsize).toBe(size);
    expect(made.blocks).toHaveLength(1);
  });

  it('shards exactly where the reference does', async () => {
    // 46 bytes a link besides the name; find the first count that is sharded.
    const flat = (count: number): boolean =>
      buildDirectory([...named(count, 200).keys()].map(entryOf), sha256Hasher).blocks.length === 1;
    let count = 1000;
    while (flat(count)) count += 1;
    for (const n of [count - 1, count]) {
      const files = named(n, 200);
      const { cid } = await reference(files);
      expect(ours(files).root.toString(), `${n} entries`).toBe(cid);
    }
  });

  it('makes the CID of the reference for shards of shards', async () => {
    const files = named(7000, 40);
    const made = ours(files);
    const { cid, size } = await reference(files);
    expect(made.root.toString()).toBe(cid);
    expect(made.tsize).toBe(size);
    expect(made.blocks.length).toBeGreaterThan(256);
  });

  it('is listed by ipfs-unixfs-exporter, flat and sharded', async () => {
    for (const files of [named(50, 10), named(6000, 60)]) {
      const made = ours(files);
      const objects = new Objects();
      objects.put(made.objects);
      const directory = await exporter(made.root, ipfsStore(objects));
      const names: string[] = [];
      const { entries } = directory as { entries(): AsyncIterable<{ name: string }> };
      for await (const { name } of entries()) names.push(name);
      expect(names.toSorted()).toEqual([...files.keys()].toSorted());
    }
  });

  it('does not depend on the order of the entries', () => {
    const names = fc.uniqueArray(fc.stringMatching(/^[a-zé𝄞 \n]{1,12}$/u), { maxLength: 30 });
    fc.assert(
      fc.property(names, fc.infiniteStream(fc.nat()), (list, keys) => {
        const shuffled = list
          .map((name) => ({ name, key: keys.next().value as number }))
          .toSorted((a, b) => a.key - b.key)
          .map(({ name }) => name);
        const one = buildDirectory(list.map(entryOf), sha256Hasher);
        const other = buildDirectory(shuffled.map(entryOf), sha256Hasher);
        expect(one.root.toString()).toBe(other.root.toString());
        const node = parseNode(one.root, one.blocks[0]!.bytes);
        expect(new Set(node.links.map(({ name }) => name))).toEqual(new Set(list));
      }),
      { numRuns: 50 },
    );
  });

  it.each(['', '.', '..', 'a/b', 'a\0b', '\ud800', 'x'.repeat(1025)])(
    'refuses the name %j',
    (name) => {
      expect(() => buildDirectory([entryOf(name)], sha256Hasher)).toThrow(
        expect.objectContaining({ code: 'BAD_DATA' }),
      );
    },
  );

  it('refuses two entries of one name, and more than it may have', () => {
    const twice = [entryOf('a'), entryOf('a')];
    const bad = expect.objectContaining({ code: 'BAD_DATA' });
    expect(() => buildDirectory(twice, sha256Hasher)).toThrow(bad);
    const many = { length: 1_000_001 } as DirectoryEntry[];
    Object.setPrototypeOf(many, Array.prototype);
    const tooLarge = expect.objectContaining({ code: 'TOO_LARGE' });
    expect(() => buildDirectory(many, sha256Hasher)).toThrow(tooLarge);
  });
});
