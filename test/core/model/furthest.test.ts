/**
 * Successions in a hostile world: whoever is told entries in any order, with loss and repeats, and
 * with whatever others have made up, holds a beginning of the true chain and nothing else.
 */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256 } from '../../../src/core/crypto/hash.ts';
import { isAegisError } from '../../../src/core/errors.ts';
import { furthest } from '../../../src/core/model/furthest.ts';
import { signRecord } from '../../../src/core/model/signed.ts';
import { createDuplicity, readDuplicity } from '../../../src/core/model/statement.ts';
import {
  CERTIFIED_ROLES,
  type CertifiedRole,
  followAll,
  openSuccession,
  type SignedSuccession,
  type Succession,
  successionFault,
} from '../../../src/core/model/succession.ts';
import type { Signer } from '../../../src/core/ports.ts';
import type { Verified } from '../../../src/core/units.ts';
import { mutated } from '../../helpers/mutation.ts';
import { testNode } from '../../helpers/nodes.ts';
import { freshKeys, Owner, seedFor } from '../../helpers/owner.ts';

type Entry = Verified<SignedSuccession>;

interface Rotation {
  readonly roles: readonly CertifiedRole[];
  readonly reason: 'routine' | 'compromised';
}

/** Some with all roles, some with none, which only extends. Consensus keys take the longest. */
const rotations: fc.Arbitrary<Rotation[]> = fc.array(
  fc.record({
    roles: fc.subarray([...CERTIFIED_ROLES]),
    reason: fc.constantFrom('routine', 'compromised'),
  }),
  { minLength: 1, maxLength: 5 },
);

/** A true chain, and what others can make who have all of its owner but the successor. */
interface World {
  readonly owner: Owner;
  readonly truth: readonly Entry[];
  readonly forged: readonly Uint8Array[];
  /** By the place after which they stand: what the true successor signed besides (S8). */
  readonly forks: readonly Entry[];
}

const sign = (succession: object, signer: Signer): Uint8Array =>
  signRecord({ v: 2, type: 'succession', ...succession }, signer);

/** With a stolen home: every key of the node, and the thief's own for what is to come. */
function stolen(owner: Owner, wanted: Succession): Uint8Array[] {
  const { identity } = owner;
  const keys = { ...wanted.keys, ...freshKeys(['network'], `thief ${wanted.number}`) };
  const plan = { ...wanted, keys, replaced: ['network'], reason: 'routine', graceMs: 0 };
  const { sealed: _, ...network } = { ...plan, keyEpoch: owner.state.keyEpoch };
  return [
    // Signed by the identity key, named or not.
    sign({ ...network, revealed: identity.publicKey }, identity),
    sign(network, identity),
    // The next key epoch, with the thief's own key for the identity.
    sign({ ...wanted, revealed: identity.publicKey }, identity),
    sign(wanted, identity),
  ];
}

/** Signed by the true successor, and against a rule. */
const broken = (wanted: Succession, signer: Signer): Uint8Array[] => {
  const isIdentity = wanted.replaced.includes('identity');
  const commitment = isIdentity ? sha256(wanted.revealed) : seedFor('another successor');
  return [
    { number: wanted.number + 1 },
    { previous: seedFor(`elsewhere ${wanted.number}`) },
    { keyEpoch: wanted.keyEpoch + 1 },
    { keys: { ...wanted.keys, nextIdentityDigest: commitment } },
    { keys: { ...wanted.keys, identityKey: seedFor('identity') } },
    { keys: { ...wanted.keys, possession: testNode(3).keys.possession } },
    { createdAt: 0 },
  ].map((change) => sign({ ...wanted, ...change }, signer));
};

function worldOf(steps: readonly Rotation[]): World {
  const owner = new Owner(1);
  const stranger = new Owner(2);
  const forged: Uint8Array[] = [];
  const forks: Entry[] = [];
  for (const { roles, reason } of steps) {
    const retired = owner.identity;
    const signer = owner.successor;
    forks.push(owner.prepare(['network'], {}, `fork ${owner.state.number}`));
    const thief = stolen(
      owner,
      owner.prepare(['identity'], {}, `wish ${owner.state.number}`).succession,
    );
    const { succession } = owner.rotate(roles, { reason });
    forged.push(...thief, ...broken(succession, signer));
    // Keys that are in force no more, one of them the successor until a moment ago.
    const next = owner.prepare(['network'], {}, 'next').succession;
    forged.push(sign(next, retired), sign({ ...next, revealed: retired.publicKey }, retired));
    if (roles.includes('identity'))
      forged.push(sign({ ...next, revealed: signer.publicKey }, signer));
    // Another node's entries, as they are and in this node's name.
    const foreign = stranger.rotate(['network']);
    const renamed = { ...foreign.succession, nodeId: owner.nodeId };
    forged.push(foreign.bytes, sign(renamed, stranger.successor));
  }
  const shown = (): string => JSON.stringify(steps);
  const world = { owner, truth: owner.entries, forged, forks };
  return Object.assign(world, { [fc.toStringMethod]: shown });
}

const worlds = rotations.map(worldOf);

/** True entries with a few bytes changed, beside what is forged whole. */
const noise = ({ truth, forged }: World): fc.Arbitrary<Uint8Array> =>
  fc.oneof(
    fc.constantFrom(...forged),
    fc.constantFrom(...truth).chain(({ bytes }) => mutated(bytes)),
  );

/** Batches of true and other bytes: any order, some twice, some never. */
const deliveries = (world: World, more: readonly Entry[] = []): fc.Arbitrary<Uint8Array[][]> => {
  const good = fc.constantFrom(...world.truth, ...more).map(({ bytes }) => bytes);
  const batch = fc.array(fc.oneof({ weight: 3, arbitrary: good }, noise(world)), { maxLength: 12 });
  return fc.array(batch, { maxLength: 6 });
};

/** What arrives and verifies: the rest is dropped where it comes in. */
function opened(batch: readonly Uint8Array[]): Entry[] {
  return batch.flatMap((bytes) => {
    try {
      return [openSuccession(bytes)];
    } catch (error) {
      if (isAegisError(error)) return [];
      throw error;
    }
  });
}

const digestsOf = (entries: readonly SignedSuccession[]): string[] =>
  entries.map(({ digest }) => digest);

const scene = worlds.chain((world) =>
  fc.record({ world: fc.constant(world), batches: deliveries(world) }),
);

test('only the true chain is accepted, whatever else is told, in any order', () => {
  fc.assert(
    fc.property(scene, ({ world: { owner, truth }, batches }) => {
      let held: readonly Entry[] = [];
      for (const batch of batches) {
        // The longest beginning of the truth that what is held and told can make.
        const told = new Set(batch.map((bytes) => Buffer.from(bytes).toString('hex')));
        let reach = held.length;
        while (reach < truth.length && told.has(Buffer.from(truth[reach]!.bytes).toString('hex'))) {
          reach += 1;
        }
        const { state, entries, fresh, duplicity } = furthest(owner.origin, held, opened(batch));
        expect(digestsOf(entries)).toEqual(digestsOf(truth.slice(0, reach)));
        expect(digestsOf(fresh)).toEqual(digestsOf(truth.slice(held.length, reach)));
        expect(state).toEqual(followAll(owner.origin, truth.slice(0, reach)));
        expect(duplicity).toBeUndefined();
        held = entries;
      }
    }),
    { numRuns: 60 },
  );
});

test('who has missed any part follows once it is told, backwards and between forgeries', () => {
  const all = worlds.chain((world) =>
    fc.record({
      world: fc.constant(world),
      first: fc.nat(world.truth.length),
      batch: fc.shuffledSubarray([...world.truth.map(({ bytes }) => bytes), ...world.forged], {
        minLength: world.truth.length + world.forged.length,
      }),
    }),
  );
  fc.assert(
    fc.property(all, ({ world: { owner, truth }, first, batch }) => {
      const { state, entries } = furthest(owner.origin, truth.slice(0, first), opened(batch));
      expect(state).toEqual(owner.state);
      expect(digestsOf(entries)).toEqual(digestsOf(truth));
    }),
    { numRuns: 30 },
  );
});

/** Like `scene`, but the true successor has signed a second entry at each place. */
const forkedScene = worlds.chain((world) =>
  fc.record({ world: fc.constant(world), batches: deliveries(world, world.forks) }),
);

test('what is held never changes, and duplicity is told with its proof', () => {
  fc.assert(
    fc.property(forkedScene, ({ world: { owner, truth, forks }, batches }) => {
      let held: readonly Entry[] = [];
      for (const batch of batches) {
        const shown = opened(batch);
        const { entries, state, duplicity } = furthest(owner.origin, held, shown);
        // Grows only, by entries that the successor has signed.
        expect(digestsOf(entries.slice(0, held.length))).toEqual(digestsOf(held));
        expect(followAll(owner.origin, entries)).toEqual(state);
        const signed = new Set(digestsOf([...truth, ...forks]));
        for (const { digest } of entries) expect(signed.has(digest)).toBe(true);
        if (duplicity !== undefined) expectProof(owner, entries, duplicity);
        held = entries;
      }
    }),
    { numRuns: 60 },
  );
});

/** Two different entries that both follow one and the same of what is held, as S8 says. */
function expectProof(owner: Owner, entries: readonly Entry[], pair: readonly [Entry, Entry]): void {
  const [a, b] = pair;
  expect(a.digest < b.digest).toBe(true);
  const before = followAll(owner.origin, entries.slice(0, a.succession.number - 1));
  expect(successionFault(before, a.succession)).toBeUndefined();
  expect(successionFault(before, b.succession)).toBeUndefined();
  const bytes = createDuplicity(b, a);
  const value = { v: 1, type: 'duplicity', a: a.bytes, b: b.bytes };
  expect(readDuplicity(value, bytes).statement).toMatchObject({ nodeId: owner.nodeId, a, b });
}

/**
 * Whether two entries at place `at` speak against the owner in the eyes of who holds `known`: not
 * if their signer is, or may be, the identity key of the running home.
 */
function canProve(truth: readonly Entry[], at: number, known: number): boolean {
  const isPromotion = ({ succession }: Entry): boolean => succession.replaced.includes('identity');
  if (known <= at) return !isPromotion(truth[at]!);
  return !truth.slice(at, known).some(isPromotion);
}

test('two entries at one place are found wherever they come together', () => {
  const cases = worlds.chain((world) =>
    fc.record({
      world: fc.constant(world),
      at: fc.nat(world.truth.length - 1),
      known: fc.nat(world.truth.length),
      batch: fc.shuffledSubarray([...world.truth.map(({ bytes }) => bytes), ...world.forged], {
        minLength: world.truth.length + world.forged.length,
      }),
    }),
  );
  fc.assert(
    fc.property(cases, ({ world: { owner, truth, forks }, at, known, batch }) => {
      const fork = forks[at]!;
      const held = truth.slice(0, known);
      const shown = opened([fork.bytes, ...batch, fork.bytes]);
      const result = furthest(owner.origin, held, shown);
      const isProof = canProve(truth, at, known);
      const pair = isProof ? [truth[at]!, fork] : [];
      expect(digestsOf(result.duplicity ?? [])).toEqual(digestsOf(pair).toSorted());
      // What is held stands; what is not stops before the two, or adds nothing to a contradiction.
      const reach = known > at ? (isProof ? held : truth) : truth.slice(0, at);
      expect(digestsOf(result.entries)).toEqual(digestsOf(reach));
      expect(furthest(owner.origin, held, shown.toReversed())).toEqual(result);
    }),
    { numRuns: 30 },
  );
});

test('who has the running home, and not the successor, makes no evidence', () => {
  fc.assert(
    fc.property(worlds, ({ owner, truth, forks }) => {
      // The thief signs in the place of every entry whose signer the owner has promoted since.
      const promoted = truth.findLastIndex(({ succession }) =>
        succession.replaced.includes('identity'),
      );
      const rivals = forks.slice(0, promoted + 1);
      const { entries, duplicity } = furthest(owner.origin, truth, rivals);
      expect(duplicity).toBeUndefined();
      expect(digestsOf(entries)).toEqual(digestsOf(truth));
    }),
    { numRuns: 30 },
  );
});

test('who has the successor is found out, also when it promotes it in place of another', () => {
  const owner = new Owner(1);
  const rival = owner.prepare(['identity'], {}, 'rival');
  const entry = owner.rotate(['network']);
  const { duplicity, state } = furthest(owner.origin, [entry], [rival]);
  expect(digestsOf(duplicity ?? [])).toEqual(digestsOf([entry, rival]).toSorted());
  expect(state).toEqual(owner.state);
  // Before any of them is held, nobody can say which one the owner means.
  const open = furthest(owner.origin, [], [rival, entry]);
  expect(open).toEqual({ state: owner.origin, entries: [], fresh: [] });
});
