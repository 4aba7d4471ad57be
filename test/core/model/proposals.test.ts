import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sha256 } from '../../../src/core/crypto/hash.ts';
import { verifyEd25519 } from '../../../src/core/crypto/sign.ts';
import { hasCode } from '../../../src/core/errors.ts';
import { nodeIdOf } from '../../../src/core/model/identity.ts';
import { readIntent } from '../../../src/core/model/intent.ts';
import { PARAMETERS, type ParameterName } from '../../../src/core/model/parameters.ts';
import {
  APPROVAL_BYTES_MAX,
  createApproval,
  createProposal,
  createReadiness,
  PROPOSAL_BYTES_MAX,
  PROPOSAL_LIFETIME_MAX_MS,
  PROPOSED_CHANGES_MAX,
  type Proposal,
  READINESS_BYTES_MAX,
  readProposal,
} from '../../../src/core/model/proposals.ts';
import {
  encodeProposedChange,
  NAMESPACE_OWNERS_MAX,
  NAMESPACE_WRITERS_MAX,
  type ProposedChange,
  readProposedChange,
} from '../../../src/core/model/proposed-change.ts';
import { signRecord } from '../../../src/core/model/signed.ts';
import { mutated, onlyAegisErrors } from '../../helpers/mutation.ts';
import { contextOf, NAMES } from '../../helpers/names.ts';
import { testNode } from '../../helpers/nodes.ts';
import { toHex } from '../../helpers/vectors.ts';

const CLUSTER = 'aegisc1test';
const CONTEXT = contextOf(CLUSTER);
const { nodeId, signer } = testNode(1);
const badEncoding = expect.toSatisfy((error) => hasCode(error, 'BAD_ENCODING')) as Error;
const otherCluster = expect.toSatisfy((error) => hasCode(error, 'OTHER_CLUSTER')) as Error;

const idOf = (number: number): string => nodeIdOf(Buffer.from(String(number)));
const idsOf = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, at) => idOf(from + at)).toSorted();

const named = (numbers: readonly number[]): string[] => numbers.map(idOf).toSorted();

const ids = fc.nat(200).map(idOf);
const amount = fc.option(fc.maxSafeNat());
const parameter = fc.constantFrom(...(Object.keys(PARAMETERS) as ParameterName[])).chain((name) =>
  fc.record({
    op: fc.constant('parameter'),
    name: fc.constant(name),
    value: fc.integer({ min: PARAMETERS[name].min, max: PARAMETERS[name].max }),
  }),
);
const changes: fc.Arbitrary<ProposedChange> = fc.oneof(
  fc.record({ op: fc.constantFrom('add', 'remove', 'expel'), nodeId: ids }),
  fc.record({ op: fc.constant('zone'), nodeId: ids, zone: fc.stringMatching(/^[a-z]{1,64}$/) }),
  fc.record({ op: fc.constant('weight'), nodeId: ids, storageWeight: fc.nat(1000) }),
  parameter,
  fc.record({
    ...{ op: fc.constant('quota'), nodeId: ids },
    ...{ changesPerHour: amount, bytesPerHour: amount, paths: amount },
  }),
  fc.record({
    ...{ op: fc.constant('namespace'), path: fc.stringMatching(/^[a-z]{1,9}(\/[a-z]{1,9}){0,3}$/) },
    owners: fc
      .uniqueArray(fc.integer({ min: 0, max: 99 }), { minLength: 1, maxLength: 9 })
      .map(named),
    writers: fc.uniqueArray(fc.integer({ min: 100, max: 199 }), { maxLength: 9 }).map(named),
  }),
  fc.record({ op: fc.constant('protocol'), version: fc.integer({ min: 1 }) }),
);

const proposal: Proposal = {
  clusterId: CLUSTER,
  proposer: nodeId,
  keyEpoch: 0,
  nonce: new Uint8Array(16).fill(1),
  changes: [{ op: 'add', nodeId: testNode(2).nodeId }],
  at: 0,
  createdAt: 1_800_000_000_000,
  expiresAt: 1_800_000_000_000 + PROPOSAL_LIFETIME_MAX_MS,
};
const make = (more: Partial<Proposal> = {}) =>
  createProposal({ ...proposal, ...more }, NAMES, signer);
const signed = make();
const approved = createApproval(
  { clusterId: CLUSTER, proposal: signed.digest, nodeId, keyEpoch: 1, time: 7 },
  signer,
);
const ready = createReadiness(
  { clusterId: CLUSTER, nodeId, keyEpoch: 0, protocol: 2, time: 8 },
  signer,
);

test('a proposal is read as it was made', () => {
  fc.assert(
    fc.property(
      fc.array(changes, { minLength: 1, maxLength: PROPOSED_CHANGES_MAX }),
      fc.maxSafeNat(),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      (some, at, nonce) => {
        const made = make({ changes: some, at, nonce });
        const read = readProposal(made.bytes, CONTEXT);
        expect(read.signed).toEqual(made);
        expect(made.proposal).toEqual({ ...proposal, changes: some, at, nonce });
        expect(made.digest).toBe(toHex(sha256(made.bytes)));
        const { author, message, signature } = read.check;
        expect(author).toBe(nodeId);
        expect(verifyEd25519(signer.publicKey, message, signature)).toBe(true);
      },
    ),
    { numRuns: 60 },
  );
});

test('they travel as statements of whoever signs', () => {
  const cases = [
    { bytes: signed.bytes, type: 'proposal', time: proposal.createdAt, keyEpoch: 0 },
    { bytes: approved.bytes, type: 'approval', time: 7, keyEpoch: 1 },
    { bytes: ready.bytes, type: 'readiness', time: 8, keyEpoch: 0 },
  ];
  for (const { bytes, type, time, keyEpoch } of cases) {
    const read = readIntent(bytes, CONTEXT);
    const digest = toHex(sha256(bytes));
    expect(read.signed).toMatchObject({ id: digest, digest, statement: { type } });
    expect(read.signed.intent).toMatchObject({ author: nodeId, sequence: 0, time, changes: [] });
    expect(read.checks).toMatchObject([{ author: nodeId, keyEpoch }]);
    const [{ message, signature }] = read.checks as [(typeof read.checks)[0]];
    expect(verifyEd25519(signer.publicKey, message, signature)).toBe(true);
    expect(() => readIntent(bytes, contextOf('aegisc1other'))).toThrow(otherCluster);
  }
  const { statement } = readIntent(approved.bytes, CONTEXT).signed;
  expect(statement).toEqual({ type: 'approval', signed: approved });
  expect(approved.approval.proposal).toBe(signed.digest);
  expect(readIntent(ready.bytes, CONTEXT).signed.statement).toEqual({
    type: 'readiness',
    signed: ready,
  });
});

test('the path of a namespace stands encrypted in the bytes', () => {
  const namespace = { op: 'namespace', path: 'visible', owners: [nodeId], writers: [] } as const;
  const made = make({ changes: [namespace] });
  expect(Buffer.from(made.bytes).includes('visible')).toBe(false);
  expect(made.proposal.changes).toEqual([namespace]);
});

describe('the limits', () => {
  const verdict = (more: Partial<Proposal>) => onlyAegisErrors(() => make(more));
  const one = (change: object): Partial<Proposal> => ({ changes: [change as ProposedChange] });
  const namespace = { op: 'namespace', path: 'a', owners: [idOf(1)], writers: [] };
  const { createdAt } = proposal;
  const id = idOf(1);
  const none = { changesPerHour: null, bytesPerHour: null, paths: null };
  const many = Array.from({ length: PROPOSED_CHANGES_MAX + 1 }, () => proposal.changes[0]!);

  const accepted: Partial<Proposal>[] = [
    { changes: many.slice(1) },
    one({ ...namespace, owners: idsOf(NAMESPACE_OWNERS_MAX) }),
    one({ ...namespace, writers: idsOf(NAMESPACE_WRITERS_MAX, 100) }),
    one({ op: 'quota', nodeId: id, ...none }),
    one({ op: 'weight', nodeId: id, storageWeight: 1000 }),
    { expiresAt: createdAt + 1 },
  ];
  test('allow as much as they say', () => {
    for (const [at, more] of accepted.entries()) expect(verdict(more), `${at}`).toBe('accepted');
  });

  const refused: Partial<Proposal>[] = [
    { changes: [] },
    { changes: many },
    { nonce: new Uint8Array(15) },
    { at: -1 },
    { expiresAt: createdAt },
    { expiresAt: createdAt + PROPOSAL_LIFETIME_MAX_MS + 1 },
    { proposer: 'somebody' },
    { keyEpoch: -1 },
    one({ ...namespace, owners: [] }),
    one({ ...namespace, owners: idsOf(NAMESPACE_OWNERS_MAX + 1) }),
    one({ ...namespace, writers: idsOf(NAMESPACE_WRITERS_MAX + 1, 100) }),
    one({ ...namespace, owners: [id, id] }),
    one({ ...namespace, writers: [id] }),
    one({ ...namespace, owners: ['somebody'] }),
    one({ ...namespace, path: '' }),
    one({ op: 'weight', nodeId: id, storageWeight: 1001 }),
    one({ op: 'zone', nodeId: id, zone: ' x' }),
    one({ op: 'zone', nodeId: id, zone: 'x'.repeat(65) }),
    one({ op: 'parameter', name: 'openWrites', value: 2 }),
    one({ op: 'parameter', name: 'moon', value: 1 }),
    one({ op: 'parameter', name: 'snapshotHeights', value: 0 }),
    one({ op: 'quota', nodeId: id }),
    one({ op: 'quota', nodeId: id, ...none, paths: -1 }),
    one({ op: 'protocol', version: 0 }),
    one({ op: 'add', nodeId: 'somebody' }),
    one({ op: 'add', nodeId: id, zone: 'x' }),
    one({ op: 'toString', nodeId: id }),
    one({ op: 7 }),
    one({}),
  ];
  test('allow no more', () => {
    for (const [at, more] of refused.entries()) expect(verdict(more), `${at}`).toBe('refused');
  });

  test('hold for the bytes', () => {
    const tooLarge = expect.toSatisfy((error) => hasCode(error, 'TOO_LARGE')) as Error;
    const wide = { ...namespace, owners: idsOf(64), writers: idsOf(64, 100) };
    const all = Array.from({ length: PROPOSED_CHANGES_MAX }, () => wide as ProposedChange);
    expect(() => make({ changes: all })).toThrow(tooLarge);
    const long = new Uint8Array(PROPOSAL_BYTES_MAX + 200);
    expect(() => readProposal(long, CONTEXT)).toThrow(tooLarge);
    for (const [type, max] of [
      ['approval', APPROVAL_BYTES_MAX],
      ['readiness', READINESS_BYTES_MAX],
    ]) {
      const bytes = signRecord(
        { v: 1, type: String(type), x: new Uint8Array(Number(max)) },
        signer,
      );
      expect(() => readIntent(bytes, CONTEXT)).toThrow(tooLarge);
    }
  });
});

test('nodes of a namespace are written in one order, and read in no other', () => {
  const [a, b] = idsOf(2) as [string, string];
  const change = { op: 'namespace', path: 'a', owners: [b, a], writers: [] } as const;
  const encoded = encodeProposedChange(change, NAMES);
  expect(readProposedChange(encoded, NAMES)).toEqual({ ...change, owners: [a, b] });
  expect(() => readProposedChange({ ...encoded, owners: [b, a] }, NAMES)).toThrow(badEncoding);
});

test('records of another form are refused', () => {
  const { clusterId, keyEpoch, time } = approved.approval;
  const approval = { v: 1, type: 'approval', clusterId, nodeId, keyEpoch, time };
  const readiness = { v: 1, type: 'readiness', clusterId, nodeId, keyEpoch, time };
  const bad = [
    approval,
    { ...approval, proposal: signed.digest },
    { ...approval, proposal: new Uint8Array(31) },
    { ...approval, proposal: new Uint8Array(32), more: 1 },
    { ...approval, proposal: new Uint8Array(32), v: 2 },
    { ...approval, proposal: new Uint8Array(32), nodeId: 'x' },
    readiness,
    { ...readiness, protocol: 0 },
    { ...readiness, protocol: 1.5 },
    { ...readiness, protocol: 1, keyEpoch: -1 },
  ];
  for (const [at, record] of bad.entries()) {
    const bytes = signRecord(record, signer);
    expect(() => readIntent(bytes, CONTEXT), `${at}`).toThrow(badEncoding);
  }
});

test('a mutation is refused, or does not verify', () => {
  for (const good of [signed.bytes, approved.bytes, ready.bytes]) {
    fc.assert(
      fc.property(mutated(good), (bad) => {
        fc.pre(Buffer.compare(bad, good) !== 0);
        onlyAegisErrors(() => {
          const [{ message, signature }] = readIntent(bad, CONTEXT).checks as [never];
          expect(verifyEd25519(signer.publicKey, message, signature)).toBe(false);
        });
      }),
      { numRuns: 300 },
    );
  }
});

test('hostile changes are refused with nothing but an AegisError', () => {
  fc.assert(
    fc.property(fc.anything(), (value) => {
      expect(onlyAegisErrors(() => readProposedChange(value, NAMES))).toBe('refused');
    }),
  );
});

test('the encoding does not change with the program', () => {
  expect([signed.digest, approved.digest, ready.digest]).toEqual([
    'fa75e53924b4bfe0fdb2e227b5d1c6dacd69b55194dcbe16bcdce5b3e0235f0a',
    '22638c64dadae53f7d6144e7d7c35144727e15a1b4c7a9daf70718ca44243f4c',
    '7b6d8af9a918b723aae7f9c1129f85bf21ba1dbb60106fa7f384bd25958db772',
  ]);
});
