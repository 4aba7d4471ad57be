import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256 } from '../../../src/core/crypto/hash.ts';
import { hasCode } from '../../../src/core/errors.ts';
import {
  ADDRESS_BYTES_MAX,
  ADDRESSES_MAX,
  BUNDLE_BYTES_MAX,
  BUNDLE_ENTRIES_MAX,
  type Bundle,
  bundleFromText,
  bundleToText,
  createBundle,
  fingerprint,
  openBundle,
  type Role,
} from '../../../src/core/model/bundle.ts';
import { signRecord } from '../../../src/core/model/signed.ts';
import { CERTIFIED_ROLES, SUCCESSION_BYTES_MAX } from '../../../src/core/model/succession.ts';
import { mutated, onlyAegisErrors } from '../../helpers/mutation.ts';
import { testNode } from '../../helpers/nodes.ts';
import { Owner } from '../../helpers/owner.ts';
import { toHex } from '../../helpers/vectors.ts';

const node = testNode(1);
const fields: Bundle = {
  inception: node.inception,
  role: 'custodian',
  ...node.keys,
  addresses: ['/ip4/127.0.0.1/tcp/4001'],
  storageWeight: 100,
  createdAt: 5,
  succession: [],
};

test('a bundle is read as it was made', () => {
  const opened = openBundle(createBundle(fields, node.signer));
  expect(opened.bundle).toEqual(fields);
  expect(opened.nodeId).toBe(node.nodeId);
  expect(opened.inception.name).toBe('node1');
});

test('only the identity key of the inception signs its bundle', () => {
  expect(() => createBundle(fields, testNode(2).signer)).toThrow(
    expect.toSatisfy((error) => hasCode(error, 'BAD_SIGNATURE')) as Error,
  );
});

test('a consensus key needs a proof that its maker holds the secret', () => {
  const { keys } = testNode(2);
  const negative = keys.consensusKey.with(0, keys.consensusKey[0]! ^ 0x20);
  const refused: Partial<Bundle>[] = [
    { possession: keys.possession },
    { consensusKey: keys.consensusKey },
    { consensusKey: negative, possession: keys.possession },
    {
      consensusKey: new Uint8Array(48).with(0, 0xc0),
      possession: new Uint8Array(96).with(0, 0xc0),
    },
    { consensusKey: new Uint8Array(48), possession: new Uint8Array(96) },
  ];
  for (const change of refused) {
    expect(() => createBundle({ ...fields, ...change }, node.signer)).toThrow(
      expect.toSatisfy((error) => hasCode(error, 'BAD_SIGNATURE')) as Error,
    );
  }
  expect(onlyAegisErrors(() => createBundle({ ...fields, ...keys }, node.signer))).toBe('accepted');
});

test('a bundle of an older aegis is refused, and told so', () => {
  const { inception, addresses, storageWeight, createdAt } = fields;
  const record = { v: 1, type: 'bundle', inception, addresses, storageWeight, createdAt };
  for (const v of [1, 2]) {
    const old = signRecord({ ...record, v }, node.signer);
    expect(() => openBundle(old)).toThrow('made by an older aegis');
  }
  const later = { ...record, v: 4 };
  expect(() => openBundle(signRecord(later, node.signer))).toThrow('does not know');
});

test('the limits hold', () => {
  const make = (change: Partial<Bundle>) => () =>
    onlyAegisErrors(() => createBundle({ ...fields, ...change }, node.signer));
  const address = '/ip4/127.0.0.1/tcp/1';
  const long = `/dns4/${'x'.repeat(ADDRESS_BYTES_MAX - 6)}`;
  expect(make({ addresses: [] })()).toBe('accepted');
  expect(make({ addresses: Array(ADDRESSES_MAX).fill(address) as string[] })()).toBe('accepted');
  expect(make({ addresses: [long] })()).toBe('accepted');
  expect(make({ storageWeight: 0 })()).toBe('accepted');
  expect(make({ storageWeight: 1000 })()).toBe('accepted');
  const refused: Partial<Bundle>[] = [
    { addresses: Array(ADDRESSES_MAX + 1).fill(address) as string[] },
    { addresses: [`${long}x`] },
    { addresses: ['127.0.0.1:4001'] },
    { addresses: ['/ip4/127.0.0.1/tcp/1\u001b[0m'] },
    { addresses: ['/'] },
    { storageWeight: 1001 },
    { storageWeight: -1 },
    { storageWeight: 0.5 },
    { createdAt: -1 },
    { role: 'king' as Role },
    { role: '' as Role },
    { consensusKey: node.keys.consensusKey.subarray(1) },
    { possession: new Uint8Array(0) },
    { vrfKey: new Uint8Array(33) },
    { inception: new Uint8Array(10) },
    { inception: new Uint8Array(100_000) },
    { succession: [new Uint8Array(10)] },
    { succession: Array.from({ length: BUNDLE_ENTRIES_MAX + 1 }, () => new Uint8Array(1)) },
    { succession: [new Uint8Array(SUCCESSION_BYTES_MAX + 200)] },
  ];
  for (const [at, change] of refused.entries()) expect(make(change)(), `${at}`).toBe('refused');
  expect(() => openBundle(new Uint8Array(BUNDLE_BYTES_MAX + 200))).toThrow(
    expect.toSatisfy((error) => hasCode(error, 'TOO_LARGE')) as Error,
  );
});

test('a bundle carries the succession, and the key that it ends with signs', () => {
  const owner = new Owner(1);
  for (const role of CERTIFIED_ROLES) owner.rotate([role]);
  const succession = owner.entries.map(({ bytes }) => bytes);
  const opened = openBundle(createBundle({ ...fields, succession }, owner.identity));
  expect(opened.keys).toEqual(owner.state);
  expect(opened.succession).toEqual(owner.entries);
  // The keys beside the inception stay those of the beginning, on which the entries rest.
  expect(opened.bundle.consensusKey).toEqual(node.keys.consensusKey);
  expect(opened.keys.keys.consensusKey).not.toEqual(node.keys.consensusKey);
  expect(() => createBundle({ ...fields, succession }, node.signer)).toThrow(
    expect.toSatisfy((error) => hasCode(error, 'BAD_SIGNATURE')) as Error,
  );
  const shuffled = [succession.toReversed(), succession.slice(1), [...succession, succession[0]!]];
  for (const entries of shuffled) {
    expect(() => createBundle({ ...fields, succession: entries }, owner.identity)).toThrow(
      expect.toSatisfy((error) => hasCode(error, 'BAD_DATA')) as Error,
    );
  }
  const { bytes } = new Owner(2).rotate(['network']);
  expect(() => createBundle({ ...fields, succession: [bytes] }, owner.identity)).toThrow(
    'it is of another node',
  );
});

test('a forged entry, or one without its proof of possession, makes no bundle', () => {
  const owner = new Owner(1);
  const good = owner.prepare(['consensus']).succession;
  const sign = (more: object, signer = owner.successor): Uint8Array =>
    signRecord({ v: 2, type: 'succession', ...good, ...more }, signer);
  const keys = { ...good.keys, possession: testNode(2).keys.possession };
  for (const entry of [sign({}, owner.identity), sign({ keys })]) {
    expect(() => createBundle({ ...fields, succession: [entry] }, owner.identity)).toThrow(
      expect.toSatisfy((error) => hasCode(error, 'BAD_SIGNATURE')) as Error,
    );
  }
  const entries = [sign({})];
  expect(() => createBundle({ ...fields, succession: entries }, owner.identity)).not.toThrow();
});

test('a bundle may name the recovery that its node agrees to', () => {
  const recovery = { clusterId: 'aegisc1x', height: 7, stateRoot: new Uint8Array(32) };
  const make = (more: object) => () =>
    openBundle(createBundle({ ...fields, recovery: { ...recovery, ...more } }, node.signer));
  expect(make({})().bundle.recovery).toEqual(recovery);
  for (const more of [{ height: -1 }, { stateRoot: new Uint8Array(31) }, { extra: 1 }]) {
    expect(onlyAegisErrors(make(more))).toBe('refused');
  }
});

test('the encoding does not change with the program', () => {
  expect(toHex(sha256(createBundle(fields, node.signer)))).toBe(
    '341ea5ac018a89087a575f4e0de5e116fa1b0d663c1c48e341f562521d073571',
  );
});

test('every mutation is refused, with nothing but an AegisError', () => {
  fc.assert(
    fc.property(mutated(node.bundle), (bad) => {
      fc.pre(Buffer.compare(bad, node.bundle) !== 0);
      expect(onlyAegisErrors(() => openBundle(bad))).toBe('refused');
    }),
    { numRuns: 500 },
  );
});

test('the text form survives what mails do to it', () => {
  const text = bundleToText(node.bundle);
  expect(text.split('\n').every((line) => line.length <= 64)).toBe(true);
  const mailed = [
    text,
    text.replaceAll('\n', '\r\n'),
    `\n\n  ${text}\n`,
    text.replaceAll('\n', '\n  '),
  ];
  for (const variant of mailed) expect(bundleFromText(variant)).toEqual(node.bundle);
});

test('other texts are refused with nothing but an AegisError', () => {
  const text = bundleToText(node.bundle);
  fc.assert(
    fc.property(mutated(Buffer.from(text)), (bad) => {
      const changed = Buffer.from(bad).toString('latin1');
      const verdict = onlyAegisErrors(() => {
        const bytes = openBundle(bundleFromText(changed)).bytes;
        expect(bytes).toEqual(node.bundle);
      });
      expect(['accepted', 'refused']).toContain(verdict);
    }),
    { numRuns: 500 },
  );
  expect(() => bundleFromText('x'.repeat(200_000))).toThrow('too long');
  expect(() => bundleFromText('')).toThrow('not an aegis bundle');
  expect(() => bundleFromText(text.replace('BUNDLE', 'GENESIS'))).toThrow('not an aegis bundle');
});

test('a fingerprint is eight groups of four digits and differs from node to node', () => {
  const marks = [1, 2, 3].map((number) => fingerprint(testNode(number).nodeId));
  for (const mark of marks) expect(mark).toMatch(/^([0-9a-f]{4} ){7}[0-9a-f]{4}$/);
  expect(new Set(marks).size).toBe(3);
});
