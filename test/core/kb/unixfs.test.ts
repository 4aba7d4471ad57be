import { exporter } from 'ipfs-unixfs-exporter';
import { type ImporterOptions, importer, type WritableStorage } from 'ipfs-unixfs-importer';
import type { CID } from 'multiformats/cid';
import { describe, expect, it } from 'vitest';
import { RAW } from '../../../src/core/kb/block.ts';
import { CHUNK_BYTES, LIMITS } from '../../../src/core/kb/limits.ts';
import { FileDag } from '../../../src/core/kb/unixfs.ts';
import { blake3Hasher, bytesOf, fileOf, ipfsStore, Objects, sha256Hasher } from './helpers.ts';

const profile: ImporterOptions = { profile: 'unixfs-v1-2025' };

async function reference(content: Uint8Array): Promise<{ cid: CID; size: bigint }> {
  const store = ipfsStore(new Objects()) as unknown as WritableStorage;
  for await (const { cid, size } of importer([{ path: 'f', content }], store, profile)) {
    return { cid, size };
  }
  throw new Error('nothing imported');
}

describe('FileDag', () => {
  it.each([0, 1, 2 ** 20 - 1, 2 ** 20, 2 ** 20 + 1, 3_000_000, 5 * 2 ** 20, 5 * 2 ** 20 + 7])(
    'gives %i bytes the CID and size that ipfs-unixfs-importer gives them',
    async (length) => {
      const content = bytesOf(length);
      const made = fileOf(content);
      const { cid, size } = await reference(content);
      expect(made.root.toString()).toBe(cid.toString());
      expect(BigInt(made.tsize)).toBe(size);
      expect(made.sizeBytes).toBe(length);
    },
  );

  it('builds as many levels as the reference when a node is full', async () => {
    // 1,025 leaves: two nodes and a root. Leaves of 16 bytes keep it small.
    const content = bytesOf(1025 * 16);
    const store = ipfsStore(new Objects()) as unknown as WritableStorage;
    const chunker = async function* (source: AsyncIterable<Uint8Array>) {
      for await (const bytes of source) {
        for (let at = 0; at < bytes.length; at += 16) yield bytes.subarray(at, at + 16);
      }
    };
    const options = { ...profile, chunker } as ImporterOptions;
    const made = fileOf(content, sha256Hasher, 16);
    for await (const entry of importer([{ path: 'f', content }], store, options)) {
      expect(made.root.toString()).toBe(entry.cid.toString());
    }
    expect(made.blocks).toHaveLength(3);
  });

  it('gives the frozen BLAKE3 CIDs', () => {
    const roots = [0, 1, CHUNK_BYTES + 1].map((length) =>
      fileOf(bytesOf(length), blake3Hasher).root.toString(),
    );
    expect(roots).toMatchInlineSnapshot(`
      [
        "bafkr4ifpcne3t5pzugtkaqcn5i3nzskjtpfslsnnyejlpte2spfoihzsmi",
        "bafkr4ihcqh5obrmkajvek4jzycgkm34xxyyvfdwg3no365vywds45glyru",
        "bafyb4icxko4begknttjxo3w7im4hcffwwey4dgzfwshids5vs4wzmdomo4",
      ]
    `);
  });

  it('is read back by ipfs-unixfs-exporter', async () => {
    const content = bytesOf(2_500_000);
    const made = fileOf(content, blake3Hasher);
    const objects = new Objects();
    objects.put(made.objects);
    const entry = await exporter(made.root, ipfsStore(objects));
    const parts: Uint8Array[] = [];
    const { content: read } = entry as { content(): AsyncIterable<Uint8Array> };
    for await (const part of read()) parts.push(part);
    expect(Buffer.concat(parts).equals(content)).toBe(true);
  });

  it('refuses content beyond the limit of a root', () => {
    const dag = new FileDag();
    const { cid } = fileOf(bytesOf(1)).objects[0]!;
    expect(cid.code).toBe(RAW);
    dag.addLeaf(cid, LIMITS.rootBytes);
    expect(() => dag.addLeaf(cid, 1)).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }));
  });
});
