import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { sha256 } from '../../../src/core/crypto/hash.ts';
import { createBundle } from '../../../src/core/model/bundle.ts';
import { createAdmission, createInvitation } from '../../../src/core/model/membership.ts';
import { createDuplicity } from '../../../src/core/model/statement.ts';
import { CERTIFIED_ROLES, createSuccession } from '../../../src/core/model/succession.ts';
import { Introductions } from '../../../src/core/node/introductions.ts';
import { MINUTE, SECOND } from '../../../src/core/units.ts';
import { Owner } from '../../helpers/owner.ts';
import { CLUSTER_ID, claimOf, Members } from './support/members.ts';
import { log } from './support/node.ts';

const DAY = 24 * 60 * MINUTE;

class World {
  readonly ana = new Owner(1);
  readonly bea = new Owner(2);
  readonly members = new Members(this.ana, this.bea);
  readonly handedIn: Uint8Array[] = [];
  readonly frozen: string[] = [];
  /** Who has shown what is new. */
  readonly learned: string[] = [];
  readonly banned = new Set<string>();
  /** Ids of invitations. */
  readonly used = new Set<string>();
  now = Date.UTC(2026, 10, 21);
  readonly introductions = new Introductions(
    { clusterId: CLUSTER_ID },
    {
      roster: this.members.roster,
      log,
      own: () => ({ inception: this.ana.node.inception, succession: [] }),
      isBanned: (nodeId) => this.banned.has(nodeId),
      isUsed: (invitationId) => this.used.has(invitationId),
      handIn: (bytes) => void this.handedIn.push(bytes),
      learned: (nodeId) => void this.learned.push(nodeId),
      frozen: (nodeId) => void this.frozen.push(nodeId),
      now: () => this.now,
    },
  );

  judge(...[owner, more]: Parameters<typeof claimOf>) {
    const verdict = this.introductions.judge(claimOf(owner, more));
    return verdict.type === 'refused' ? verdict.refusal : verdict.type;
  }

  finalise(owner: Owner, more: Parameters<Members['finalise']>[1] = {}): void {
    this.members.finalise(owner, more);
    this.introductions.settle([owner.nodeId]);
  }
}

let world: World;
beforeEach(() => {
  world = new World();
});

describe('a member', () => {
  test('is let in by its latest key, final or not, and what is new is handed in once', () => {
    const { bea, introductions } = world;
    expect(world.judge(bea)).toBe('member');
    const old = bea.state.keys.networkKey;
    const entry = bea.rotate(['network']);
    expect(introductions.expects(bea.state.keys.networkKey)).toBe(false);
    expect(world.judge(bea)).toBe('member');
    expect(introductions.expects(bea.state.keys.networkKey)).toBe(true);
    expect(world.judge(bea)).toBe('member');
    expect(world.handedIn).toEqual([entry.bytes]);
    expect(world.learned).toEqual([bea.nodeId]);
    expect(introductions.latest(bea.nodeId)?.number).toBe(1);
    // H2: within its grace, which begins when the change is seen here.
    expect(world.judge(bea, { networkKey: old })).toBe('member');
    expect(introductions.accepts({ nodeId: bea.nodeId, networkKey: old })).toBe(true);
    world.now += DAY;
    expect(world.judge(bea, { networkKey: old })).toBe('RETIRED');
    expect(introductions.accepts({ nodeId: bea.nodeId, networkKey: old })).toBe(false);
  });

  test('is followed over several changes at once, also when it shows the last ones only', () => {
    const { bea } = world;
    for (let n = 0; n < 3; n += 1) bea.rotate(['network']);
    const [first, ...rest] = bea.entries;
    // What came between is not known, so that nothing says whose the key is.
    expect(world.judge(bea, { entries: rest })).toBe('stranger');
    expect(world.judge(bea)).toBe('member');
    expect(world.judge(bea, { entries: rest })).toBe('member');
    expect(world.handedIn).toHaveLength(3);
    expect(first!.succession.number).toBe(1);
  });

  test('with a key of before its grace hears so, with a foreign one nothing', () => {
    const { ana, bea } = world;
    const old = bea.state.keys.networkKey;
    bea.rotate(['network']);
    const until = world.now + MINUTE;
    world.finalise(bea, { retiredNetworkKey: { key: old, until } });
    expect(world.judge(bea, { networkKey: old })).toBe('member');
    expect(world.introductions.nextEnd()).toBe(until);
    world.now = until;
    expect(world.judge(bea, { networkKey: old })).toBe('RETIRED');
    expect(world.introductions.expects(old)).toBe(false);
    expect(world.introductions.nextEnd()).toBeUndefined();
    expect(world.judge(bea, { networkKey: ana.state.keys.networkKey })).toBe('stranger');
  });

  test('has its key ranked by what follows, whatever else is shown with it', () => {
    const { bea, introductions } = world;
    bea.rotate(['network']);
    const old = bea.state.keys.networkKey;
    const thief = new Owner(9);
    const nextIdentityDigest = sha256(thief.successor.publicKey);
    const forged = createSuccession(
      { ...bea.state, number: 1_000_000, keys: { ...bea.state.keys, nextIdentityDigest } },
      { keys: {}, replaced: [], createdAt: bea.state.changedAt },
      thief.successor,
    );
    expect(introductions.judge(claimOf(bea))).toMatchObject({ keyNumber: 1 });
    bea.rotate(['network']);
    expect(introductions.judge(claimOf(bea))).toMatchObject({ type: 'member', keyNumber: 2 });
    const claim = claimOf(bea, { entries: [forged], networkKey: old });
    expect(introductions.judge(claim)).toMatchObject({ type: 'member', keyNumber: 1 });
  });

  test('has no grace for a key that is compromised', () => {
    const { bea } = world;
    const old = bea.state.keys.networkKey;
    bea.rotate(['network'], { reason: 'compromised' });
    expect(world.judge(bea)).toBe('member');
    expect(world.judge(bea, { networkKey: old })).toBe('RETIRED');
  });

  test('that is banned is a stranger until it is not', () => {
    const { bea, introductions } = world;
    const identity = { nodeId: bea.nodeId, networkKey: bea.state.keys.networkKey };
    world.banned.add(bea.nodeId);
    expect(world.judge(bea)).toBe('stranger');
    expect(introductions.accepts(identity)).toBe(false);
    expect(introductions.expects(identity.networkKey)).toBe(false);
    expect(introductions.knows(bea.nodeId)).toBe(false);
    world.banned.clear();
    expect(world.judge(bea)).toBe('member');
    expect(introductions.accepts(identity)).toBe(true);
  });
});

describe('before anything is verified', () => {
  const leads = (...[owner, more]: Parameters<typeof claimOf>): boolean => {
    const { inception, succession, networkKey, admission } = claimOf(owner, more);
    const { nodeId } = inception;
    return world.introductions.leads({ nodeId, succession, networkKey, admission });
  };

  test('entries lead to a network key only by what follows what is known', () => {
    const { bea } = world;
    const old = bea.state.keys.networkKey;
    for (const role of ['network', 'consensus', 'network'] as const) bea.rotate([role]);
    expect(leads(bea)).toBe(true);
    expect(leads(bea, { entries: bea.entries.slice(1) })).toBe(false);
    expect(leads(bea, { entries: bea.entries.slice(1), networkKey: old })).toBe(true);
    expect(world.judge(bea)).toBe('member');
    expect(leads(bea, { entries: bea.entries.slice(1) })).toBe(true);
    // What another successor has signed, and what contradicts: that must be seen (S8).
    const [thief, other] = [new Owner(9), new Owner(2, { salt: 'other' })];
    thief.rotate(['network']);
    other.rotate(['network']);
    const { networkKey } = thief.state.keys;
    expect(leads(bea, { entries: thief.entries, networkKey })).toBe(false);
    expect(leads(other)).toBe(true);
  });
});

describe('who has left', () => {
  test('stays for a moment, to hear that it has, and is a stranger to hello at once', () => {
    const { bea, introductions } = world;
    const identity = { nodeId: bea.nodeId, networkKey: bea.state.keys.networkKey };
    world.finalise(bea, { status: 'left' });
    expect(introductions.accepts(identity)).toBe(true);
    expect(world.judge(bea)).toBe('stranger');
    expect(introductions.expects(identity.networkKey)).toBe(false);
    world.now = introductions.nextEnd()!;
    expect(introductions.accepts(identity)).toBe(false);
    // Not again, whenever it is asked.
    world.now += DAY;
    expect(introductions.accepts(identity)).toBe(false);
    world.finalise(bea, { status: 'member' });
    expect(introductions.accepts(identity)).toBe(true);
    world.finalise(bea, { status: 'left' });
    world.banned.add(bea.nodeId);
    expect(introductions.accepts(identity)).toBe(false);
  });
});

describe('what does not follow', () => {
  test('is no evidence and lets nobody in', () => {
    const thief = new Owner(2, { salt: 'thief' });
    // Whoever holds the running home, and not the successor, signs with what it has.
    Object.assign(thief, { successor: thief.identity });
    const { bea, introductions } = world;
    expect(() => thief.rotate(['network'])).toThrow(/not signed by the successor/);
    const foreign = new Owner(3);
    const entry = foreign.rotate(['network']);
    const networkKey = foreign.state.keys.networkKey;
    expect(world.judge(bea, { entries: [entry], networkKey })).toBe('stranger');
    expect(world.judge(bea)).toBe('member');
    expect(world.handedIn).toEqual([]);
    expect(introductions.isFrozen(bea.nodeId)).toBe(false);
  });

  test('any order, repetition and loss: the same keys, and never evidence of one chain', () => {
    const role = fc.uniqueArray(fc.constantFrom(...CERTIFIED_ROLES), { minLength: 1 });
    const shows = fc.array(fc.array(fc.nat(5), { maxLength: 8 }), { maxLength: 6 });
    fc.assert(
      fc.property(fc.array(role, { minLength: 1, maxLength: 5 }), shows, (rotations, shown) => {
        const fresh = new World();
        const { bea } = fresh;
        for (const roles of rotations) bea.rotate(roles);
        for (const picks of shown) {
          const entries = picks.flatMap((at) => bea.entries[at] ?? []);
          fresh.judge(bea, { entries });
        }
        expect(fresh.judge(bea)).toBe('member');
        expect(fresh.introductions.latest(bea.nodeId)?.digest).toBe(bea.state.digest);
        expect(fresh.frozen).toEqual([]);
        expect(fresh.handedIn).toEqual(bea.entries.map(({ bytes }) => bytes));
      }),
      { numRuns: 25 },
    );
  });
});

describe('two successions', () => {
  const fork = () => {
    const { bea } = world;
    const other = new Owner(2, { salt: 'other' });
    return [bea.rotate(['network']), other.rotate(['network']), bea, other] as const;
  };

  test('freeze the node here at once, and the evidence is handed in once', () => {
    const [one, two, bea, other] = fork();
    expect(world.judge(bea)).toBe('member');
    expect(world.judge(other, { networkKey: other.state.keys.networkKey })).toBe('stranger');
    expect(world.frozen).toEqual([bea.nodeId]);
    expect(world.handedIn).toEqual([one.bytes, createDuplicity(one, two)]);
    expect(world.judge(bea)).toBe('FROZEN');
    expect(world.judge(other)).toBe('stranger');
    expect(world.handedIn).toHaveLength(2);
    const { keys } = bea.state;
    const identity = { nodeId: bea.nodeId, networkKey: keys.networkKey };
    expect(world.introductions.accepts(identity)).toBe(false);
    expect(world.introductions.expects(keys.networkKey)).toBe(false);
  });

  test('the one that is final counts; what hello has shown before is evidence', () => {
    const [one, two, bea, other] = fork();
    expect(world.judge(other)).toBe('member');
    world.finalise(bea);
    expect(world.introductions.latest(bea.nodeId)?.digest).toBe(one.digest);
    expect(world.handedIn).toEqual([two.bytes, createDuplicity(one, two)]);
    expect(world.judge(bea)).toBe('FROZEN');
  });

  test('signed with what runs by now are none: a thief of the home has it, too (S8)', () => {
    const { bea } = world;
    const thief = new Owner(2, { salt: 'thief' });
    bea.rotate(['identity', 'network']);
    thief.rotate(['identity', 'network']);
    world.finalise(bea);
    expect(world.judge(bea)).toBe('member');
    expect(world.judge(thief)).toBe('stranger');
    expect(world.judge(thief, { networkKey: bea.origin.keys.networkKey })).toBe('RETIRED');
    expect(world.judge(bea)).toBe('member');
    expect([world.frozen, world.handedIn]).toEqual([[], []]);
  });

  test('freeze nobody any longer than until what is final explains them', () => {
    const { bea } = world;
    const thief = new Owner(2, { salt: 'thief' });
    thief.rotate(['network']);
    bea.rotate(['network']);
    bea.rotate(['identity']);
    // This node is behind: elsewhere all is final, and what signed has become the identity key.
    expect([world.judge(thief), world.judge(bea)]).toEqual(['member', 'stranger']);
    expect(world.introductions.isFrozen(bea.nodeId)).toBe(true);
    world.finalise(bea);
    expect([world.judge(thief), world.judge(bea)]).toEqual(['stranger', 'member']);
  });

  test('the chain freezes, too', () => {
    const { bea } = world;
    world.finalise(bea, { isFrozen: true });
    expect(world.judge(bea)).toBe('FROZEN');
  });
});

test('what names the key of another can never count, and nothing is learned from it (S6)', () => {
  const { ana, bea } = world;
  const old = bea.state.keys.networkKey;
  const fresh = bea.rotate(['network'], { reason: 'compromised' }).succession.keys.networkKey;
  expect(world.judge(bea)).toBe('member');
  // Somebody has seen it, and was faster.
  ana.rotate(['network'], { keys: { networkKey: fresh } });
  world.finalise(ana);
  expect(world.introductions.latest(bea.nodeId)).toEqual(bea.origin);
  expect(world.judge(bea, { entries: [], networkKey: old })).toBe('member');
  expect(world.judge(bea)).toBe('stranger');
  const again = new Owner(2, { salt: 'again' });
  again.rotate(['network']);
  expect(world.judge(again, { entries: [...bea.entries, ...again.entries] })).toBe('member');
  expect(world.frozen).toEqual([]);
});

test('what is final is not handed in again, and what follows it still counts', () => {
  const { bea } = world;
  bea.rotate(['network']);
  expect(world.judge(bea)).toBe('member');
  world.finalise(bea);
  bea.rotate(['consensus']);
  bea.rotate(['network']);
  expect(world.judge(bea)).toBe('member');
  expect(world.introductions.latest(bea.nodeId)?.number).toBe(3);
  expect(world.handedIn).toEqual(bea.entries.map(({ bytes }) => bytes));
});

test('what the custodians refuse is forgotten, with all that follows it', () => {
  const { bea, introductions } = world;
  const old = bea.state;
  const first = bea.rotate(['network'], { graceMs: 0 });
  bea.rotate(['network']);
  expect(world.judge(bea)).toBe('member');
  expect(world.judge(bea, { networkKey: old.keys.networkKey })).toBe('RETIRED');
  introductions.forget(first.digest);
  expect(introductions.latest(bea.nodeId)).toEqual(old);
  expect(world.judge(bea, { entries: [], networkKey: old.keys.networkKey })).toBe('member');
  expect(world.judge(bea, { entries: [] })).toBe('stranger');
});

describe('one that joins', () => {
  const invited = (more: { keyEpoch?: number; expiresAt?: number } = {}) => {
    const { ana, now } = world;
    const joiner = new Owner(9, { role: 'agent' });
    const { nodeId } = joiner;
    const { bytes: invitation } = createInvitation(
      {
        ...{ clusterId: CLUSTER_ID, id: '01'.repeat(16), inviter: ana.nodeId, nodeId },
        ...{ keyEpoch: 0, createdAt: now, expiresAt: now + DAY, ...more },
      },
      ana.identity,
    );
    const { inception, keys } = joiner.node;
    const facts = { addresses: [], storageWeight: 0, createdAt: now };
    const bundle = createBundle({ inception, role: 'agent', ...keys, ...facts }, joiner.identity);
    const fields = { clusterId: CLUSTER_ID, nodeId, bundle, invitation, time: now };
    const { bytes: admission } = createAdmission(fields, joiner.identity);
    return { joiner, admission, nodeId };
  };
  const networkKeyOf = (owner: Owner) => owner.state.keys.networkKey;

  test('shows the signature of a custodian before anything else of it is verified', () => {
    const { joiner, nodeId, admission } = invited();
    const { introductions } = world;
    const shown = { nodeId, succession: [], networkKey: networkKeyOf(joiner) };
    expect(introductions.leads({ ...shown, admission })).toBe(true);
    expect(introductions.leads({ ...shown, admission: undefined })).toBe(false);
    expect(introductions.leads({ ...shown, admission: new Uint8Array(9) })).toBe(false);
    // Ana's identity key is another one by now: nobody here has the key of that epoch.
    const { admission: strange } = invited({ keyEpoch: 1 });
    expect(introductions.leads({ ...shown, admission: strange })).toBe(false);
  });

  test('is let in to hand its admission in, and not for longer', () => {
    const { joiner, admission, nodeId } = invited();
    expect(world.judge(joiner)).toBe('stranger');
    expect(world.judge(joiner, { admission })).toBe('member');
    expect(world.judge(joiner, { admission })).toBe('member');
    expect(world.handedIn).toEqual([admission]);
    const identity = { nodeId, networkKey: networkKeyOf(joiner) };
    expect(world.introductions.accepts(identity)).toBe(true);
    world.now = world.introductions.nextEnd()!;
    expect(world.introductions.accepts(identity)).toBe(false);
  });

  test.each([
    ['with another network key', () => ({ ...invited(), networkKey: networkKeyOf(world.bea) })],
    ['after the end of its invitation', () => invited({ expiresAt: world.now + SECOND })],
    ['by the key epoch of nobody', () => invited({ keyEpoch: 1 })],
    [
      'with a word that has been changed',
      () => {
        const made = invited();
        const admission = made.admission.slice();
        admission[admission.length - 1]! ^= 1;
        return { ...made, admission };
      },
    ],
  ])('is a stranger %s', (_, make) => {
    const { joiner, ...more } = { networkKey: undefined, ...make() };
    world.now += SECOND;
    const { networkKey = networkKeyOf(joiner), admission } = more;
    expect(world.judge(joiner, { networkKey, admission })).toBe('stranger');
    expect(world.handedIn).toEqual([]);
  });

  test('is a stranger when its invitation has been used (M1)', () => {
    const { joiner, admission } = invited();
    world.used.add('01'.repeat(16));
    expect(world.judge(joiner, { admission })).toBe('stranger');
    expect(world.handedIn).toEqual([]);
  });

  test('is a stranger when it has left with two successions (S8)', () => {
    const { joiner, admission } = invited();
    const known = world.members.roster.get(world.bea.nodeId)!;
    const left = { ...known, nodeId: joiner.nodeId, status: 'left' as const };
    world.members.roster.apply([left]);
    expect(world.judge(joiner, { admission })).toBe('member');
    world.members.roster.apply([{ ...left, isFrozen: true }]);
    expect(world.judge(joiner, { admission })).toBe('stranger');
  });

  test('is a stranger once its inviter has another identity key (M1)', () => {
    const { joiner, admission } = invited();
    world.ana.rotate(['identity']);
    world.finalise(world.ana);
    expect(world.judge(joiner, { admission })).toBe('stranger');
  });
});

describe('who has invited this node and came after the genesis', () => {
  const sponsor = new Owner(7);
  const introducedBy = (members: Members, banned: readonly string[] = []) =>
    new Introductions(
      { clusterId: CLUSTER_ID, sponsor: sponsor.state },
      {
        roster: members.roster,
        log,
        own: () => ({ inception: world.ana.node.inception, succession: [] }),
        isBanned: (nodeId) => banned.includes(nodeId),
        isUsed: () => false,
        handIn: () => {},
        learned: () => {},
        frozen: () => {},
        now: () => world.now,
      },
    );

  test('is let in until the blocks say who it is', () => {
    const { nodeId, state } = sponsor;
    const { networkKey } = state.keys;
    const introductions = introducedBy(new Members(world.ana));
    const claim = claimOf(sponsor);
    expect(introductions.expects(networkKey)).toBe(true);
    expect(introductions.knows(nodeId)).toBe(true);
    expect(introductions.leads({ nodeId, succession: [], networkKey, admission: undefined })).toBe(
      true,
    );
    expect(introductions.judge(claim).type).toBe('member');
    expect(introductions.accepts({ nodeId, networkKey })).toBe(true);
    // By its key, and nobody else.
    expect(introductions.judge(claimOf(new Owner(8))).type).toBe('stranger');
    const other = new Owner(8).state.keys.networkKey;
    expect(introductions.judge({ ...claim, networkKey: other }).type).toBe('stranger');
    expect(introductions.expects(other)).toBe(false);
    expect(introducedBy(new Members(world.ana), [nodeId]).judge(claim).type).toBe('stranger');
  });

  test('is judged by the roster from then on', () => {
    const members = new Members(world.ana, sponsor);
    const introductions = introducedBy(members);
    expect(introductions.judge(claimOf(sponsor)).type).toBe('member');
    members.finalise(sponsor, { status: 'left' });
    expect(introductions.judge(claimOf(sponsor)).type).toBe('stranger');
  });
});
