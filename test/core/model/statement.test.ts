import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256 } from '../../../src/core/crypto/hash.ts';
import { verifyEd25519 } from '../../../src/core/crypto/sign.ts';
import { hasCode } from '../../../src/core/errors.ts';
import { createBlock } from '../../../src/core/model/block.ts';
import { encode } from '../../../src/core/model/cbor.ts';
import { readIntent } from '../../../src/core/model/intent.ts';
import { createDeparture, NO_ADMISSION } from '../../../src/core/model/membership.ts';
import { signRecord } from '../../../src/core/model/signed.ts';
import { createDuplicity, DUPLICITY_BYTES_MAX } from '../../../src/core/model/statement.ts';
import type { SignedSuccession } from '../../../src/core/model/succession.ts';
import { mutated, onlyAegisErrors } from '../../helpers/mutation.ts';
import { contextOf } from '../../helpers/names.ts';
import { testNode } from '../../helpers/nodes.ts';
import { Owner } from '../../helpers/owner.ts';
import { toHex } from '../../helpers/vectors.ts';

const CLUSTER = 'aegisc1test';
const CONTEXT = contextOf(CLUSTER);
const OTHER = contextOf('aegisc1other');
const owner = new Owner(1);
const fork = owner.prepare(['network'], {}, 'fork');
const entry = owner.rotate(['network', 'consensus']);
const evidence = createDuplicity(entry, fork);
const left = createDeparture(
  {
    clusterId: CLUSTER,
    nodeId: owner.nodeId,
    keyEpoch: 0,
    admission: NO_ADMISSION,
    time: 1_800_000_000_000,
  },
  owner.identity,
);

const badEncoding = expect.toSatisfy((error) => hasCode(error, 'BAD_ENCODING')) as Error;

test('a statement travels in the clothes of an intent without changes', () => {
  const digest = toHex(sha256(evidence));
  const cases = [
    { bytes: entry.bytes, digest: entry.digest, type: 'succession', keys: [true] },
    { bytes: evidence, digest, type: 'duplicity', keys: [true, true] },
    { bytes: left.bytes, digest: left.digest, type: 'departure', keys: [false] },
  ];
  for (const { bytes, type, keys, digest: id } of cases) {
    const { signed, checks } = readIntent(bytes, CONTEXT);
    expect(signed).toMatchObject({ id, digest: id, bytes, statement: { type } });
    expect(signed.intent).toMatchObject({
      author: owner.nodeId,
      sequence: 0,
      changes: [],
      keyEpoch: 0,
    });
    expect(checks.map(({ key }) => key !== undefined)).toEqual(keys);
    for (const { key = owner.identity.publicKey, message, signature } of checks) {
      expect(verifyEd25519(key, message, signature)).toBe(true);
    }
  }
});

test('a succession counts in every cluster, a departure in its own', () => {
  expect(readIntent(entry.bytes, OTHER).signed.digest).toBe(entry.digest);
  expect(() => readIntent(left.bytes, OTHER)).toThrow('for another cluster');
});

test('evidence of duplicity is the same whoever makes it', () => {
  expect(createDuplicity(fork, entry)).toEqual(evidence);
  expect(evidence.length).toBeLessThan(DUPLICITY_BYTES_MAX);
  const { statement } = readIntent(evidence, CONTEXT).signed;
  const [a, b] = entry.digest < fork.digest ? [entry, fork] : [fork, entry];
  expect(statement).toEqual({ type: 'duplicity', nodeId: owner.nodeId, a, b });
});

test('what is no contradiction is no evidence', () => {
  const next = owner.prepare(['network']);
  const other = new Owner(2).rotate(['network']);
  const elsewhere = new Owner(1, { salt: 'elsewhere' });
  elsewhere.rotate(['onion']);
  const apart = elsewhere.rotate(['network']);
  const foreign = signAs({ ...fork.succession, revealed: owner.identity.publicKey });
  const pairs: Record<string, [SignedSuccession, SignedSuccession]> = {
    'or one twice': [entry, entry],
    'of two nodes': [entry, other],
    'follow different ones': [entry, next],
    'that follow different ones': [next, apart],
    'of two signers': [entry, foreign],
  };
  for (const [why, [a, b]] of Object.entries(pairs)) {
    expect(() => createDuplicity(a, b), why).toThrow(why);
    expect(() => createDuplicity(a, b), why).toThrow(badEncoding);
  }
  const [first, second] = entry.digest < fork.digest ? [entry, fork] : [fork, entry];
  const record = { v: 1, type: 'duplicity', a: second.bytes, b: first.bytes };
  expect(() => readIntent(encode(record), CONTEXT)).toThrow('out of order');
});

/** An entry in this node's place that the identity key signed: what a thief can make. */
function signAs(succession: SignedSuccession['succession']): SignedSuccession {
  const bytes = signRecord({ v: 2, type: 'succession', ...succession }, owner.identity);
  return { succession, bytes, digest: toHex(sha256(bytes)) };
}

test('a block takes statements beside intents', () => {
  const header = {
    clusterId: CLUSTER,
    height: 1,
    previous: new Uint8Array(32),
    time: 1,
    proposer: owner.nodeId,
    view: 0,
    protocol: 1,
    stateRoot: new Uint8Array(32),
    custodians: new Uint8Array(32),
    leaders: new Uint8Array(32),
  };
  const block = createBlock(header, [entry.bytes, evidence, left.bytes]);
  const types = block.intents.map((bytes) => readIntent(bytes, CONTEXT).signed.statement?.type);
  expect(types).toEqual(['succession', 'duplicity', 'departure']);
});

test.each([
  {},
  { v: 2 },
  { a: 'text' },
  { a: new Uint8Array(10) },
  { b: new Uint8Array(5000) },
  { extra: 1 },
])('evidence with %o is refused', (change) => {
  const record = { v: 1, type: 'duplicity', a: fork.bytes, ...change };
  expect(() => readIntent(encode(record), CONTEXT)).toThrow(badEncoding);
});

test('a mutation is refused, or a signature in it does not hold', () => {
  for (const good of [evidence, entry.bytes, left.bytes]) {
    fc.assert(
      fc.property(mutated(good), (bad) => {
        fc.pre(Buffer.compare(bad, good) !== 0);
        onlyAegisErrors(() => {
          const { checks } = readIntent(bad, CONTEXT);
          const verdicts = checks.map(({ key = owner.identity.publicKey, message, signature }) =>
            verifyEd25519(key, message, signature),
          );
          expect(verdicts).toContain(false);
        });
      }),
      { numRuns: 700 },
    );
  }
});

test('no other record passes for one', () => {
  const { bundle, inception } = testNode(1);
  for (const bytes of [bundle, inception, encode([1]), encode({ type: 'duplicity' })]) {
    expect(() => readIntent(bytes, CONTEXT)).toThrow(badEncoding);
  }
});

test('the encoding does not change with the program', () => {
  expect(toHex(sha256(evidence))).toBe(
    '62ef571adbf34f8af4495ede487d61501e8b81251a36ec521649e1956409ea71',
  );
});
