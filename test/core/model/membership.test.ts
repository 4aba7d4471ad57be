import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { verifyEd25519 } from '../../../src/core/crypto/sign.ts';
import { hasCode } from '../../../src/core/errors.ts';
import { BUNDLE_ENTRIES_MAX, type Bundle, createBundle } from '../../../src/core/model/bundle.ts';
import { createGenesis, openGenesis } from '../../../src/core/model/genesis.ts';
import { INTENT_BYTES_MAX } from '../../../src/core/model/intent.ts';
import {
  ADMISSION_BYTES_MAX,
  admissionFault,
  createAdmission,
  createDeparture,
  createInvitation,
  DEPARTURE_BYTES_MAX,
  type Departure,
  INVITATION_BYTES_MAX,
  type Invitation,
  NO_ADMISSION,
  readAdmission,
  readDeparture,
  readInvitation,
} from '../../../src/core/model/membership.ts';
import { type SignatureCheck, signRecord } from '../../../src/core/model/signed.ts';
import { CERTIFIED_ROLES } from '../../../src/core/model/succession.ts';
import type { Signer } from '../../../src/core/ports.ts';
import { mutated, onlyAegisErrors } from '../../helpers/mutation.ts';
import { testNode } from '../../helpers/nodes.ts';
import { Owner } from '../../helpers/owner.ts';

const CLUSTER = openGenesis(
  createGenesis({ name: 'one', createdAt: 1, bundles: [testNode(1).bundle] }),
).clusterId;
const custodian = testNode(1);
const NOW = 1_800_000_000_000;

const invitation: Invitation = {
  clusterId: CLUSTER,
  id: '00112233445566778899aabbccddeeff',
  inviter: custodian.nodeId,
  keyEpoch: 0,
  nodeId: testNode(5).nodeId,
  createdAt: NOW,
  expiresAt: NOW + 86_400_000,
};
const invited = createInvitation(invitation, custodian.signer);

/** The bundle of an agent with the entries of its owner. */
const bundleOf = (owner: Owner, more: Partial<Bundle> = {}): Uint8Array =>
  createBundle(
    {
      inception: owner.node.inception,
      role: 'agent',
      ...owner.node.keys,
      addresses: ['/ip4/127.0.0.1/tcp/4005'],
      storageWeight: 0,
      createdAt: NOW,
      succession: owner.entries.map(({ bytes }) => bytes),
      ...more,
    },
    owner.identity,
  );

function admit(owner: Owner, more: object = {}) {
  const { nodeId } = owner;
  const parts = { bundle: bundleOf(owner), invitation: invited.bytes, ...more };
  return createAdmission({ clusterId: CLUSTER, nodeId, time: NOW + 5, ...parts }, owner.identity);
}

const holds = ({ key, message, signature }: SignatureCheck, fallback?: Uint8Array): boolean =>
  verifyEd25519(key ?? fallback ?? new Uint8Array(), message, signature);

const badEncoding = expect.toSatisfy((error) => hasCode(error, 'BAD_ENCODING')) as Error;
const tooLarge = expect.toSatisfy((error) => hasCode(error, 'TOO_LARGE')) as Error;

test('an invitation is read as it was made, and is signed by the inviter', () => {
  const { signed, check } = readInvitation(invited.bytes, CLUSTER);
  expect(signed).toEqual(invited);
  expect(signed.invitation).toEqual(invitation);
  expect(check).toMatchObject({ author: custodian.nodeId, keyEpoch: 0 });
  expect(check.key).toBeUndefined();
  expect(holds(check, custodian.signer.publicKey)).toBe(true);
  expect(holds(check, testNode(2).signer.publicKey)).toBe(false);
  expect(readInvitation(invited.bytes).signed).toEqual(invited);
  expect(invited.bytes.length).toBeLessThan(INVITATION_BYTES_MAX / 2);
});

test.each<Partial<Record<keyof Invitation | 'v' | 'extra', unknown>>>([
  { v: 2 },
  { id: new Uint8Array(15) },
  { id: 'text' },
  { inviter: 'aegis1' },
  { nodeId: 'nobody' },
  { keyEpoch: -1 },
  { expiresAt: NOW },
  { expiresAt: -1 },
  { clusterId: 'c'.repeat(65) },
  { extra: 1 },
])('an invitation with %o is refused', (change) => {
  const id = new Uint8Array(Buffer.from(invitation.id, 'hex'));
  const sign = (more: object): Uint8Array =>
    signRecord({ v: 1, type: 'invitation', ...invitation, id, ...more }, custodian.signer);
  expect(() => readInvitation(sign({}), CLUSTER)).not.toThrow();
  expect(() => readInvitation(sign(change), CLUSTER)).toThrow(badEncoding);
});

test('an admission is read with every signature that it rests on', () => {
  const owner = new Owner(5, { role: 'agent' });
  for (const role of CERTIFIED_ROLES) owner.rotate([role]);
  const made = admit(owner);
  const { signed, checks } = readAdmission(made.bytes, CLUSTER);
  expect(signed).toEqual(made);
  expect(signed.bundle.keys).toEqual(owner.state);
  expect(signed.invitation.invitation).toEqual(invitation);
  expect(admissionFault(signed)).toBeUndefined();
  // Inception, four entries, bundle, admission; the invitation's key is looked up.
  const known = checks.map(({ key }) => key !== undefined);
  expect(known).toEqual([true, true, true, true, true, true, true, false]);
  for (const check of checks) expect(holds(check, custodian.signer.publicKey)).toBe(true);
  const last = checks.at(-1)!;
  expect(last).toMatchObject({ author: custodian.nodeId, keyEpoch: 0 });
  // The joiner's own key in force signs, not the one of before.
  expect(checks.at(-2)!.key).toEqual(owner.identity.publicKey);
  expect(checks.at(-2)!.key).not.toEqual(owner.node.signer.publicKey);
});

test('an admission of parts that do not belong together is refused', () => {
  const owner = new Owner(5, { role: 'agent' });
  const other = new Owner(6, { role: 'agent' });
  const elsewhere = createInvitation({ ...invitation, clusterId: 'aegisc1x' }, custodian.signer);
  const recovery = { clusterId: CLUSTER, height: 1, stateRoot: new Uint8Array(32) };
  const cases: Record<string, () => unknown> = {
    'the bundle of another node': () => admit(owner, { bundle: bundleOf(other) }),
    'the invitation of another node': () => admit(other),
    'not that of an agent': () => admit(owner, { bundle: bundleOf(owner, { role: 'custodian' }) }),
    'for a recovery': () => admit(owner, { bundle: bundleOf(owner, { recovery }) }),
  };
  for (const [why, make] of Object.entries(cases)) {
    expect(make, why).toThrow(why);
    expect(make, why).toThrow(badEncoding);
  }
  const strange = [
    () => admit(owner, { invitation: elsewhere.bytes }),
    () => readAdmission(admit(owner).bytes, 'aegisc1x'),
    () => readInvitation(elsewhere.bytes, CLUSTER),
  ];
  for (const read of strange) {
    expect(read).toThrow(expect.toSatisfy((error) => hasCode(error, 'OTHER_CLUSTER')) as Error);
  }
});

test('an admission whose succession has a gap is refused before any signature is checked', () => {
  const owner = new Owner(5, { role: 'agent' });
  const whole = admit(owner).bytes;
  expect(onlyAegisErrors(() => readAdmission(whole, CLUSTER))).toBe('accepted');
  owner.rotate(['network']);
  owner.rotate(['network']);
  const record = { ...owner.node.keys, inception: owner.node.inception, role: 'agent' };
  const rest = { addresses: [], storageWeight: 0, createdAt: NOW };
  const gap = [owner.entries[1]!.bytes];
  const fields = { v: 3, type: 'bundle', ...record, ...rest, succession: gap };
  const bundle = signRecord(fields, owner.identity);
  expect(() => admit(owner, { bundle })).toThrow('its number is not the next one');
});

test('a proof of possession that does not hold is found after the signatures', () => {
  const owner = new Owner(5, { role: 'agent' });
  const record = { ...owner.node.keys, inception: owner.node.inception, role: 'agent' };
  const rest = { addresses: [], storageWeight: 0, createdAt: NOW, succession: [] };
  const foreign = { possession: testNode(6).keys.possession };
  const fields = { v: 3, type: 'bundle', ...record, ...rest, ...foreign };
  const made = admit(owner, { bundle: signRecord(fields, owner.identity) });
  expect(admissionFault(made)).toBe('it does not prove that its consensus key is its own');
});

test('the longest succession still fits an admission, and an admission a block', () => {
  const owner = new Owner(5, { role: 'agent' });
  for (let count = 1; count <= BUNDLE_ENTRIES_MAX; count += 1) {
    const isIdentity = count % 2 === 0;
    owner.rotate(isIdentity ? ['identity', 'network'] : ['onion', 'network']);
  }
  const { bytes } = admit(owner);
  expect(bytes.length).toBeLessThan(ADMISSION_BYTES_MAX);
  expect(ADMISSION_BYTES_MAX).toBeLessThanOrEqual(INTENT_BYTES_MAX);
  owner.rotate(['network']);
  expect(() => bundleOf(owner)).toThrow('more than 64 items');
});

const departure: Departure = {
  clusterId: CLUSTER,
  nodeId: testNode(5).nodeId,
  keyEpoch: 0,
  admission: 'ab'.repeat(32),
  time: NOW,
};

test('a departure is read as it was made, and is signed by who goes', () => {
  const made = createDeparture(departure, testNode(5).signer);
  const { signed, check } = readDeparture(made.bytes, CLUSTER);
  expect(signed).toEqual(made);
  expect(signed.departure).toEqual(departure);
  expect(check).toMatchObject({ author: departure.nodeId, keyEpoch: 0 });
  expect(holds(check, testNode(5).signer.publicKey)).toBe(true);
  const ofGenesis = createDeparture({ ...departure, admission: NO_ADMISSION }, testNode(5).signer);
  expect(ofGenesis.departure.admission).toBe(NO_ADMISSION);
  expect(() => readDeparture(made.bytes, 'aegisc1x')).toThrow('for another cluster');
});

test.each([
  { v: 2 },
  { nodeId: 'x' },
  { keyEpoch: 0.5 },
  { admission: new Uint8Array(31) },
  { time: -1 },
  { extra: 1 },
])('a departure with %o is refused', (change) => {
  const admission = new Uint8Array(32);
  const sign = (more: object): Uint8Array =>
    signRecord({ v: 1, type: 'departure', ...departure, admission, ...more }, testNode(5).signer);
  expect(() => readDeparture(sign({}), CLUSTER)).not.toThrow();
  expect(() => readDeparture(sign(change), CLUSTER)).toThrow(badEncoding);
});

test('longer ones than the limits are TOO_LARGE', () => {
  const long = (bytes: number): Uint8Array => new Uint8Array(bytes + 200);
  expect(() => readInvitation(long(INVITATION_BYTES_MAX), CLUSTER)).toThrow(tooLarge);
  expect(() => readAdmission(long(ADMISSION_BYTES_MAX), CLUSTER)).toThrow(tooLarge);
  expect(() => readDeparture(long(DEPARTURE_BYTES_MAX), CLUSTER)).toThrow(tooLarge);
});

const signers: Readonly<Record<string, Signer>> = {
  [custodian.nodeId]: custodian.signer,
  [testNode(5).nodeId]: testNode(5).signer,
};

test('a mutation is refused, or one of its signatures does not hold', () => {
  const admission = admit(new Owner(5, { role: 'agent' })).bytes;
  const left = createDeparture(departure, testNode(5).signer).bytes;
  const cases: [Uint8Array, (bytes: Uint8Array) => readonly SignatureCheck[]][] = [
    [invited.bytes, (bytes) => [readInvitation(bytes, CLUSTER).check]],
    [admission, (bytes) => readAdmission(bytes, CLUSTER).checks],
    [left, (bytes) => [readDeparture(bytes, CLUSTER).check]],
  ];
  for (const [good, read] of cases) {
    fc.assert(
      fc.property(fc.oneof(mutated(good), fc.uint8Array({ maxLength: 300 })), (bad) => {
        fc.pre(Buffer.compare(bad, good) !== 0);
        onlyAegisErrors(() => {
          const verdicts = read(bad).map((check) => holds(check, signers[check.author]?.publicKey));
          expect(verdicts).toContain(false);
        });
      }),
      { numRuns: 700 },
    );
  }
});

test('the encodings do not change with the program', () => {
  expect(invited.digest).toBe('4a37abb0c21ee0fda311f92f19e557cd002ad6b9e3acc844fbe2a285cca2e069');
  expect(admit(new Owner(5, { role: 'agent' })).digest).toBe(
    '0fabcfd4890aaa33b44d5530e8607216efd38c2e8708142e1aab9f925d96b71c',
  );
  expect(createDeparture(departure, testNode(5).signer).digest).toBe(
    'f154c24263cc8c0bc8c1d3621f7510bbdbe001fd4577c099a58a87a836d483fd',
  );
});
