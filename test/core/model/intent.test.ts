import * as fc from 'fast-check';
import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';
import { expect, test } from 'vitest';
import { blake3, sha256 } from '../../../src/core/crypto/hash.ts';
import { verifyEd25519 } from '../../../src/core/crypto/sign.ts';
import { hasCode } from '../../../src/core/errors.ts';
import { encode } from '../../../src/core/model/cbor.ts';
import { encodeChanges, isMove } from '../../../src/core/model/change.ts';
import {
  CHANGES_MAX,
  type Change,
  createIntent,
  INTENT_BYTES_MAX,
  type Intent,
  intentIdOf,
  type Move,
  readIntent,
} from '../../../src/core/model/intent.ts';
import { Names } from '../../../src/core/model/names.ts';
import { signRecord } from '../../../src/core/model/signed.ts';
import { PARENTS_MAX, sortParents, versionCidOf } from '../../../src/core/model/version.ts';
import { mutated, onlyAegisErrors } from '../../helpers/mutation.ts';
import { contextOf, NAMES } from '../../helpers/names.ts';
import { testNode } from '../../helpers/nodes.ts';
import { toHex } from '../../helpers/vectors.ts';

const CLUSTER = 'aegisc1test';
const CONTEXT = contextOf(CLUSTER);
const node = testNode(1);
const versionOf = (text: string): CID => versionCidOf(Buffer.from(text));
const change: Move = {
  path: 'notes/a.md',
  version: versionOf('2'),
  parents: [versionOf('1')],
  generation: 2,
};
const fields: Intent = {
  author: node.nodeId,
  sequence: 1,
  time: 1_800_000_000_000,
  changes: [change],
  keyEpoch: 0,
};
const make = (more: Partial<Intent> = {}, clusterId = CLUSTER) =>
  createIntent({ ...fields, ...more }, contextOf(clusterId), node.signer);
const first = make();

const versions = fc.string().map(versionOf);
const paths = fc.stringMatching(/^[a-z]{1,8}(\/[a-z]{1,8}){0,3}$/);
const moves: fc.Arbitrary<Move> = fc.record(
  {
    path: paths,
    version: versions,
    parents: fc.uniqueArray(versions, { maxLength: 4, selector: (cid) => cid.toString() }),
    generation: fc.integer({ min: 1 }),
    deleted: fc.boolean(),
    expected: fc.option(versions),
  },
  { requiredKeys: ['path', 'version', 'parents', 'generation'] },
);
const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const nodeIds = fc.integer({ min: 1, max: 9 }).map((number) => testNode(number).nodeId);
const rightsAndMore: fc.Arbitrary<Exclude<Change, Move>> = fc.oneof(
  fc.record({
    op: fc.constant('grant'),
    path: paths,
    nodeId: nodeIds,
    right: fc.constantFrom('owner', 'writer'),
  }),
  fc.record({ op: fc.constant('revoke'), path: paths, nodeId: nodeIds }),
  fc.record(
    {
      op: fc.constant('anchor'),
      label: fc.stringMatching(/^[a-z]{1,64}$/),
      digest: bytes32,
      previous: bytes32,
    },
    { requiredKeys: ['op', 'label', 'digest'] },
  ),
  fc.record({ op: fc.constant('erase'), path: paths }),
);
/** In the order in which moves name their parents. */
const sorted = (some: readonly Change[]): Change[] =>
  some.map((one) => (isMove(one) ? { ...one, parents: sortParents(one.parents) } : one));

test('an intent is read as it was made, and its signature verifies', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(moves, rightsAndMore), { maxLength: 5 }),
      fc.integer({ min: 1 }),
      fc.nat(),
      (some, sequence, time) => {
        const made = make({ changes: some, sequence, time });
        const { signed, checks } = readIntent(made.bytes, CONTEXT);
        const check = checks[0]!;
        expect(signed).toEqual(made);
        expect(intentIdOf(CONTEXT, node.nodeId, some)).toBe(made.id);
        expect(signed.intent).toMatchObject({ author: node.nodeId, sequence, time });
        expect(signed.intent.changes).toEqual(sorted(some));
        expect(check.author).toBe(node.nodeId);
        const { message, signature } = check;
        expect(verifyEd25519(node.signer.publicKey, message, signature)).toBe(true);
        expect(verifyEd25519(testNode(2).signer.publicKey, message, signature)).toBe(false);
      },
    ),
    { numRuns: 50 },
  );
});

test('the same request has the same id, whatever its sequence and time; its digest differs', () => {
  const again = make({ sequence: 2, time: 5 });
  expect(again.id).toBe(first.id);
  expect(again.digest).not.toBe(first.digest);
  expect(first.digest).toBe(toHex(sha256(first.bytes)));
  expect(make().bytes).toEqual(first.bytes);
  const others = [
    make({}, 'aegisc1other'),
    make({ author: testNode(2).nodeId }),
    make({ changes: [] }),
    make({ changes: [change, change] }),
    make({ changes: [{ ...change, generation: 3 }] }),
    make({ changes: [{ ...change, expected: null }] }),
  ];
  expect(new Set([first, ...others].map(({ id }) => id)).size).toBe(7);
});

test('an intent of the first key epoch is written as ever, one of a later epoch names it', () => {
  expect(first.digest).toBe('cc365d18f9f5631b309cf5dc69b243f6535749b161167ba60cd9a677588ef245');
  const later = make({ keyEpoch: 3 });
  expect(later.intent.keyEpoch).toBe(3);
  expect(readIntent(later.bytes, CONTEXT).checks[0]).toMatchObject({ keyEpoch: 3 });
  expect(readIntent(first.bytes, CONTEXT).checks[0]).toMatchObject({ keyEpoch: 0 });
  // A2: signed anew, it is the same request.
  expect(later.id).toBe(first.id);
  const { author, sequence, time, changes } = first.intent;
  const all = encodeChanges(changes, NAMES);
  const record = { v: 2, type: 'intent', clusterId: CLUSTER, author, sequence, time, changes: all };
  for (const keyEpoch of [0, -1, 1.5, '1', null]) {
    const bytes = signRecord({ ...record, keyEpoch }, node.signer);
    expect(
      onlyAegisErrors(() => readIntent(bytes, CONTEXT)),
      String(keyEpoch),
    ).toBe('refused');
  }
});

test('Q3: an intent of another cluster is refused as that', () => {
  expect(() => readIntent(first.bytes, contextOf('aegisc1other'))).toThrow(
    expect.toSatisfy((error) => hasCode(error, 'OTHER_CLUSTER')) as Error,
  );
});

test('names are encrypted, and those of other names are none', () => {
  const marked = make({ changes: [{ ...change, path: 'visible/path' }] });
  expect(Buffer.from(marked.bytes).includes('visible')).toBe(false);
  const strange = { clusterId: CLUSTER, names: new Names(new Uint8Array(32)) };
  expect(() => readIntent(marked.bytes, strange)).toThrow(
    expect.toSatisfy((error) => hasCode(error, 'BAD_ENCODING')) as Error,
  );
});

test('the signature covers every byte of what is asked for', () => {
  const { message, signature } = readIntent(first.bytes, CONTEXT).checks[0]!;
  const changed = readIntent(make({ time: 4 }).bytes, CONTEXT).checks[0]!;
  expect(verifyEd25519(node.signer.publicKey, changed.message, signature)).toBe(false);
  expect(Buffer.from(message).subarray(0, 15).toString()).toBe('aegis/intent/1\0');
});

test('the limits hold', () => {
  const verdict = (more: Partial<Intent>) => onlyAegisErrors(() => make(more));
  const one = (more: Partial<Move>): Partial<Intent> => ({ changes: [{ ...change, ...more }] });
  const small: Move = { path: 'a', version: change.version, parents: [], generation: 1 };
  const parents = Array.from({ length: PARENTS_MAX + 1 }, (_, index) => versionOf(`${index}`));
  const leaf = CID.createV1(0x55, Digest.create(0x1e, blake3(new Uint8Array())));
  const accepted: Partial<Intent>[] = [
    { changes: [] },
    { changes: Array.from({ length: CHANGES_MAX }, () => small) },
    one({ parents: parents.slice(1) }),
    one({ path: 'x'.repeat(1024) }),
  ];
  const refused: Partial<Intent>[] = [
    { changes: Array.from({ length: CHANGES_MAX + 1 }, () => small) },
    { sequence: 0 },
    { sequence: 1.5 },
    { time: -1 },
    { author: 'aegis1' },
    one({ parents }),
    one({ parents: [change.version, change.version] }),
    one({ path: 'x'.repeat(1025) }),
    one({ path: '../up' }),
    one({ path: '' }),
    one({ generation: 0 }),
    one({ version: leaf }),
    one({ parents: [leaf] }),
    one({ expected: leaf }),
    { changes: [{ op: 'grant', path: 'a', nodeId: 'somebody', right: 'owner' }] },
    { changes: [{ op: 'revoke', path: 'a//b', nodeId: node.nodeId }] },
    { changes: [{ op: 'erase', path: '' }] },
    { changes: [{ op: 'anchor', label: 'x'.repeat(65), digest: new Uint8Array(32) }] },
    { changes: [{ op: 'anchor', label: ' x', digest: new Uint8Array(32) }] },
    { changes: [{ op: 'anchor', label: 'x', digest: new Uint8Array(31) }] },
  ];
  for (const more of accepted) expect(verdict(more)).toBe('accepted');
  for (const [index, more] of refused.entries()) expect(verdict(more), `${index}`).toBe('refused');
});

test('a longer intent than the limit is TOO_LARGE', () => {
  const long = { ...change, path: 'x'.repeat(1000) };
  expect(() => make({ changes: Array.from({ length: 60 }, () => long) })).toThrow(
    expect.toSatisfy((error) => hasCode(error, 'TOO_LARGE')) as Error,
  );
  expect(() => readIntent(new Uint8Array(INTENT_BYTES_MAX + 200), CONTEXT)).toThrow(
    expect.toSatisfy((error) => hasCode(error, 'TOO_LARGE')) as Error,
  );
});

test('other shapes are refused with BAD_ENCODING', () => {
  const { author, sequence, time } = fields;
  const whole = { v: 2, type: 'intent', clusterId: CLUSTER, author, sequence, time };
  const { path, ...rest } = change;
  const name = NAMES.seal(path);
  const good = { name, ...rest, parents: [...change.parents] };
  const { nodeId } = node;
  const digest = new Uint8Array(32);
  const read = (more: object) => () =>
    readIntent(signRecord({ ...whole, ...more }, node.signer), CONTEXT);
  expect(read({ changes: [good] })).not.toThrow();
  const bad: object[] = [
    {},
    { changes: good },
    { changes: [null] },
    { changes: [[]] },
    { changes: [change.version] },
    { changes: [{ ...good, more: 1 }] },
    { changes: [{ ...good, v: 1 }] },
    { changes: [{ ...good, type: 'change' }] },
    { changes: [{ ...good, expected: 'none' }] },
    { changes: [{ ...good, deleted: 1 }] },
    { changes: [{ ...good, parents: [versionOf('b'), versionOf('a')].toSorted(descending) }] },
    { changes: [{ ...good, path }] },
    { changes: [{ ...rest, path }] },
    { changes: [{ ...good, name: path }] },
    { changes: [{ ...good, op: 'move' }] },
    { changes: [{ op: 'grant', name, nodeId, right: 'reader' }] },
    { changes: [{ op: 'grant', name, nodeId }] },
    { changes: [{ op: 'revoke', name, nodeId, right: 'owner' }] },
    { changes: [{ op: 'erase', name, nodeId }] },
    { changes: [{ op: 'anchor', label: 'a', digest, previous: null }] },
    { changes: [{ op: 'anchor', name, label: 'a', digest }] },
    { changes: [{ op: 1, name }] },
    { changes: [good], v: 1 },
    { changes: [good], v: 3 },
    { changes: [good], type: 'version' },
    { changes: [good], extra: true },
  ];
  for (const [index, more] of bad.entries()) {
    expect(read(more), `${index}`).toThrow(
      expect.toSatisfy((error) => hasCode(error, 'BAD_ENCODING')) as Error,
    );
  }
  expect(onlyAegisErrors(() => readIntent(encode([1]), CONTEXT))).toBe('refused');
});

const descending = (a: CID, b: CID): number => (a.toString() < b.toString() ? 1 : -1);

test('a mutation is refused, or does not verify', () => {
  fc.assert(
    fc.property(mutated(first.bytes), (bad) => {
      fc.pre(Buffer.compare(bad, first.bytes) !== 0);
      onlyAegisErrors(() => {
        const { message, signature } = readIntent(bad, CONTEXT).checks[0]!;
        expect(verifyEd25519(node.signer.publicKey, message, signature)).toBe(false);
      });
    }),
    { numRuns: 1000 },
  );
});

test('hostile bytes are refused with nothing but an AegisError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(onlyAegisErrors(() => readIntent(bytes, CONTEXT))).toBe('refused');
    }),
  );
});
