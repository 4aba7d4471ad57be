/**
 * What custodians have signed although nobody should have made it: the two verifiers draw the line
 * in the same place, with whatever stands in the state and in versions.
 */
import { CID } from 'multiformats/cid';
import { create } from 'multiformats/hashes/digest';
import { describe, expect, it } from 'vitest';
import { seal } from '../../src/core/crypto/aead.ts';
import { sha256 } from '../../src/core/crypto/hash.ts';
import { isAegisError } from '../../src/core/errors.ts';
import { encode } from '../../src/core/model/cbor.ts';
import { sortParents, versionCidOf } from '../../src/core/model/version.ts';
import { buildProof, directoryClaim, pathClaim } from '../../src/core/proof/build.ts';
import type { Claim } from '../../src/core/proof/types.ts';
import { verifyProof } from '../../src/core/proof/verifier.ts';
import { History } from '../core/proof/support/history.ts';
import { type Memo, NoProof, verify } from './verifier.ts';

const memo: Memo = new Set();
const history = new History('odd');
const { names } = history;

/** Whether they take it: one word of each. */
function verdicts(claim: Claim): string {
  const { clusterId, genesis, tip } = history;
  const bytes = buildProof({ clusterId, custodians: [], handovers: [], tip, claims: [claim] });
  const verdict = (run: () => unknown, isRefusal: (error: unknown) => boolean): string => {
    try {
      run();
      return 'yes';
    } catch (error) {
      if (isRefusal(error)) return 'no';
      throw error;
    }
  };
  const mine = verdict(
    () => verify(bytes, genesis, { memo }),
    (error) => error instanceof NoProof,
  );
  return `${verdict(() => verifyProof(bytes, genesis), isAegisError)} ${mine}`;
}

const cidOf = (text: string, codec = 0x71): CID =>
  CID.createV1(codec, versionCidOf(Buffer.from(text)).multihash);
const shaOf = (codec: number): CID => CID.createV1(codec, create(0x12, new Uint8Array(32)));
const cid = cidOf('x');
const MAX = Number.MAX_SAFE_INTEGER;
const MAP = { '/': 1, bytes: 1 };
const heads = (count: number) => Array.from({ length: count }, () => [cid, 1]);
const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
const sealed = (text: string | Uint8Array, nonceOf: string = String(text)): Uint8Array => {
  const nonce = Buffer.from(names.hmac(`aegis/name-nonce/1\0${nonceOf}`), 'hex').subarray(0, 24);
  const key = sha256(Buffer.concat([Buffer.from('aegis/name-key/1\0'), names.key]));
  return Buffer.concat([nonce, seal(key, nonce, Buffer.from(text), new Uint8Array())]);
};

/** What stands under the path `odd/N` for N; whether it proves the path, and its directory. */
type Odd = readonly [what: string, value: unknown, path: boolean, directory: boolean];
const ref = { v: 2, type: 'ref', generation: 1, heads: [[cid, 1]] };
const refs = (list: Record<string, object>, holds: boolean): Odd[] =>
  Object.entries(list).map(([what, fields]) => [what, { ...ref, ...fields }, holds, holds]);
const others = (list: Record<string, unknown>, holds: boolean): Odd[] =>
  Object.entries(list).map(([what, value]) => [what, value, false, holds]);
const ODD: readonly Odd[] = [
  ...refs(
    {
      'an erased name': {},
      'no head': { heads: [] },
      'the most heads': { heads: heads(32) },
      'heads in any order': {
        heads: [
          [cid, 9],
          [cidOf('y'), 2, true],
          [cid, MAX],
        ],
      },
      'the greatest generation': { generation: MAX },
      'generation 0': { generation: 0 },
    },
    true,
  ),
  ...refs(
    {
      'a head too many': { heads: heads(33) },
      'a flag that says no': { heads: [[cid, 1, false]] },
      'a head of generation 0': { heads: [[cid, 0]] },
      'a head of content': { heads: [[cidOf('x', 0x55), 1]] },
      'a head with another hash': { heads: [[shaOf(0x71), 1]] },
      'a head of CIDv0': { heads: [[CID.createV0(create(0x12, new Uint8Array(32))), 1]] },
      'a map in place of a CID': { heads: [[MAP, 1]] },
      'the version before': { v: 1 },
      'a version after': { v: 3 },
      'another field': { more: 1 },
      'a negative generation': { generation: -1 },
      'a broken generation': { generation: 0.5 },
      'a generation too great': { generation: 2n ** 53n },
      'null for a name': { name: null },
      'a name of another path': { name: names.seal('odd') },
      'a name that is cut': { name: names.seal('odd').subarray(0, 39) },
      'an empty name': { name: new Uint8Array() },
      'a name of no path': { name: sealed('odd//1') },
      'a name of no text': { name: sealed(Uint8Array.of(0xff, 0xfe), '\ufffd\ufffd') },
      'a name too long': { name: sealed('x'.repeat(1025)) },
    },
    false,
  ),
  ...others(
    {
      'another type': { v: 1, type: 'account', sequence: 1 },
      'no type': { v: 1 },
      'a type that is no text': { v: 1, type: 1 },
      'a list': ['ref'],
      'a text': 'ref',
      'a number': 7,
      'a text with a byte order mark': '\ufeffx',
      'an empty key': { '': 1 },
      'a key of JavaScript': Buffer.from('a1695f5f70726f746f5f5f01', 'hex'),
      'a CID': cid,
      true: true,
      'the longest value': new Uint8Array(8189),
      'the deepest value': nested(32),
    },
    true,
  ),
  ...others(
    {
      'a deeper value': nested(33),
      'a CID deeper': [...Array(32)].reduce((inside: unknown) => [inside], cid),
      'a mark of another directory': { v: 1, type: 'mark', name: names.seal('odd') },
      'a mark without a name': { v: 1, type: 'mark' },
      'a mark of another version': { v: 2, type: 'mark', name: names.seal('odd') },
    },
    false,
  ),
  ...others(
    {
      'a value too long': new Uint8Array(8190),
      'no bytes': Buffer.alloc(0),
      'bytes after it': Buffer.from('0101', 'hex'),
      'a longer number': Buffer.from('1801', 'hex'),
      'a tag': Buffer.from('d82b01', 'hex'),
      undefined: Buffer.from('f7', 'hex'),
      'no end': Buffer.from('9f01ff', 'hex'),
      'a number for a key': Buffer.from('a10101', 'hex'),
      'a key twice': Buffer.from('a2616101616101', 'hex'),
      'keys out of order': Buffer.from('a2616201616101', 'hex'),
      'a text that is none': Buffer.from('61ff', 'hex'),
      'a CID with a longer number': Buffer.from(`d82a5826008100711220${'00'.repeat(32)}`, 'hex'),
    },
    false,
  ),
];
const pathOf = (n: number): string => `odd ${n}/it`;
history.tree = history.tree.update(
  ODD.map(([, value], n) => {
    const bytes = Buffer.isBuffer(value) ? value : encode(value);
    return { key: names.refKey(pathOf(n)), value: bytes };
  }),
);

const author = `aegis1${'a'.repeat(52)}`;
const parents = sortParents(Array.from({ length: 33 }, (_, n) => cidOf(`${n}`)));
const version = { v: 1, type: 'version', path: 'version', root: cidOf('x', 0x55), sizeBytes: 0 };
const rest = { parents: [], generation: 1, sequence: 1, time: 0, author };
type OddVersion = readonly [what: string, fields: object, holds: boolean, envelope?: object];
const VERSIONS: readonly OddVersion[] = [
  ...Object.entries({
    'nothing more': {},
    'a root with SHA-256': { root: shaOf(0x70) },
    'a root of any codec': { root: shaOf(0x1234) },
    'the most parents': { parents: parents.slice(1) },
    'the longest message': { message: 'ä'.repeat(2048) },
    'an empty message': { message: '' },
    'a message with a byte order mark': { message: '\ufeffx' },
    'flags that say no': { deleted: false, directory: false },
    'another generation than the head': { generation: 7, deleted: true },
    'the last time': { time: 253_402_300_799_999 },
    'a key epoch': { keyEpoch: 1 },
  }).map(([what, fields]): OddVersion => [what, fields, true]),
  ...Object.entries({
    'another path': { path: 'versions' },
    'another type': { type: 'versions' },
    'another version': { v: 2 },
    'another field': { more: 1 },
    'a root of CIDv0': { root: CID.createV0(create(0x12, new Uint8Array(32))) },
    'a root with an identity': { root: CID.createV1(0x55, create(0, new Uint8Array(32))) },
    'a short root': { root: CID.createV1(0x55, create(0x1e, new Uint8Array(16))) },
    'a map in place of a root': { root: MAP },
    'a parent too many': { parents },
    'parents out of order': { parents: parents.slice(0, 2).toReversed() },
    'a parent twice': { parents: [cid, cid] },
    'a parent of content': { parents: [cidOf('x', 0x55)] },
    'a map in place of a parent': { parents: [MAP] },
    'a message too long': { message: 'ä'.repeat(2049) },
    'null for a flag': { deleted: null },
    'a negative size': { sizeBytes: -1 },
    'generation 0': { generation: 0 },
    'sequence 0': { sequence: 0 },
    'a time too late': { time: 253_402_300_800_000 },
    'key epoch 0': { keyEpoch: 0 },
    'an author with bits left over': { author: `aegis1${'a'.repeat(51)}b` },
    'an author in capitals': { author: author.toUpperCase() },
  }).map(([what, fields]): OddVersion => [what, fields, false]),
  ['a short signature', {}, false, { signature: new Uint8Array(63) }],
  ['an envelope with a version', {}, false, { v: 1 }],
  ['a payload that is no bytes', {}, false, { payload: 'text' }],
];
const versions = VERSIONS.map(([, fields, , envelope], n) => {
  const payload = encode({ ...version, ...rest, path: `version ${n}`, ...fields });
  return encode({ payload, signature: new Uint8Array(64), ...envelope });
});

const merge = { v: 1, type: 'merge', rule: 1, root: cidOf('x', 0x55), sizeBytes: 0, time: 0 };
const merged = { ...merge, parents: parents.slice(0, 2), generation: 2 };
const MERGES: readonly OddVersion[] = [
  ...Object.entries({
    'nothing more': {},
    'the most parents': { parents: parents.slice(1) },
    'all that it may have': { deleted: true, directory: true, more: true },
    'conflicts in order': { conflicts: [{ at: '' }, { at: 'a' }, { at: 'a', pointer: '' }] },
    'the contents of a conflict': {
      conflicts: [{ at: '', base: cid, ours: shaOf(9), theirs: cid }],
    },
    'two that lost': { conflicts: [shaOf(9), cid].map((one) => ({ at: '', theirs: one })) },
    'a longer place': { conflicts: [{ at: 'ä' }, { at: 'äa' }, { at: 'ö', pointer: '/x' }] },
  }).map(([what, fields]): OddVersion => [what, fields, true]),
  ...Object.entries({
    'another rule': { rule: 2 },
    'another path': { path: 'merges' },
    'one parent': { parents: parents.slice(1, 2) },
    'a parent too many': { parents },
    'parents out of order': { parents: parents.slice(0, 2).toReversed() },
    'generation 1': { generation: 1 },
    'an author': { author },
    'a sequence': { sequence: 1 },
    'a flag that says no': { deleted: false },
    'more of false': { more: false },
    'no conflicts': { conflicts: [] },
    'a conflict twice': { conflicts: [{ at: 'a' }, { at: 'a' }] },
    'losers out of order': {
      conflicts: [shaOf(9), cid].toReversed().map((one) => ({ at: '', theirs: one })),
    },
    'conflicts out of order': { conflicts: [{ at: 'a', pointer: '' }, { at: 'a' }] },
    'a conflict with another field': { conflicts: [{ at: 'a', winner: 'ours' }] },
    'a conflict of a short root': {
      conflicts: [{ at: '', ours: CID.createV1(0x55, create(0x1e, new Uint8Array(16))) }],
    },
  }).map(([what, fields]): OddVersion => [what, fields, false]),
];
const merges = MERGES.map(([, fields], n) => encode({ ...merged, path: `merge ${n}`, ...fields }));
history.tree = history.tree.update(
  [...versions, ...merges].map((bytes, at) => {
    const path = at < versions.length ? `version ${at}` : `merge ${at - versions.length}`;
    const value = encode({ ...ref, heads: [[versionCidOf(bytes), 1]] });
    return { key: names.refKey(path), value };
  }),
);
history.block();

function valueClaim(path: string, lineage: readonly Uint8Array[]): Claim {
  const key = names.refKey(path);
  return pathClaim(path, { ...history.tree.prove(key), value: history.tree.get(key)! }, lineage);
}

describe('both verifiers draw the line in one place:', () => {
  it.each(ODD.map(([what, , path, directory], n) => ({ n, what, path, directory })))(
    '$what',
    ({ n, path, directory }) => {
      expect(verdicts(valueClaim(pathOf(n), []))).toBe(path ? 'yes yes' : 'no no');
      const tag = names.tagOf(`odd ${n}`);
      const { siblings } = history.tree.prove(tag.padEnd(64, '0'));
      const key = names.refKey(pathOf(n));
      const leaves = [{ key, value: history.tree.get(key)! }];
      const claim = directoryClaim(`odd ${n}`, { siblings: siblings.slice(0, 64), leaves });
      expect(verdicts(claim)).toBe(directory ? 'yes yes' : 'no no');
    },
  );

  it.each(VERSIONS.map(([what, , holds], n) => ({ n, what, holds })))(
    'a version with $what',
    ({ n, holds }) => {
      expect(verdicts(valueClaim(`version ${n}`, [versions[n]!]))).toBe(
        holds ? 'yes yes' : 'no no',
      );
      // Nobody looks at it unless the claim is about it.
      expect(verdicts(valueClaim(`version ${n}`, []))).toBe('yes yes');
    },
  );

  it.each(MERGES.map(([what, , holds], n) => ({ n, what, holds })))(
    'a merge with $what',
    ({ n, holds }) => {
      expect(verdicts(valueClaim(`merge ${n}`, [merges[n]!]))).toBe(holds ? 'yes yes' : 'no no');
    },
  );
});
