import * as fc from 'fast-check';
import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';
import { describe, expect, test } from 'vitest';
import { blake3 } from '../../../src/core/crypto/hash.ts';
import { hasCode } from '../../../src/core/errors.ts';
import { encode } from '../../../src/core/model/cbor.ts';
import { isNodeId } from '../../../src/core/model/identity.ts';
import {
  CONFLICTS_BYTES_MAX,
  CONFLICTS_MAX,
  encodeMerge,
  isMerge,
  isMergeBytes,
  MERGE_AUTHOR,
  MERGE_BYTES_MAX,
  type MergeFields,
  openMerge,
  openRecord,
  readUnverifiedRecord,
} from '../../../src/core/model/merge.ts';
import { createVersion, PARENTS_MAX, sortParents } from '../../../src/core/model/version.ts';
import { mutated, onlyAegisErrors } from '../../helpers/mutation.ts';
import { testNode } from '../../helpers/nodes.ts';

const cidOf = (text: string, code = 0x55): CID =>
  CID.createV1(code, Digest.create(0x1e, blake3(Buffer.from(text))));
const parentOf = (text: string): CID => cidOf(text, 0x71);
const [first, second, third] = ['a', 'b', 'c'].map(parentOf) as [CID, CID, CID];

const fields: MergeFields = {
  path: 'notes/a.md',
  root: cidOf('content'),
  sizeBytes: 7,
  parents: [first, second],
  generation: 2,
  time: 1_800_000_000_000,
  conflicts: [{ at: 'x/y', base: cidOf('0'), ours: cidOf('1'), theirs: cidOf('2') }],
};
const plain = { v: 1, type: 'merge', rule: 1, ...fields, parents: sortParents(fields.parents) };
const badEncoding = expect.toSatisfy((error) => hasCode(error, 'BAD_ENCODING')) as Error;

const contents = fc.option(fc.string({ maxLength: 3 }).map((text) => cidOf(text)));
const conflicts = fc.array(
  fc
    .record({
      at: fc.string({ unit: 'binary', maxLength: 8 }),
      pointer: fc.option(fc.string({ maxLength: 4 }), { nil: undefined }),
      contents: fc.tuple(contents, contents, contents),
    })
    .map(({ at, pointer, contents: [base, ours, theirs] }) => ({
      at,
      ...(pointer === undefined ? {} : { pointer }),
      ...(base && { base }),
      ...(ours && { ours }),
      ...(theirs && { theirs }),
    })),
  { maxLength: 6 },
);

test('the same merge is the same record, in whatever order parents and conflicts come', () => {
  fc.assert(
    fc.property(conflicts, fc.boolean(), (some, deleted) => {
      const made = encodeMerge({
        ...fields,
        parents: [first, second, third],
        conflicts: some,
        deleted,
      });
      const unique = new Map(
        some.map((one) => [JSON.stringify([one.at, one.pointer, one.theirs]), one]),
      );
      const other = encodeMerge({
        ...fields,
        parents: [third, second, first],
        conflicts: [...unique.values()].toReversed(),
        deleted,
      });
      const { version } = openMerge(made);
      expect(version.conflicts ?? []).toHaveLength(unique.size);
      if (unique.size === some.length) expect(other).toEqual(made);
      expect(version.deleted).toBe(deleted ? true : undefined);
      expect(version.parents.map(String)).toEqual([first, second, third].map(String).toSorted());
      expect(encodeMerge({ ...version, conflicts: version.conflicts ?? [] })).toEqual(made);
    }),
    { numRuns: 100 },
  );
});

test('it is read as a version that nobody has signed', () => {
  const bytes = encodeMerge(fields);
  const { cid, cidText, version } = openMerge(bytes);
  expect(isMerge(version)).toBe(true);
  expect(version).toMatchObject({ author: MERGE_AUTHOR, sequence: 0, rule: 1, generation: 2 });
  expect(isNodeId(MERGE_AUTHOR)).toBe(false);
  expect(cid.multihash.digest).toEqual(blake3(bytes));
  expect(cid.code).toBe(0x71);
  // It does not change with the program.
  expect(cidText).toBe('bafyr4ig235avx7udcjifmis353nd2qz2wzy26vl2xdyrlcss6il72447pi');
});

test('records are told apart by their bytes', () => {
  const node = testNode(1);
  const { conflicts: _, ...rest } = fields;
  const version = { ...rest, generation: 1, sequence: 1, author: node.nodeId };
  const signed = createVersion(version, node.signer);
  const merge = encodeMerge(fields);
  expect([isMergeBytes(signed.bytes), isMergeBytes(merge)]).toEqual([false, true]);
  const keyOf = () => node.signer.publicKey;
  expect(openRecord(signed.bytes, keyOf).cidText).toBe(signed.cidText);
  expect(openRecord(merge, () => undefined).version.author).toBe(MERGE_AUTHOR);
  expect(readUnverifiedRecord(merge).cid.toString()).toBe(openMerge(merge).cidText);
  expect(readUnverifiedRecord(signed.bytes).version.sequence).toBe(1);
});

describe('conflicts beyond the limits are told by one word', () => {
  test('256 are listed', () => {
    const all = Array.from({ length: CONFLICTS_MAX + 1 }, (_, n) => ({
      at: String(n).padStart(3, '0'),
    }));
    const most = openMerge(encodeMerge({ ...fields, conflicts: all.slice(1) })).version;
    expect(most.conflicts).toHaveLength(CONFLICTS_MAX);
    expect(most.isMoreConflicts).toBeUndefined();
    const { version } = openMerge(encodeMerge({ ...fields, conflicts: all.toReversed() }));
    expect(version.conflicts).toEqual(all.slice(0, -1));
    expect(version.isMoreConflicts).toBe(true);
    const longer = encode({ ...plain, conflicts: all });
    expect(() => openMerge(longer)).toThrow(badEncoding);
  });

  test('and no more than fit', () => {
    const long = 'x'.repeat(1000);
    const all = Array.from({ length: 200 }, (_, n) => ({ at: `${long}${n}`, ours: cidOf(`${n}`) }));
    const path = 'p'.repeat(1024);
    const parents = Array.from({ length: PARENTS_MAX }, (_, n) => parentOf(`${n}`));
    const bytes = encodeMerge({ ...fields, path, parents, conflicts: all });
    const { conflicts: listed, isMoreConflicts } = openMerge(bytes).version;
    expect(isMoreConflicts).toBe(true);
    expect(encode(listed).length).toBeLessThan(CONFLICTS_BYTES_MAX + 3);
    expect(encode(listed).length).toBeGreaterThan(CONFLICTS_BYTES_MAX - 1100);
    expect(bytes.length).toBeLessThan(MERGE_BYTES_MAX);
    const one = [{ at: 'x'.repeat(CONFLICTS_BYTES_MAX + 1) }];
    expect(openMerge(encodeMerge({ ...fields, conflicts: one })).version).toMatchObject({
      isMoreConflicts: true,
    });
  });
});

describe('it has one encoding:', () => {
  test.each<[string, object]>([
    ['another version', { v: 2 }],
    ['another rule', { rule: 2 }],
    ['one parent', { parents: [first] }],
    ['parents out of order', { parents: sortParents([first, second]).toReversed() }],
    ['a parent twice', { parents: [first, first] }],
    ['the generation of a first version', { generation: 1 }],
    ['an author', { author: testNode(1).nodeId }],
    ['a sequence', { sequence: 1 }],
    ['a flag that says no', { deleted: false }],
    ['no conflicts in a list', { conflicts: [] }],
    ['conflicts out of order', { conflicts: [{ at: 'b' }, { at: 'a' }] }],
    ['a conflict twice', { conflicts: [{ at: 'a' }, { at: 'a' }] }],
    ['two that lost out of order', { conflicts: [{ at: 'a', theirs: cidOf('1') }, { at: 'a' }] }],
    ['the parts before the whole', { conflicts: [{ at: 'a', pointer: '' }, { at: 'a' }] }],
    ['a conflict with another field', { conflicts: [{ at: 'a', winner: 1 }] }],
    ['a content that is none', { conflicts: [{ at: 'a', ours: null }] }],
  ])('%s is refused', (_, change) => {
    expect(() => openMerge(encode({ ...plain, ...change }))).toThrow(badEncoding);
  });

  test('and what is as it should be is not', () => {
    expect(openMerge(encode(plain)).bytes).toEqual(encodeMerge(fields));
  });
});

test('mutations are refused with nothing but an AegisError, or are another merge', () => {
  const good = encodeMerge(fields);
  fc.assert(
    fc.property(mutated(good), (bad) => {
      fc.pre(Buffer.compare(bad, good) !== 0);
      if (onlyAegisErrors(() => openMerge(bad)) === 'refused') return;
      const { version, cidText } = openMerge(bad);
      expect(cidText).not.toBe(openMerge(good).cidText);
      const { isMoreConflicts: isMore = false, conflicts: some = [] } = version;
      expect(encodeMerge({ ...version, conflicts: some, isMore })).toEqual(bad);
    }),
    { numRuns: 500 },
  );
  expect(() => openMerge(new Uint8Array(MERGE_BYTES_MAX + 1))).toThrow(
    expect.toSatisfy((error) => hasCode(error, 'TOO_LARGE')) as Error,
  );
});
