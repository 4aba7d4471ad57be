import { encode as encodePb, type PBLink, prepare } from '@ipld/dag-pb';
import fc from 'fast-check';
import { UnixFS } from 'ipfs-unixfs';
import { describe, expect, it } from 'vitest';
import { type AegisError, isAegisError } from '../../../src/core/errors.ts';
import { blockOf, cidOf, DAG_PB, RAW } from '../../../src/core/kb/block.ts';
import { LIMITS } from '../../../src/core/kb/limits.ts';
import { parseNode } from '../../../src/core/kb/reader.ts';
import {
  decodeUnixfs,
  encodeUnixfs,
  MURMUR3,
  UNIXFS_TYPE,
} from '../../../src/core/kb/unixfs-data.ts';
import { bytesOf, directoryOf, fileOf, sha256Hasher } from './helpers.ts';

const leaf = blockOf(RAW, bytesOf(10), sha256Hasher);
const link = (name: string, cid = leaf.cid): PBLink => ({ Name: name, Tsize: 10, Hash: cid });

function parse(data: Uint8Array | undefined, links: readonly PBLink[] = []) {
  const node = data === undefined ? { Links: [...links] } : { Data: data, Links: [...links] };
  const bytes = encodePb(prepare(node));
  return parseNode(cidOf(DAG_PB, bytes, sha256Hasher), bytes);
}

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (isAegisError(error)) return error.code;
    throw error;
  }
  return 'none';
};

const fileData = (sizes: readonly number[], data?: Uint8Array): Uint8Array =>
  encodeUnixfs({
    type: UNIXFS_TYPE.file,
    blockSizes: sizes,
    fileSize: sizes.reduce((a, b) => a + b, data?.length ?? 0),
    ...(data === undefined ? {} : { data }),
  });
const directoryData = encodeUnixfs({ type: UNIXFS_TYPE.directory, blockSizes: [] });
const shardData = (fanout: number, hashType = MURMUR3): Uint8Array =>
  encodeUnixfs({ type: UNIXFS_TYPE.hamt, blockSizes: [], fanout, hashType });

describe('the UnixFS codec', () => {
  it('writes what ipfs-unixfs writes and reads it back', () => {
    // ipfs-unixfs 13.1.1 writes wrong bytes for sizes from 2^31 to 2^32 (protons-runtime).
    const sizes = fc.array(fc.nat(2 ** 26), { maxLength: 20 });
    const data = fc.option(fc.uint8Array({ minLength: 1, maxLength: 300 }), { nil: undefined });
    fc.assert(
      fc.property(sizes, data, (blockSizes, bytes) => {
        const theirs = new UnixFS({
          type: 'file',
          blockSizes: blockSizes.map(BigInt),
          ...(bytes === undefined ? {} : { data: bytes }),
        });
        const ours = fileData(blockSizes, bytes);
        expect(Buffer.from(ours).equals(theirs.marshal())).toBe(true);
        const read = decodeUnixfs(ours, { maxSizes: 20 });
        expect(read.blockSizes).toEqual(blockSizes);
        expect(read.fileSize).toBe(Number(theirs.fileSize()));
      }),
      { numRuns: 200 },
    );
  });

  it('reads back every size that a root may have', () => {
    const sizes = fc.array(fc.maxSafeNat(), { maxLength: 20 });
    fc.assert(
      fc.property(sizes, (blockSizes) => {
        const bytes = encodeUnixfs({ type: UNIXFS_TYPE.file, blockSizes });
        expect(decodeUnixfs(bytes, { maxSizes: 20 }).blockSizes).toEqual(blockSizes);
      }),
    );
    // 2^31 as protobuf has it: five bytes of seven bits, least first.
    expect(Buffer.from(fileData([2 ** 31])).toString('hex')).toBe('0802188080808008208080808008');
  });

  it('skips fields that it does not know, such as mode and mtime', () => {
    const mtime = { secs: 1_700_000_000n, nsecs: 5 };
    const bytes = new UnixFS({ type: 'directory', mode: 0o700, mtime }).marshal();
    expect(decodeUnixfs(bytes, { maxSizes: 0 }).type).toBe(UNIXFS_TYPE.directory);
  });
});

describe('parseNode', () => {
  it('reads the nodes that the builders make', () => {
    const file = fileOf(bytesOf(2_500_000));
    const node = parseNode(file.root, file.blocks[0]!.bytes);
    expect(node).toMatchObject({ kind: 'file', sizeBytes: 2_500_000 });
    expect(node.links).toHaveLength(3);
    const directory = directoryOf({ a: file, b: fileOf(bytesOf(3)) });
    const names = parseNode(directory.root, directory.blocks[0]!.bytes).links.map((l) => l.name);
    expect(names).toEqual(['a', 'b']);
    expect(parseNode(leaf.cid, leaf.bytes)).toMatchObject({ kind: 'raw', sizeBytes: 10 });
  });

  it('reads inline data and symbolic links', () => {
    expect(parse(fileData([10], bytesOf(5)), [link('')])).toMatchObject({ sizeBytes: 15 });
    const target = Buffer.from('../elsewhere');
    const data = encodeUnixfs({ type: UNIXFS_TYPE.symlink, blockSizes: [], data: target });
    expect(parse(data)).toMatchObject({ kind: 'symlink', target: '../elsewhere' });
  });

  it.each<[string, string, () => unknown]>([
    [
      'a block of more than 4 MiB',
      'TOO_LARGE',
      () => parseNode(leaf.cid, new Uint8Array(LIMITS.blockBytes + 1)),
    ],
    [
      'more links than a file may have',
      'TOO_LARGE',
      () => {
        const count = LIMITS.fileLinks + 1;
        return parse(
          fileData(Array.from({ length: count }, () => 10)),
          Array(count).fill(link('')),
        );
      },
    ],
    [
      'more links than anything may have',
      'TOO_LARGE',
      () => parse(directoryData, Array(LIMITS.directoryLinks + 1).fill(link(''))),
    ],
    [
      'more links than the fanout',
      'TOO_LARGE',
      () =>
        parse(
          shardData(8),
          Array.from({ length: 9 }, (_, i) => link(`0${i}`)),
        ),
    ],
    [
      'content of more than a root may have',
      'TOO_LARGE',
      () => parse(fileData([LIMITS.rootBytes, 1]), [link(''), link('')]),
    ],
    [
      'an unknown codec',
      'BAD_DATA',
      () => parseNode(cidOf(0x0129, leaf.bytes, sha256Hasher), leaf.bytes),
    ],
    [
      'dag-cbor that is no sealed root',
      'BAD_ENCODING',
      () => parseNode(cidOf(0x71, leaf.bytes, sha256Hasher), leaf.bytes),
    ],
    [
      'a link to an unknown codec',
      'BAD_DATA',
      () => parse(directoryData, [link('a', cidOf(0x71, leaf.bytes, sha256Hasher))]),
    ],
    ['no data', 'BAD_DATA', () => parse(undefined, [link('a')])],
    ['sizes that are not one a link', 'BAD_DATA', () => parse(fileData([10, 10]), [link('')])],
    [
      'a size that is not the sum',
      'BAD_DATA',
      () => parse(encodeUnixfs({ type: 2, blockSizes: [10], fileSize: 11 }), [link('')]),
    ],
    ['an unknown type', 'BAD_DATA', () => parse(encodeUnixfs({ type: 3, blockSizes: [] }))],
    ['two entries of one name', 'BAD_DATA', () => parse(directoryData, [link('a'), link('a')])],
    ['an entry ".."', 'BAD_DATA', () => parse(directoryData, [link('..')])],
    ['an entry with a slash', 'BAD_DATA', () => parse(directoryData, [link('a/b')])],
    ['an entry with a slash in a shard', 'BAD_DATA', () => parse(shardData(256), [link('00a/b')])],
    ['a bad slot', 'BAD_DATA', () => parse(shardData(256), [link('G0a')])],
    ['a slot beyond the fanout', 'BAD_DATA', () => parse(shardData(8), [link('9')])],
    ['a sub-shard that is a leaf', 'BAD_DATA', () => parse(shardData(256), [link('00')])],
    ['a fanout that is no power of two', 'BAD_DATA', () => parse(shardData(100))],
    ['a fanout beyond the limit', 'BAD_DATA', () => parse(shardData(2048))],
    ['a shard by another hash', 'BAD_DATA', () => parse(shardData(256, 0x12))],
    [
      'a symbolic link with links',
      'BAD_DATA',
      () => parse(encodeUnixfs({ type: 4, blockSizes: [] }), [link('a')]),
    ],
    [
      'a symbolic link that is too long',
      'TOO_LARGE',
      () => parse(encodeUnixfs({ type: 4, blockSizes: [], data: bytesOf(5000) })),
    ],
    ['UnixFS that is cut short', 'BAD_ENCODING', () => parse(Uint8Array.of(0x08, 0x02, 0x18))],
  ])('refuses %s with %s', (_what, code, run) => {
    expect(codeOf(run)).toBe(code);
  });

  it('throws nothing but AegisError, whatever the author of a root made', () => {
    const valid = [
      fileOf(bytesOf(100), sha256Hasher, 10).blocks[0]!.bytes,
      directoryOf({ a: fileOf(bytesOf(1)), b: fileOf(bytesOf(2)) }).blocks[0]!.bytes,
    ];
    const mutated = fc
      .tuple(fc.constantFrom(...valid), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }))
      .map(([bytes, changes]) => {
        const copy = Uint8Array.from(bytes);
        for (const [at, byte] of changes) copy[at % copy.length] = byte;
        return copy;
      });
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 200 })), (bytes) => {
        const cid = cidOf(DAG_PB, bytes, sha256Hasher);
        try {
          parseNode(cid, bytes);
        } catch (error) {
          expect((error as AegisError).name).toBe('AegisError');
        }
      }),
      { numRuns: 5000 },
    );
  });
});
