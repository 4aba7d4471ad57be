/** What statements do when a block is executed: rules S, A and M of docs/keys.md. */
import { describe, expect, it } from 'vitest';
import { type Executed, executeIntents } from '../../../src/core/chain/execution.ts';
import { LIMITS } from '../../../src/core/chain/limits.ts';
import { firstMembers, Roster } from '../../../src/core/chain/roster.ts';
import { StateTree } from '../../../src/core/chain/state-tree.ts';
import { sha256 } from '../../../src/core/crypto/hash.ts';
import type { SignedIntent } from '../../../src/core/model/intent.ts';
import { createDuplicity } from '../../../src/core/model/statement.ts';
import { createSuccession } from '../../../src/core/model/succession.ts';
import { Owner, seedFor } from '../../helpers/owner.ts';
import {
  admissionOf,
  bundleOf,
  contextOf,
  departureOf,
  genesisOf,
  intentOf,
  type Member,
  membersOf,
  statementOf,
} from './support/fixtures.ts';

/** A state that blocks are executed upon, one after the other. */
class Book {
  readonly members: readonly Member[];
  readonly roster: Roster;
  tree = StateTree.empty;
  height = 0;
  time = 1000;

  /** Custodians, and after them one agent. */
  constructor(custodians = 4) {
    this.members = membersOf(custodians + 1);
    this.roster = new Roster(firstMembers(genesisOf(this.members, custodians).members));
  }

  get custodian(): Member {
    return this.members[0]!;
  }

  get agent(): Member {
    return this.members.at(-1)!;
  }

  /** One block. @returns what came of each. */
  decide(...intents: readonly SignedIntent[]): string[] {
    const { receipts } = this.execute(...intents);
    return receipts.map(({ result, reason }) => reason ?? result);
  }

  execute(...intents: readonly SignedIntent[]): Executed {
    this.height += 1;
    this.time += 1000;
    const context = contextOf(this.roster, this.height, this.time);
    const executed = executeIntents(this.tree, intents, context);
    this.tree = this.tree.update(executed.changes);
    this.roster.apply(executed.members);
    return executed;
  }
}

const entryOf =
  (...parameters: Parameters<Owner['rotate']>) =>
  (owner: Owner) =>
    statementOf(owner.rotate(...parameters).bytes);

const rotation = (owner: Owner): SignedIntent => entryOf(['network'])(owner);

describe('a succession', () => {
  it('changes the keys of its node from the next height on, once', () => {
    const book = new Book();
    const { agent, roster } = book;
    const before = agent.state.keys.networkKey;
    const entry = rotation(agent);
    expect(book.decide(entry)).toEqual(['done']);
    expect(roster.get(agent.nodeId)?.keys).toEqual(agent.state);
    // H2: until the end of its grace, by the time of the block.
    const until = book.time + 24 * 3600 * 1000;
    expect(roster.get(agent.nodeId)?.retiredNetworkKey).toEqual({ key: before, until });
    expect(roster.byNetworkKey(before)?.nodeId).toBe(agent.nodeId);
    expect(roster.byNetworkKey(agent.state.keys.networkKey)?.nodeId).toBe(agent.nodeId);
    const root = book.tree.root;
    expect(book.decide(entry)).toEqual(['unchanged']);
    expect(book.tree.root).toEqual(root);
  });

  it('of a compromised key leaves it no grace', () => {
    const book = new Book();
    const { agent, roster } = book;
    const entry = entryOf(['network', 'onion'], { reason: 'compromised' })(agent);
    expect(book.decide(entry)).toEqual(['done']);
    expect(roster.get(agent.nodeId)?.retiredNetworkKey?.until).toBe(book.time);
    expect(roster.onionKeysOf(agent.nodeId)[1]?.until).toBe(book.time);
  });

  it('O18: tells the onion key of before with its end, beside the latest', () => {
    const book = new Book();
    const { agent, roster } = book;
    const latest = () => ({ key: agent.state.keys.onionKey });
    // O12: from the beginning.
    expect(roster.onionKeysOf(agent.nodeId)).toEqual([latest()]);
    const [first] = roster.onionKeysOf(agent.nodeId);
    expect(book.decide(entryOf(['onion'], { graceMs: 5000 })(agent))).toEqual(['done']);
    const before = { ...first, until: book.time + 5000 };
    expect(roster.onionKeysOf(agent.nodeId)).toEqual([latest(), before]);
    // The grace of one key is not that of the other.
    expect(book.decide(rotation(agent))).toEqual(['done']);
    expect(roster.onionKeysOf(agent.nodeId)).toEqual([latest(), before]);
    const second = latest();
    expect(book.decide(entryOf(['onion'])(agent))).toEqual(['done']);
    const until = book.time + 24 * 3600 * 1000;
    expect(roster.onionKeysOf(agent.nodeId)).toEqual([latest(), { ...second, until }]);
    expect(book.decide(departureOf(agent))).toEqual(['done']);
    for (const nodeId of [agent.nodeId, 'aegis1nobody']) {
      expect(roster.onionKeysOf(nodeId)).toEqual([]);
    }
  });

  it('follows another one in the same block, and none that is missing', () => {
    const book = new Book();
    const { agent } = book;
    const [first, second, third] = [rotation(agent), rotation(agent), rotation(agent)];
    expect(book.decide(second, first, second)).toEqual(['bad-succession', 'done', 'done']);
    expect(book.decide(third)).toEqual(['done']);
    expect(book.roster.get(agent.nodeId)?.history).toHaveLength(4);
  });

  it('S2: is refused when anybody but the successor has signed it', () => {
    const book = new Book();
    const { agent, members } = book;
    const change = { keys: { networkKey: seedFor('x') }, replaced: ['network'] as const };
    // The whole running home is not enough.
    for (const thief of [agent.identity, members[1]!.successor]) {
      const nextIdentityDigest = sha256(thief.publicKey);
      const before = { ...agent.state, keys: { ...agent.state.keys, nextIdentityDigest } };
      const forged = createSuccession(before, { ...change, createdAt: 1 }, thief);
      expect(book.decide(statementOf(forged.bytes))).toEqual(['bad-succession']);
    }
    expect(book.roster.get(agent.nodeId)?.isFrozen).toBe(false);
  });

  it('S6: takes no key that another member has, or has had, in whatever role', () => {
    const book = new Book();
    const { agent, members } = book;
    const other = members[1]!;
    const past = other.state.keys;
    const { networkKey, identityKey, vrfKey } = past;
    expect(book.decide(rotation(other))).toEqual(['done']);
    for (const key of [networkKey, identityKey, vrfKey, other.state.keys.networkKey]) {
      const entry = agent.prepare(['network'], { keys: { networkKey: key } });
      expect(book.decide(statementOf(entry.bytes))).toEqual(['key-taken']);
    }
    const { consensusKey, possession } = past;
    const keys = { consensusKey, possession, vrfKey: seedFor('v') };
    const entry = agent.prepare(['consensus'], { keys });
    expect(book.decide(statementOf(entry.bytes))).toEqual(['key-taken']);
    // Two who want the same one at once: the first has it.
    const fresh = seedFor('fresh');
    const both = [agent, members[2]!].map((owner) =>
      statementOf(owner.prepare(['network'], { keys: { networkKey: fresh } }).bytes),
    );
    expect(book.decide(...both)).toEqual(['done', 'key-taken']);
  });

  it('S6: cannot be kept from its identity key by who names that as another key', () => {
    const book = new Book();
    const { agent, members } = book;
    const other = members[1]!;
    const squat = (role: 'network' | 'onion', key: Uint8Array) =>
      statementOf(
        agent.rotate([role], { keys: { [role === 'network' ? 'networkKey' : 'onionKey']: key } })
          .bytes,
      );
    // The first entry of whatever keys shows the public key of the successor.
    expect(book.decide(rotation(other))).toEqual(['done']);
    const thief = agent.prepare(['network'], { keys: { networkKey: other.successor.publicKey } });
    expect(book.decide(statementOf(thief.bytes))).toEqual(['key-taken']);
    expect(book.decide(entryOf(['identity'])(other))).toEqual(['done']);
    // Before the first entry is final, whoever has seen it is faster.
    const first = members[2]!;
    const key = first.successor.publicKey;
    expect(book.decide(squat('onion', key), entryOf(['identity'])(first))).toEqual([
      'done',
      'done',
    ]);
    expect(book.roster.get(first.nodeId)?.keys.keyEpoch).toBe(1);
  });

  it('takes no key that its own node has had before', () => {
    const book = new Book();
    const { agent } = book;
    const { networkKey } = agent.state.keys;
    expect(book.decide(rotation(agent))).toEqual(['done']);
    const back = agent.prepare(['network'], { keys: { networkKey } });
    expect(book.decide(statementOf(back.bytes))).toEqual(['key-taken']);
  });

  it('of nobody, or of who has left, is refused', () => {
    const book = new Book();
    const { agent } = book;
    expect(book.decide(rotation(new Owner(40)))).toEqual(['not-a-member']);
    expect(book.decide(departureOf(agent), rotation(agent))).toEqual(['done', 'not-a-member']);
  });
});

describe('S8: duplicity', () => {
  it('freezes the node, whose final entry counts', () => {
    const book = new Book();
    const { agent, roster } = book;
    const evil = agent.prepare(['network'], {}, 'evil');
    const good = agent.rotate(['network']);
    const evidence = statementOf(createDuplicity(good, evil));
    expect(book.decide(statementOf(good.bytes), evidence)).toEqual(['done', 'done']);
    const member = roster.get(agent.nodeId)!;
    expect([member.isFrozen, member.keys.digest]).toEqual([true, good.digest]);
    expect(book.decide(evidence)).toEqual(['unchanged']);
    const more = [rotation(agent), departureOf(agent), intentOf(agent, 1, { version: 'a' })];
    expect(book.decide(...more)).toEqual(['frozen', 'frozen', 'frozen']);
    // The refused intent has used up its sequence.
    expect(book.decide(intentOf(agent, 2, { version: 'a' }))).toEqual(['frozen']);
  });

  it('is seen when both entries stand in one block, or in two', () => {
    for (const isOneBlock of [true, false]) {
      const book = new Book();
      const { agent, roster } = book;
      const evil = statementOf(agent.prepare(['network'], {}, 'evil').bytes);
      const good = rotation(agent);
      if (isOneBlock) expect(book.decide(good, evil)).toEqual(['done', 'bad-succession']);
      else expect([book.decide(good), book.decide(evil)]).toEqual([['done'], ['bad-succession']]);
      expect(roster.get(agent.nodeId)).toMatchObject({ isFrozen: true, keys: agent.state });
    }
  });

  it('of a custodian leaves its keys in force: its votes go on counting', () => {
    const book = new Book();
    const { custodian } = book;
    const evil = custodian.prepare(['consensus'], {}, 'evil');
    const good = custodian.prepare(['consensus']);
    expect(book.decide(statementOf(createDuplicity(good, evil)))).toEqual(['done']);
    const member = book.roster.get(custodian.nodeId)!;
    expect(member).toMatchObject({ isFrozen: true, status: 'member', keys: custodian.origin });
  });

  it('is not what somebody shows that has the running home, or an old successor', () => {
    for (const roles of [['identity'], ['network', 'identity']] as const) {
      const book = new Book();
      const { agent, roster } = book;
      // What is signed with the successor of then, which is the identity key of now.
      const rivals = roles.map((role) => {
        const rival = agent.prepare([role], {}, 'evil');
        const entry = agent.rotate([role]);
        expect(book.decide(statementOf(entry.bytes))).toEqual(['done']);
        return { rival, entry };
      });
      for (const { rival, entry } of rivals) {
        const evidence = statementOf(createDuplicity(entry, rival));
        expect(book.decide(statementOf(rival.bytes), evidence)).toEqual([
          'bad-succession',
          'bad-succession',
        ]);
      }
      expect(roster.get(agent.nodeId)?.isFrozen).toBe(false);
      expect(book.decide(rotation(agent))).toEqual(['done']);
    }
  });

  it('is not that another entry takes the place of one that names the key of another', () => {
    const book = new Book();
    const { agent, members } = book;
    const other = members[1]!;
    const refused = other.prepare(['network']);
    const { networkKey } = refused.succession.keys;
    // Seen on its way, and taken: nothing proves a network key.
    const taken = statementOf(agent.rotate(['network'], { keys: { networkKey } }).bytes);
    expect(book.decide(taken, statementOf(refused.bytes))).toEqual(['done', 'key-taken']);
    const again = other.prepare(['network'], {}, 'again');
    expect(book.decide(statementOf(again.bytes))).toEqual(['done']);
    const evidence = statementOf(createDuplicity(refused, again));
    expect(book.decide(statementOf(refused.bytes), evidence)).toEqual([
      'bad-succession',
      'bad-succession',
    ]);
    expect(book.roster.get(other.nodeId)?.isFrozen).toBe(false);
  });

  it('is not what two entries show that do not both follow', () => {
    const book = new Book();
    const { agent } = book;
    const good = agent.prepare(['network']);
    // The keys of it belong to what it does not replace.
    const bad = createSuccession(
      { ...agent.state, keys: { ...agent.state.keys, vrfKey: seedFor('no') } },
      { keys: { networkKey: seedFor('n') }, replaced: ['network'], createdAt: 1 },
      agent.successor,
    );
    expect(book.decide(statementOf(createDuplicity(good, bad)))).toEqual(['bad-succession']);
    expect(book.decide(statementOf(good.bytes))).toEqual(['done']);
    expect(book.decide(statementOf(bad.bytes))).toEqual(['bad-succession']);
    expect(book.roster.get(agent.nodeId)?.isFrozen).toBe(false);
    const stranger = new Owner(40);
    const forks = [stranger.prepare(['network'], {}, 'a'), stranger.prepare(['network'], {}, 'b')];
    const evidence = statementOf(createDuplicity(forks[0]!, forks[1]!));
    expect(book.decide(evidence)).toEqual(['not-a-member']);
  });
});

describe('an admission', () => {
  it('makes the invited node an agent, once', () => {
    const book = new Book();
    const { custodian, roster } = book;
    const guest = new Owner(30);
    const admission = admissionOf(custodian, guest);
    expect(roster.isMember(guest.nodeId)).toBe(false);
    expect(book.decide(admission)).toEqual(['done']);
    expect(roster.get(guest.nodeId)).toMatchObject({
      role: 'agent',
      status: 'member',
      since: book.height + 1,
      keys: guest.state,
      storageWeight: 7,
      admission: admission.digest,
      inviter: custodian.nodeId,
    });
    expect(roster.count).toBe(6);
    expect(book.decide(admission)).toEqual(['unchanged']);
    expect(book.decide(admissionOf(custodian, guest))).toEqual(['already-a-member']);
  });

  it('counts before the end of the invitation only, by the time of the block', () => {
    const book = new Book();
    const guest = new Owner(30);
    const inTime = (expiresAt: number) => admissionOf(book.custodian, guest, { expiresAt });
    expect(book.decide(inTime(book.time + 1000))).toEqual(['bad-invitation']);
    expect(book.decide(inTime(book.time + 1001))).toEqual(['done']);
  });

  it('uses the invitation up, also for the same node when it has left', () => {
    const book = new Book();
    const { custodian } = book;
    const guest = new Owner(30);
    const id = 'ab'.repeat(16);
    const admission = admissionOf(custodian, guest, { id });
    const again = admissionOf(custodian, guest, { id, expiresAt: 8_000_000_000_000 });
    expect(book.decide(admission, again)).toEqual(['done', 'already-a-member']);
    expect(book.decide(departureOf(guest, admission.digest))).toEqual(['done']);
    expect(book.decide(again)).toEqual(['bad-invitation']);
    // The very admission that was executed says no more than it did.
    expect(book.decide(admission)).toEqual(['unchanged']);
    expect(book.roster.isMember(guest.nodeId)).toBe(false);
    expect(book.decide(admissionOf(custodian, guest))).toEqual(['done']);
  });

  it('needs an inviter that is a custodian, not frozen, and in the same key epoch', () => {
    const book = new Book();
    const { custodian, agent, members } = book;
    const guest = new Owner(30);
    expect(book.decide(admissionOf(agent, guest))).toEqual(['bad-invitation']);
    const early = admissionOf(custodian, guest);
    const rotated = entryOf(['identity'])(custodian);
    expect(book.decide(rotated, early)).toEqual(['done', 'bad-invitation']);
    const frozen = members[1]!;
    const forks = [frozen.prepare(['network'], {}, 'a'), frozen.prepare(['network'], {}, 'b')];
    const late = admissionOf(frozen, guest);
    const evidence = statementOf(createDuplicity(forks[0]!, forks[1]!));
    expect(book.decide(evidence, late)).toEqual(['done', 'bad-invitation']);
    expect(book.decide(admissionOf(custodian, guest))).toEqual(['done']);
  });

  it('brings the whole succession of the node, and takes no key of another', () => {
    const book = new Book();
    const guest = new Owner(30);
    guest.rotate(['network', 'identity']);
    guest.rotate(['consensus']);
    expect(book.decide(admissionOf(book.custodian, guest))).toEqual(['done']);
    const member = book.roster.get(guest.nodeId)!;
    expect(member.keys).toEqual(guest.state);
    expect(member.history.map(({ number }) => number)).toEqual([0, 1, 2]);
    expect(book.roster.identityKey(guest.nodeId, 0)).toEqual(guest.origin.keys.identityKey);
    const thief = new Owner(31);
    thief.rotate(['network'], { keys: { networkKey: guest.origin.keys.networkKey } });
    expect(book.decide(admissionOf(book.custodian, thief))).toEqual(['key-taken']);
  });

  it('takes no name of a present member', () => {
    const book = new Book();
    const named = book.roster.get(book.custodian.nodeId)!;
    book.roster.apply([{ ...named, name: 'node35' }]);
    expect(book.decide(admissionOf(book.custodian, new Owner(35)))).toEqual(['name-taken']);
  });

  it('lets a node come back with the keys that are known, or later ones', () => {
    const book = new Book();
    const { agent, custodian } = book;
    const old = bundleOf(agent);
    expect(book.decide(rotation(agent), departureOf(agent))).toEqual(['done', 'done']);
    expect(book.decide(admissionOf(custodian, agent, { bundle: old }))).toEqual(['bad-succession']);
    agent.rotate(['consensus']);
    expect(book.decide(admissionOf(custodian, agent))).toEqual(['done']);
    expect(book.roster.get(agent.nodeId)).toMatchObject({ keys: agent.state, status: 'member' });
    expect(book.roster.get(agent.nodeId)?.history).toHaveLength(3);
  });

  const crowds = [
    { status: 'member', count: LIMITS.guests },
    { status: 'left', count: LIMITS.guestsEver },
  ] as const;
  it.each(crowds)('lets one custodian invite $count that are $status, and no more', (crowd) => {
    const book = new Book();
    const { custodian, members } = book;
    const record = book.roster.get(book.agent.nodeId)!;
    const guests = Array.from({ length: crowd.count - 1 }, (_, at) => ({
      ...record,
      nodeId: `guest ${at}`,
      name: `guest ${at}`,
      status: crowd.status,
      inviter: custodian.nodeId,
    }));
    book.roster.apply(guests);
    expect(book.decide(admissionOf(custodian, new Owner(30)))).toEqual(['done']);
    expect(book.decide(admissionOf(custodian, new Owner(31)))).toEqual(['bad-invitation']);
    expect(book.decide(admissionOf(members[1]!, new Owner(31)))).toEqual(['done']);
  });
});

describe('a departure', () => {
  it('ends the membership of an agent, and of no custodian', () => {
    const book = new Book();
    const { agent, custodian, roster } = book;
    expect(book.decide(departureOf(custodian))).toEqual(['bad-departure']);
    expect(book.decide(departureOf(agent))).toEqual(['done']);
    expect(roster.isMember(agent.nodeId)).toBe(false);
    // What it has signed can still be verified.
    expect(roster.identityKey(agent.nodeId, 0)).toEqual(agent.state.keys.identityKey);
    expect(book.decide(departureOf(agent))).toEqual(['not-a-member']);
  });

  it('M3: cannot be replayed after a return', () => {
    const book = new Book();
    const { agent, custodian } = book;
    const departure = departureOf(agent);
    expect(book.decide(departure)).toEqual(['done']);
    const admission = admissionOf(custodian, agent);
    expect(book.decide(admission)).toEqual(['done']);
    expect(book.decide(departure)).toEqual(['bad-departure']);
    expect(book.decide(departureOf(agent, admission.digest))).toEqual(['done']);
  });

  it('is signed with the key that was in force before the block', () => {
    const book = new Book();
    const { agent } = book;
    const old = departureOf(agent);
    const entry = entryOf(['identity'])(agent);
    expect(book.decide(entry, departureOf(agent))).toEqual(['done', 'bad-departure']);
    expect(book.decide(old)).toEqual(['bad-departure']);
    expect(book.decide(departureOf(agent))).toEqual(['done']);
  });
});

describe('A3: a version of an earlier key epoch', () => {
  it('counts up to the number that the succession has sealed', () => {
    const book = new Book();
    const { agent, roster } = book;
    const [first] = [agent.state.keys.identityKey];
    book.decide(statementOf(agent.rotate(['identity'], { sealed: 5 }).bytes));
    expect(roster.identityKey(agent.nodeId, 0, 5)).toEqual(first);
    expect(roster.identityKey(agent.nodeId, 0, 6)).toBeUndefined();
    expect(roster.identityKey(agent.nodeId, 1, 6)).toEqual(agent.state.keys.identityKey);
    expect(roster.identityKey(agent.nodeId, 2, 6)).toBeUndefined();
    // A signature of the past that is no version is judged by where it stands.
    expect(roster.identityKey(agent.nodeId, 0)).toEqual(first);
  });
});

it('a succession has so many entries and no more', () => {
  const book = new Book();
  const { agent } = book;
  const record = book.roster.get(agent.nodeId)!;
  const number = LIMITS.entries - 1;
  agent.state = { ...agent.state, number };
  book.roster.apply([{ ...record, keys: agent.state, history: [agent.state] }]);
  const last = rotation(agent);
  const next = rotation(agent);
  expect(book.decide(last, next)).toEqual(['done', 'bad-succession']);
});
