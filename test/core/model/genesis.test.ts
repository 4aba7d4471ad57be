import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { signerOf } from '../../../src/core/crypto/sign.ts';
import { hasCode } from '../../../src/core/errors.ts';
import { type Bundle, createBundle } from '../../../src/core/model/bundle.ts';
import { decode, encode } from '../../../src/core/model/cbor.ts';
import {
  createGenesis,
  GENESIS_BYTES_MAX,
  genesisFromText,
  genesisToText,
  openGenesis,
} from '../../../src/core/model/genesis.ts';
import { createInception } from '../../../src/core/model/identity.ts';
import { nameKeyOf } from '../../../src/core/model/names.ts';
import { PROTOCOL } from '../../../src/core/model/protocol.ts';
import { CERTIFIED_ROLES } from '../../../src/core/model/succession.ts';
import { mutated, onlyAegisErrors } from '../../helpers/mutation.ts';
import { seedOf, testNode } from '../../helpers/nodes.ts';
import { Owner } from '../../helpers/owner.ts';

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

test('the list of custodians is that of the bundles', () => {
  const agent = testNode(5, 'node5', 'agent');
  const made = make([...nodes, agent].map(({ bundle }) => bundle));
  const record = decode(made, { maxBytes: GENESIS_BYTES_MAX }) as {
    readonly custodians: readonly [string, Uint8Array][];
  };
  const { custodians } = record;
  const pairs = openGenesis(made).custodians.map((one) => [one.nodeId, one.consensusKey]);
  expect(custodians).toEqual(pairs);
  const [first, ...rest] = custodians as [[string, Uint8Array], ...[string, Uint8Array][]];
  const more = [...custodians, [agent.nodeId, agent.keys.consensusKey] as const];
  const lists: readonly unknown[][] = [
    rest,
    more.toSorted(([a], [b]) => (a < b ? -1 : 1)),
    [[first[0], agent.keys.consensusKey], ...rest],
    [[testNode(6).nodeId, first[1]], ...rest].toSorted(([a], [b]) => (a! < b! ? -1 : 1)),
  ];
  for (const [at, list] of lists.entries()) {
    const changed = encode({ ...record, custodians: list });
    expect(() => openGenesis(changed), `${at}`).toThrow('other custodians than its bundles');
  }
});

test('the key of names follows from the bytes, the protocol is that of this program', () => {
  const genesis = openGenesis(bytes);
  expect(genesis.names.key).toEqual(nameKeyOf(bytes));
  expect(genesis.protocol).toBe(PROTOCOL.max);
  const bundles = nodes.map(({ bundle }) => bundle);
  const first = createGenesis({ name: 'notes', createdAt: 7, bundles, protocol: 1 });
  expect(openGenesis(first).protocol).toBe(1);
  expect(openGenesis(first).names.key).not.toEqual(genesis.names.key);
});

test('a genesis of an older aegis is refused, and told so', () => {
  const old = { type: 'genesis', name: 'notes', createdAt: 7, replicas: 3, custodians: [] };
  for (const v of [1, 2, 3]) {
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
      onionKey: signerOf(seedOf(82)).publicKey,
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

/** The bundle of an owner with all entries so far. */
const bundleOf = (owner: Owner, more: Partial<Bundle> = {}): Uint8Array =>
  createBundle(
    {
      inception: owner.node.inception,
      role: 'custodian',
      ...owner.node.keys,
      addresses: [],
      storageWeight: 1,
      createdAt: 9,
      succession: owner.entries.map(({ bytes: entry }) => entry),
      ...more,
    },
    owner.identity,
  );

test('members have the keys that their successions end with', () => {
  const owner = new Owner(1);
  for (const role of CERTIFIED_ROLES) owner.rotate([role]);
  const genesis = openGenesis(make([bundleOf(owner), nodes[1]!.bundle]));
  const member = genesis.members.find(({ nodeId }) => nodeId === owner.nodeId)!;
  const { identityKey, networkKey, consensusKey, vrfKey } = owner.state.keys;
  expect(member).toMatchObject({ identityKey, networkKey, consensusKey, vrfKey });
  expect(member.keys).toEqual(owner.state);
  expect(member.origin).toEqual(owner.origin);
  expect(member.succession).toEqual(owner.entries);
  expect(member.inceptionBytes).toEqual(owner.node.inception);
  const other = genesis.members.find(({ nodeId }) => nodeId === nodes[1]!.nodeId)!;
  expect(other.keys).toMatchObject({ number: 0, keyEpoch: 0 });
});

test("a key that one member has, or has had, is no other member's", () => {
  const owner = new Owner(1);
  const before = owner.state.keys;
  owner.rotate(['consensus']);
  const thief = testNode(50);
  const { inception } = thief;
  const rest = { role: 'custodian', addresses: [], storageWeight: 1, createdAt: 9 } as const;
  for (const { consensusKey, possession } of [before, owner.state.keys]) {
    const keys = { ...thief.keys, consensusKey, possession };
    const stolen = createBundle({ inception, ...keys, ...rest }, thief.signer);
    expect(() => make([bundleOf(owner), stolen])).toThrow('the same consensus key');
  }
});

describe('a recovery genesis', () => {
  const recovery = {
    clusterId: openGenesis(bytes).clusterId,
    height: 12,
    stateRoot: new Uint8Array(32).fill(7),
  };
  const names = new Uint8Array(32).fill(3);
  const goOn = (bundles: readonly Uint8Array[]): Uint8Array =>
    createGenesis({ name: 'notes', createdAt: 7, bundles, names });
  const owners = [1, 2].map((number) => new Owner(number));
  const agreed = owners.map((owner) => bundleOf(owner, { recovery }));
  const agent = testNode(5, 'node5', 'agent').bundle;

  test('names the cluster, height and state root to which all custodians agree', () => {
    const genesis = openGenesis(goOn([...agreed, agent]));
    expect(genesis.origin).toEqual({ ...recovery, names });
    expect(genesis.clusterId).not.toBe(recovery.clusterId);
    expect(openGenesis(bytes).origin).toBeUndefined();
  });

  test('has the names of the cluster before, and is not made without them', () => {
    expect(openGenesis(goOn(agreed)).names.key).toEqual(names);
    expect(() => make(agreed)).toThrow('agree to a recovery');
    const plain = openGenesis(goOn(nodes.map(({ bundle }) => bundle)));
    expect(plain.origin).toBeUndefined();
    expect(plain.names.key).not.toEqual(names);
  });

  test('is refused when one custodian agrees to nothing, or to something else', () => {
    const others: Partial<Bundle>[] = [
      {},
      { recovery: { ...recovery, height: 13 } },
      { recovery: { ...recovery, stateRoot: new Uint8Array(32) } },
      { recovery: { ...recovery, clusterId: 'aegisc1other' } },
    ];
    for (const more of others) {
      const third = bundleOf(new Owner(3), more);
      expect(() => goOn([...agreed, third])).toThrow('not the same recovery is named by all');
    }
    const strange = testNode(6, 'node6', 'agent');
    const astray = createBundle(
      {
        inception: strange.inception,
        role: 'agent',
        ...strange.keys,
        addresses: [],
        storageWeight: 1,
        createdAt: 9,
        recovery: { ...recovery, height: 13 },
      },
      strange.signer,
    );
    expect(() => goOn([...agreed, astray])).toThrow('not the same recovery');
  });

  test('has the origin of its bundles, and an origin only if they agree', () => {
    const made = goOn(agreed);
    const record = decode(made, { maxBytes: GENESIS_BYTES_MAX }) as { origin: object };
    const { origin, ...rest } = record;
    const plain = decode(bytes, { maxBytes: GENESIS_BYTES_MAX }) as object;
    const wrong: object[] = [
      rest,
      { ...record, origin: { ...origin, height: 13 } },
      { ...record, origin: { ...origin, names: new Uint8Array(31) } },
      { ...record, origin: { ...origin, more: 1 } },
      { ...record, origin: null },
      { ...plain, origin },
    ];
    for (const [at, value] of wrong.entries()) {
      expect(
        onlyAegisErrors(() => openGenesis(encode(value))),
        `${at}`,
      ).toBe('refused');
    }
    expect(openGenesis(encode(record)).clusterId).toBe(openGenesis(made).clusterId);
  });
});

test('the cluster id does not change with the program', () => {
  expect(openGenesis(bytes).clusterId).toBe(
    'aegisc1qebcfpgwi267ey6j64oeuc53rtyt7ecjzghiiuky2l273ock3mnq',
  );
});

test('a genesis out of order, or with a bundle that does not verify, is refused', () => {
  const record = decode(bytes, { maxBytes: GENESIS_BYTES_MAX }) as { bundles: Uint8Array[] };
  const { bundles } = record;
  const changed = (change: object): Uint8Array => encode({ ...record, ...change });
  expect(() => openGenesis(changed({ bundles: bundles.toReversed() }))).toThrow('in order');
  const forged = bundles.map((bundle) => Uint8Array.from(bundle));
  forged[0]![forged[0]!.length - 1]! ^= 1;
  expect(() => openGenesis(changed({ bundles: forged }))).toThrow(
    expect.toSatisfy((error) => hasCode(error, 'BAD_SIGNATURE')) as Error,
  );
  const wrong = [
    ...[{ replicas: 0 }, { replicas: 17 }, { custodians: [] }, { bundles: [] }, { name: 'a\nb' }],
    ...[{ protocol: 0 }, { protocol: '1' }],
  ];
  for (const change of wrong) {
    expect(onlyAegisErrors(() => openGenesis(changed(change)))).toBe('refused');
  }
});

test('more members than the limit are refused before any signature is checked', () => {
  const record = decode(bytes, { maxBytes: GENESIS_BYTES_MAX }) as object;
  const custodians = Array.from({ length: 257 }, () => ['x', new Uint8Array(1)]);
  expect(() => openGenesis(encode({ ...record, custodians }))).toThrow('are not 1 to 256');
  const bundles = Array.from({ length: 513 }, () => new Uint8Array(1));
  expect(() => openGenesis(encode({ ...record, bundles }))).toThrow('more than 512 items');
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
