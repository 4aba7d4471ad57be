import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { signerOf } from '../../../src/core/crypto/sign.ts';
import { hasCode } from '../../../src/core/errors.ts';
import { createBundle } from '../../../src/core/model/bundle.ts';
import { decode, encode } from '../../../src/core/model/cbor.ts';
import {
  createGenesis,
  GENESIS_BYTES_MAX,
  genesisFromText,
  genesisToText,
  openGenesis,
} from '../../../src/core/model/genesis.ts';
import { createInception } from '../../../src/core/model/identity.ts';
import { mutated, onlyAegisErrors } from '../../helpers/mutation.ts';
import { seedOf, testNode } from '../../helpers/nodes.ts';

const nodes = [1, 2, 3, 4].map((number) => testNode(number));
const make = (bundles: readonly Uint8Array[]): Uint8Array =>
  createGenesis({ name: 'notes', createdAt: 7, bundles });
const bytes = make(nodes.map((node) => node.bundle));

test('a genesis is read as it was made', () => {
  const genesis = openGenesis(bytes);
  expect(genesis).toMatchObject({ name: 'notes', createdAt: 7, replicas: 3 });
  expect(genesis.clusterId).toMatch(/^aegisc1[a-z2-7]{52}$/);
  expect(genesis.custodians.map((member) => member.nodeId)).toEqual(
    nodes.map((node) => node.nodeId).toSorted(),
  );
  expect(genesis.custodians[0]!.addresses[0]).toMatch('/ip4/127.0.0.1/tcp/400');
});

test('agents are kept apart from custodians', () => {
  const agents = [5, 6].map((number) => testNode(number, `node${number}`, 'agent'));
  const genesis = openGenesis(make([...agents, ...nodes].map(({ bundle }) => bundle)));
  const ids = (some: readonly { nodeId: string }[]) => some.map(({ nodeId }) => nodeId);
  expect(ids(genesis.custodians)).toEqual(ids(nodes).toSorted());
  expect(ids(genesis.agents)).toEqual(ids(agents).toSorted());
  expect(genesis.members).toEqual([...genesis.custodians, ...genesis.agents]);
  expect(genesis.agents.map(({ role }) => role)).toEqual(['agent', 'agent']);
  const first = nodes.find(({ nodeId }) => nodeId === genesis.custodians[0]!.nodeId)!;
  const { consensusKey, vrfKey } = first.keys;
  expect(genesis.custodians[0]).toMatchObject({ role: 'custodian', consensusKey, vrfKey });
});

test('a member in the list of another role is refused', () => {
  const agent = testNode(5, 'node5', 'agent').bundle;
  const record = decode(bytes, { maxBytes: GENESIS_BYTES_MAX }) as object;
  const [one, two] = [nodes[0]!.bundle, nodes[1]!.bundle];
  const lists = [
    { custodians: [agent], agents: [] },
    { custodians: [one], agents: [two] },
  ];
  for (const change of lists) {
    expect(() => openGenesis(encode({ ...record, ...change }))).toThrow('another role');
  }
  expect(
    openGenesis(encode({ ...record, custodians: [one], agents: [agent] })).members,
  ).toHaveLength(2);
});

test('a genesis of an older aegis is refused, and told so', () => {
  const old = { type: 'genesis', name: 'notes', createdAt: 7, replicas: 3, custodians: [] };
  for (const v of [1, 2]) {
    expect(() => openGenesis(encode({ v, ...old }))).toThrow('made by an older aegis');
  }
});

test('the order in which bundles were collected does not matter', () => {
  fc.assert(
    fc.property(
      fc.shuffledSubarray(nodes, { minLength: nodes.length }),
      (shuffled) => Buffer.compare(make(shuffled.map((node) => node.bundle)), bytes) === 0,
    ),
    { numRuns: 10 },
  );
});

test('duplicates are refused and named', () => {
  const { signer, inception, keys } = nodes[0]!;
  const rest = { role: 'custodian', addresses: [], storageWeight: 1, createdAt: 9 } as const;
  const again = createBundle({ inception, ...keys, ...rest }, signer);
  const other = signerOf(seedOf(50));
  const cuckoo = createInception(
    {
      nextIdentityDigest: seedOf(1),
      networkKey: signerOf(seedOf(81)).publicKey,
      name: 'cuckoo',
      zone: 'z',
      region: 'r',
      createdAt: 1,
    },
    other,
  );
  const cases = {
    'node id: node1 and node1': again,
    'name: node1 and node1': testNode(9, 'node1').bundle,
    'network key': createBundle({ inception: cuckoo, ...testNode(50).keys, ...rest }, other),
    'consensus key': createBundle(
      { ...rest, inception: testNode(50).inception, ...keys, vrfKey: seedOf(1) },
      other,
    ),
    'VRF key': createBundle(
      { ...rest, inception: testNode(50).inception, ...testNode(50).keys, vrfKey: keys.vrfKey },
      other,
    ),
  };
  for (const [why, bundle] of Object.entries(cases)) {
    expect(() => make([nodes[0]!.bundle, bundle]), why).toThrow(`the same ${why}`);
  }
  expect(() => make([])).toThrow('1 to 256 custodians');
  const agent = testNode(5, 'node5', 'agent').bundle;
  expect(() => make([agent])).toThrow('1 to 256 custodians');
});

test('a genesis out of order, or with a bundle that does not verify, is refused', () => {
  const record = decode(bytes, { maxBytes: GENESIS_BYTES_MAX }) as { custodians: Uint8Array[] };
  const custodians = record.custodians;
  const changed = (change: object): Uint8Array => encode({ ...record, ...change });
  expect(() => openGenesis(changed({ custodians: custodians.toReversed() }))).toThrow('in order');
  const forged = custodians.map((bundle) => Uint8Array.from(bundle));
  forged[0]![forged[0]!.length - 1]! ^= 1;
  expect(() => openGenesis(changed({ custodians: forged }))).toThrow(
    expect.toSatisfy((error) => hasCode(error, 'BAD_SIGNATURE')) as Error,
  );
  for (const change of [{ replicas: 0 }, { replicas: 17 }, { custodians: [] }, { name: 'a\nb' }]) {
    expect(onlyAegisErrors(() => openGenesis(changed(change)))).toBe('refused');
  }
});

test('more custodians than the limit are refused before any signature is checked', () => {
  const record = decode(bytes, { maxBytes: GENESIS_BYTES_MAX }) as object;
  const many = encode({
    ...record,
    custodians: Array.from({ length: 257 }, () => new Uint8Array(1)),
  });
  expect(() => openGenesis(many)).toThrow('more than 256 items');
  const agents = Array.from({ length: 257 }, () => new Uint8Array(1));
  expect(() => openGenesis(encode({ ...record, agents }))).toThrow('more than 256 items');
  expect(() => openGenesis(new Uint8Array(GENESIS_BYTES_MAX + 1))).toThrow(
    expect.toSatisfy((error) => hasCode(error, 'TOO_LARGE')) as Error,
  );
});

test('a mutation is refused, or makes another cluster', () => {
  const { clusterId } = openGenesis(bytes);
  fc.assert(
    fc.property(mutated(bytes), (bad) => {
      fc.pre(Buffer.compare(bad, bytes) !== 0);
      onlyAegisErrors(() => expect(openGenesis(bad).clusterId).not.toBe(clusterId));
    }),
    { numRuns: 500 },
  );
});

test('the text form holds the same bytes', () => {
  expect(genesisFromText(genesisToText(bytes))).toEqual(bytes);
  expect(() => genesisFromText('-----BEGIN AEGIS GENESIS-----')).toThrow('not an aegis genesis');
});
