import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { provePossession } from '../../../src/core/crypto/bls.ts';
import { sha256 } from '../../../src/core/crypto/hash.ts';
import { publicKeyOf, signerOf, verifyEd25519 } from '../../../src/core/crypto/sign.ts';
import { hasCode } from '../../../src/core/errors.ts';
import { decode } from '../../../src/core/model/cbor.ts';
import { openSigned, signRecord } from '../../../src/core/model/signed.ts';
import {
  CERTIFIED_ROLES,
  createSuccession,
  follow,
  followAll,
  GRACE_MAX_MS,
  openSuccession,
  readSuccession,
  SUCCESSION_BYTES_MAX,
  type Succession,
  successionFault,
} from '../../../src/core/model/succession.ts';
import type { Signer } from '../../../src/core/ports.ts';
import { mutated, onlyAegisErrors } from '../../helpers/mutation.ts';
import { testNode } from '../../helpers/nodes.ts';
import { freshKeys, Owner, seedFor } from '../../helpers/owner.ts';
import { toHex } from '../../helpers/vectors.ts';

const DAY_MS = 24 * 3600 * 1000;

/** An owner whose keys have all changed once, by one entry a role. */
function rotated(): Owner {
  const owner = new Owner(1);
  for (const role of CERTIFIED_ROLES) owner.rotate([role]);
  return owner;
}

/** Signs whatever fields: with a signer of the caller's choice. */
const sign = (succession: object, signer: Signer): Uint8Array =>
  signRecord({ v: 2, type: 'succession', ...succession }, signer);

test('an entry is read as it was made, and says whose signature it needs', () => {
  const owner = rotated();
  for (const entry of owner.entries) {
    const { signed, check } = readSuccession(entry.bytes);
    expect(signed).toEqual(entry);
    expect(entry.digest).toBe(toHex(sha256(entry.bytes)));
    const { nodeId, keyEpoch, revealed } = entry.succession;
    expect(check).toMatchObject({ author: nodeId, keyEpoch, key: revealed });
    expect(verifyEd25519(revealed, check.message, check.signature)).toBe(true);
    expect(Buffer.from(check.message).subarray(0, 19).toString()).toBe('aegis/succession/1\0');
    expect(openSuccession(entry.bytes)).toEqual(entry);
  }
});

test('the state after the entries has the keys that they state', () => {
  const owner = rotated();
  const state = followAll(owner.origin, owner.entries);
  expect(state).toEqual(owner.state);
  expect(state).toMatchObject({ nodeId: owner.nodeId, number: 4, keyEpoch: 1 });
  const before = owner.origin.keys;
  for (const name of ['identityKey', 'networkKey', 'consensusKey', 'vrfKey', 'onionKey'] as const) {
    expect(state.keys[name], name).not.toEqual(before[name]);
  }
  expect(followAll(owner.origin, [])).toBe(owner.origin);
});

test('the beginning has the keys of the inception and a year or two until they expire', () => {
  const { origin, node } = new Owner(1);
  expect(origin).toMatchObject({ number: 0, keyEpoch: 0, nodeId: node.nodeId });
  expect(origin.digest).toBe(toHex(sha256(node.inception)));
  expect(origin.last).toBeUndefined();
  const from = origin.changedAt;
  expect(origin.expiresAt).toEqual({
    identity: from + 730 * DAY_MS,
    network: from + 365 * DAY_MS,
    consensus: from + 365 * DAY_MS,
    onion: from + 730 * DAY_MS,
  });
});

test('what is not given has a default', () => {
  const owner = new Owner(1);
  const at = owner.state.changedAt + 5;
  const network = owner.rotate(['network'], { createdAt: at }).succession;
  expect(network).toMatchObject({ graceMs: DAY_MS, reason: 'routine', createdAt: at });
  expect(network.expiresAt).toEqual({ ...owner.origin.expiresAt, network: at + 365 * DAY_MS });
  const stolen = owner.rotate(['network', 'onion'], { reason: 'compromised' }).succession;
  expect(stolen).toMatchObject({ graceMs: 0, reason: 'compromised' });
  expect(stolen.expiresAt.onion).toBe(stolen.createdAt + 730 * DAY_MS);
  // O18
  expect(owner.rotate(['onion']).succession.graceMs).toBe(DAY_MS);
  expect(owner.rotate(['consensus']).succession.graceMs).toBe(0);
  const before = owner.state.keys;
  const longer = owner.state.expiresAt.network + 1;
  const extended = owner.rotate([], { expiresAt: { network: longer } }).succession;
  expect(extended).toMatchObject({ replaced: [], graceMs: 0, keys: before });
  expect(extended.expiresAt.network).toBe(longer);
});

test('an entry made by a clock that went back is as late as the one before', () => {
  const owner = new Owner(1);
  owner.rotate(['network']);
  const before = owner.state.changedAt;
  expect(owner.rotate(['network'], { createdAt: 0 }).succession.createdAt).toBe(before);
});

test('who does not hold the successor makes no entry', () => {
  const { state, identity } = new Owner(1);
  const keys = freshKeys(['network'], 'x');
  const make = (signer: Signer) => () =>
    createSuccession(state, { keys, replaced: ['network'], createdAt: 1 }, signer);
  for (const signer of [identity, signerOf(seedFor('anybody'))]) {
    expect(make(signer)).toThrow('it is not signed by the successor');
    expect(make(signer)).toThrow(expect.toSatisfy((error) => hasCode(error, 'BAD_DATA')) as Error);
  }
});

/** What an owner could sign who breaks one rule, and how it is named. */
const faults: Record<string, (owner: Owner) => Partial<Record<keyof Succession, unknown>>> = {
  // S1
  'it is of another node': () => ({ nodeId: testNode(2).nodeId }),
  'its number is not the next one': ({ state }) => ({ number: state.number + 2 }),
  'it follows another entry': () => ({ previous: seedFor('another') }),
  // S3
  'its key epoch changed without the identity key': () => ({ keyEpoch: 1 }),
  'its commitment changed without the identity key': ({ state }) => ({
    keys: { ...state.keys, ...freshKeys(['network'], 'x'), nextIdentityDigest: seedFor('x') },
  }),
  // S4
  'its identity key changed without being named': ({ state, successor }) => ({
    keys: {
      ...state.keys,
      ...freshKeys(['network'], 'x'),
      identityKey: successor.publicKey,
    },
  }),
  'its network key is not new': ({ state }) => ({ keys: state.keys }),
  'its consensus key changed without being named': ({ state }) => ({
    keys: { ...state.keys, ...freshKeys(['network', 'consensus'], 'x') },
  }),
  'its onion key changed without being named': ({ state }) => ({
    keys: { ...state.keys, ...freshKeys(['network', 'onion'], 'x') },
  }),
  'its consensus key expires earlier than before': ({ state }) => ({
    expiresAt: { ...state.expiresAt, consensus: state.expiresAt.consensus - 1 },
  }),
  // S7
  'it is earlier than the entry before': ({ state }) => ({ createdAt: state.changedAt - 1 }),
};

test.each(Object.entries(faults))('an entry is refused since %s', (why, change) => {
  const owner = new Owner(1);
  const good = owner.prepare(['network']).succession;
  expect(successionFault(owner.state, good)).toBeUndefined();
  const entry = openSuccession(sign({ ...good, ...change(owner) }, owner.successor));
  expect(successionFault(owner.state, entry.succession)).toBe(why);
  expect(() => follow(owner.state, entry)).toThrow(why);
});

test('a new identity key is the successor, in the next key epoch, with another successor', () => {
  const owner = new Owner(1);
  const good = owner.prepare(['identity']).succession;
  const why = (change: object): string | undefined => {
    const entry = openSuccession(sign({ ...good, ...change }, owner.successor));
    return successionFault(owner.state, entry.succession);
  };
  expect(why({})).toBeUndefined();
  const { keys } = good;
  const other = publicKeyOf(seedFor('other'));
  expect(why({ keys: { ...keys, identityKey: other } })).toBe(
    'the new identity key is not the successor',
  );
  expect(why({ keyEpoch: 0 })).toBe('its key epoch is not the next one');
  // The key that is on the machine from now on must not be its own successor.
  const { nextIdentityDigest } = owner.state.keys;
  expect(why({ keys: { ...keys, nextIdentityDigest } })).toBe('it commits to no other successor');
});

test('consensus and VRF key change together, and the first proves its possession', () => {
  const owner = new Owner(1);
  const good = owner.prepare(['consensus']).succession;
  const why = (keys: object): string | undefined => {
    const change = { keys: { ...good.keys, ...keys } };
    const entry = openSuccession(sign({ ...good, ...change }, owner.successor));
    return successionFault(owner.state, entry.succession);
  };
  expect(why({})).toBeUndefined();
  const { consensusKey, possession, vrfKey } = owner.state.keys;
  expect(why({ vrfKey })).toBe('its consensus key is not new');
  expect(why({ consensusKey, possession })).toBe('its consensus key is not new');
  const foreign = provePossession(testNode(2).consensusSecret);
  expect(why({ possession: foreign })).toBe('it does not prove that its consensus key is its own');
  // Another node's key comes with its proof: S6, decided when it is executed.
  expect(why(testNode(2).keys)).toBeUndefined();
});

/** Signed by the right key, but in no form of an entry. */
const malformed: Record<string, Record<string, unknown>> = {
  'an older version': { v: 1 },
  'a later version': { v: 3 },
  'another type': { type: 'bundle' },
  'no node id': { nodeId: 'aegis1' },
  'the number of the inception': { number: 0 },
  'half a number': { number: 1.5 },
  'a short digest': { previous: new Uint8Array(31) },
  'a negative key epoch': { keyEpoch: -1 },
  'a short key': { revealed: new Uint8Array(31) },
  'no keys': { keys: null },
  'a list of keys': { keys: [] },
  'an unknown role': { replaced: ['session'] },
  'a role twice': { replaced: ['network', 'network'] },
  'roles out of order': { replaced: ['onion', 'network'] },
  'more roles than there are': { replaced: Array(5).fill('network') },
  'a longer grace than the limit': { graceMs: GRACE_MAX_MS + 1 },
  'a negative grace': { graceMs: -1 },
  'a grace of a compromised key': { reason: 'compromised', graceMs: 1 },
  'a grace of no key': { replaced: [], graceMs: 1 },
  'a grace of a consensus key': { replaced: ['consensus'], graceMs: 1 },
  'an unknown reason': { reason: 'mood' },
  'sealed versions without a new identity key': { sealed: 1 },
  'an identity key without sealed versions': { replaced: ['identity', 'network'] },
  'a time before all': { createdAt: -1 },
  'an unknown field': { extra: 1 },
  'no expiry of the onion key': { expiresAt: { identity: 1, network: 1, consensus: 1 } },
};

test.each(Object.entries(malformed))('an entry with %s is refused', (_, change) => {
  const owner = new Owner(1);
  const good = owner.prepare(['network'], { graceMs: GRACE_MAX_MS }).succession;
  const read = (more: object) => () => openSuccession(sign({ ...good, ...more }, owner.successor));
  expect(read({})).not.toThrow();
  expect(read(change)).toThrow(
    expect.toSatisfy((error) => hasCode(error, 'BAD_ENCODING')) as Error,
  );
});

test.each([
  'identityKey',
  'nextIdentityDigest',
  'networkKey',
  'consensusKey',
  'possession',
  'vrfKey',
  'onionKey',
] as const)('the key set needs its %s in full length', (name) => {
  const owner = new Owner(1);
  const good = owner.prepare(['network']).succession;
  const { [name]: key, ...rest } = good.keys;
  for (const keys of [rest, { ...rest, [name]: key.subarray(1) }, { ...good.keys, more: key }]) {
    expect(onlyAegisErrors(() => openSuccession(sign({ ...good, keys }, owner.successor)))).toBe(
      'refused',
    );
  }
});

test('a longer entry than the limit is TOO_LARGE', () => {
  expect(() => openSuccession(new Uint8Array(SUCCESSION_BYTES_MAX + 200))).toThrow(
    expect.toSatisfy((error) => hasCode(error, 'TOO_LARGE')) as Error,
  );
  const owner = new Owner(1);
  const entry = owner.prepare([...CERTIFIED_ROLES]);
  // All roles in one entry: well below.
  expect(entry.bytes.length).toBeLessThan(SUCCESSION_BYTES_MAX / 2);
  const long = sign(
    { ...entry.succession, reason: 'x'.repeat(SUCCESSION_BYTES_MAX) },
    owner.successor,
  );
  expect(() => openSuccession(long)).toThrow(
    expect.toSatisfy((error) => hasCode(error, 'TOO_LARGE')) as Error,
  );
});

test('only the revealed key signs, and for no other type', () => {
  const owner = new Owner(1);
  const { succession, bytes } = owner.prepare(['network']);
  const { payload } = openSigned(bytes, { maxBytes: SUCCESSION_BYTES_MAX });
  const value = decode(payload, { maxBytes: SUCCESSION_BYTES_MAX }) as object;
  expect(bytes).toEqual(sign(succession, owner.successor));
  const other = { ...value, type: 'bundle', v: 1 };
  const { signature } = openSigned(signRecord(other, owner.successor), { maxBytes: 4096 });
  const moved = Buffer.from(bytes);
  moved.set(signature, moved.indexOf(Buffer.from(openSigned(bytes, { maxBytes: 4096 }).signature)));
  for (const forged of [sign(succession, owner.identity), new Uint8Array(moved)]) {
    expect(() => openSuccession(forged)).toThrow(
      expect.toSatisfy((error) => hasCode(error, 'BAD_SIGNATURE')) as Error,
    );
  }
});

test('every mutation is refused, with nothing but an AegisError', () => {
  const { bytes } = new Owner(1).prepare([...CERTIFIED_ROLES]);
  fc.assert(
    fc.property(mutated(bytes), (bad) => {
      fc.pre(Buffer.compare(bad, bytes) !== 0);
      expect(onlyAegisErrors(() => openSuccession(bad))).toBe('refused');
    }),
    { numRuns: 1000 },
  );
});

test('hostile bytes are refused with nothing but an AegisError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(onlyAegisErrors(() => readSuccession(bytes))).toBe('refused');
    }),
  );
});

test('the encoding does not change with the program', () => {
  const owner = rotated();
  expect(owner.entries.map(({ digest }) => digest)).toEqual([
    '6b8437aeb7d220d2931df1befc185222f60a1c8113086116ae482819cff2023c',
    '5beca885bba11691543f8bdcab239abecc4ef83032f0c262c8798c97249d7dee',
    '2fb64411839e5c53706cd62a4fa1e134c40a14678f61b2f1db73593a616a8549',
    'ba287a2a2019e0b9160082ec15026f41bbb047e3e42b01b622d235013c39a9fc',
  ]);
});
