/** Members and keys that change while a cluster decides: several chains and their messages. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHAIN_PROTOCOL, encodeMessage } from '../../../src/core/chain/messages.ts';
import { TABLES } from '../../../src/core/chain/rows.ts';
import { createIntent, type SignedIntent } from '../../../src/core/model/intent.ts';
import { createDuplicity } from '../../../src/core/model/statement.ts';
import { type Verified, verified } from '../../../src/core/units.ts';
import { Owner } from '../../helpers/owner.ts';
import { TestCluster, type TestNode } from './support/cluster.ts';
import {
  admissionOf,
  CONTEXT,
  departureOf,
  intentOf,
  type Member,
  statementOf,
} from './support/fixtures.ts';

const clusterOf = (options: ConstructorParameters<typeof TestCluster>[0]): TestCluster => {
  const cluster = new TestCluster(options);
  cluster.verifies = true;
  return cluster;
};

const up = (cluster: TestCluster): TestNode[] => cluster.nodes.filter(({ isUp }) => isUp);

/** Hands something in at a node and waits until it is decided wherever a node is up. */
function decide(cluster: TestCluster, node: TestNode, ...some: Verified<SignedIntent>[]): void {
  cluster.submit(node, ...some);
  const ids = some.map(({ id }) => id);
  cluster.runUntil(() =>
    up(cluster).every(({ chain }) => ids.every((id) => chain.receipt(id) !== undefined)),
  );
}

const nextOf = (node: TestNode, path = 'notes'): Verified<SignedIntent> => {
  const sequence = node.chain.nextSequence(node.nodeId);
  return intentOf(node.member, sequence, { path, version: `${node.nodeId}/${sequence}` });
};

const rotate = (owner: Member, ...roles: Parameters<Owner['rotate']>[0]): Verified<SignedIntent> =>
  statementOf(owner.rotate(roles).bytes);

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('a custodian', () => {
  it('votes with its new keys from the next height on, and can lead with them', () => {
    const cluster = clusterOf({ custodians: 4, epochHeights: 2 });
    const [first, second, third, fourth] = cluster.nodes as [
      TestNode,
      TestNode,
      TestNode,
      TestNode,
    ];
    // With one away the cluster needs every other one.
    cluster.stop(fourth);
    decide(cluster, second, rotate(first.member, 'consensus', 'identity'));
    for (const key of [first.member.origin.keys.consensusKey, first.member.origin.keys.vrfKey]) {
      first.lostKeys.add(hexOf(key));
    }
    for (let round = 0; round < 4; round += 1) {
      for (const node of [first, second, third]) decide(cluster, node, nextOf(node));
    }
    expect(first.chain.status()).toMatchObject({ isVoting: true, keyMissing: false });
    expect(cluster.refused).toBe(0);
    // Whoever was away learns the keys of each height from the heights before.
    cluster.restart(fourth);
    cluster.runUntil(() => fourth.chain.height === first.chain.height);
    expect(fourth.chain.tip().digest).toBe(first.chain.tip().digest);
  });

  it('K3: without its new key does not vote or lead, and follows', () => {
    const cluster = clusterOf({ custodians: 4, epochHeights: 2 });
    const [first, second] = cluster.nodes as [TestNode, TestNode];
    const entry = rotate(first.member, 'consensus');
    const { consensusKey, vrfKey } = first.member.state.keys;
    for (const key of [consensusKey, vrfKey]) first.lostKeys.add(hexOf(key));
    decide(cluster, second, entry);
    expect(first.chain.status()).toMatchObject({ isVoting: false, keyMissing: true });
    for (let round = 0; round < 5; round += 1) decide(cluster, second, nextOf(second));
    const votes = second.told('finalised').slice(2);
    expect(votes.every(({ proposer }) => proposer !== first.nodeId)).toBe(true);
  });
});

describe('A2: intents of a past key epoch', () => {
  it('are told to be signed anew, under the same id', () => {
    const cluster = clusterOf({ custodians: 4, agents: 1 });
    const agent = cluster.nodes[4]!;
    const custodians = cluster.nodes.slice(0, 4);
    cluster.isLost = (from, to, envelope) =>
      from === agent && cluster.open(to, envelope).type === 'intents';
    const waiting = [nextOf(agent, 'a')];
    cluster.submit(agent, ...waiting);
    waiting.push(nextOf(agent, 'b'));
    cluster.submit(agent, waiting[1]!);
    decide(cluster, custodians[0]!, rotate(agent.member, 'identity'));
    const [retired] = agent.told('retired-epoch');
    expect(retired?.intents.map(({ id }) => id)).toEqual(waiting.map(({ id }) => id));
    expect(agent.chain.status().mempool.intents).toBe(0);
    expect(agent.chain.nextSequence(agent.nodeId)).toBe(3);
    // It is not forgotten by a restart, and told again.
    cluster.restart(agent);
    expect(agent.told('retired-epoch')).toHaveLength(2);
    const anew = [
      intentOf(agent.member, 1, { path: 'a', version: `${agent.nodeId}/1` }),
      intentOf(agent.member, 2, { path: 'b', version: `${agent.nodeId}/2` }),
    ];
    expect(anew.map(({ id }) => id)).toEqual(waiting.map(({ id }) => id));
    cluster.give(agent, { type: 'submit', intents: anew, replaces: true });
    expect(agent.told('accepted').slice(-2)).toMatchObject(anew.map(({ id }) => ({ id })));
    cluster.isLost = () => false;
    cluster.runUntil(() => anew.every(({ id }) => agent.chain.receipt(id)));
    expect(agent.chain.pending()).toEqual([]);
  });

  it('are dropped from the mempools of others', () => {
    const cluster = clusterOf({ custodians: 4, agents: 1 });
    const [first] = cluster.nodes as [TestNode];
    const agent = cluster.nodes[4]!;
    // Its second intent lacks the first, and so waits.
    const [, second] = [nextOf(agent), intentOf(agent.member, 2, { version: 'x' })];
    const body = encodeMessage({ type: 'intents', intents: [second.bytes] });
    const envelope = { to: first.nodeId, protocol: CHAIN_PROTOCOL, body };
    const message = cluster.open(first, envelope);
    cluster.give(first, { type: 'message', from: agent.nodeId, message });
    expect(first.chain.status().mempool.intents).toBe(1);
    decide(cluster, first, rotate(agent.member, 'identity'));
    expect(first.chain.status().mempool.intents).toBe(0);
    // Nor do they come in again.
    cluster.give(first, { type: 'message', from: agent.nodeId, message });
    expect(first.chain.status().mempool.intents).toBe(0);
  });

  it('signed while the key changed are kept, and told at once', () => {
    const cluster = clusterOf({ custodians: 4 });
    const [first, second] = cluster.nodes as [TestNode, TestNode];
    const late = nextOf(first);
    decide(cluster, second, rotate(first.member, 'identity'));
    cluster.submit(first, late);
    expect(first.told('accepted').at(-1)).toMatchObject({ id: late.id });
    expect(first.told('retired-epoch').at(-1)?.intents).toEqual([late]);
  });
});

describe('catching up', () => {
  it('goes over blocks whose authors and voters changed their keys within the window', () => {
    const cluster = clusterOf({ custodians: 4, agents: 1 });
    const nodes = cluster.nodes.slice(0, 3);
    const [away, agent] = cluster.nodes.slice(3) as [TestNode, TestNode];
    cluster.stop(away);
    const guest = new Owner(30);
    for (let round = 0; round < 12; round += 1) {
      const node = nodes[round % 3]!;
      const roles = round % 2 === 0 ? ['identity' as const] : ['consensus' as const];
      decide(cluster, node, statementOf(node.member.rotate(roles).bytes));
      if (round === 3) decide(cluster, node, admissionOf(nodes[0]!.member, guest));
      decide(cluster, node, nextOf(node));
      decide(cluster, agent, nextOf(agent));
    }
    cluster.restart(away);
    cluster.runUntil(() => away.chain.height === agent.chain.height);
    expect(away.chain.tip().digest).toBe(agent.chain.tip().digest);
    // Nobody was taken for a liar, and every signature was verified.
    expect(cluster.refused).toBe(0);
    expect(away.chain.roster.isMember(guest.nodeId)).toBe(true);
  });

  it('is held up by no peer that claims what it does not have', () => {
    const cluster = clusterOf({ custodians: 4 });
    const nodes = cluster.nodes.slice(0, 3) as [TestNode, TestNode, TestNode];
    const away = cluster.nodes[3]!;
    cluster.stop(away);
    for (let round = 0; round < 40; round += 1) decide(cluster, nodes[0], nextOf(nodes[0]));
    cluster.boot(away);
    cluster.give(away, { type: 'start' });
    // It says of every block that it does not have it.
    let lies = 0;
    const liar = nodes[1];
    cluster.isLost = (from, to, envelope) => {
      if (to !== away || from !== liar) return false;
      const message = cluster.open(away, envelope);
      if (message.type !== 'blocks') return false;
      lies += 1;
      const lie = verified({ type: 'blocks' as const, from: message.from, window: undefined });
      cluster.give(away, { type: 'message', from: liar.nodeId, message: lie });
      return true;
    };
    for (const node of nodes) {
      cluster.connect(away, node);
      cluster.connect(node, away);
    }
    cluster.runUntil(() => away.chain.height === nodes[0].chain.height);
    expect(lies).toBeLessThan(200);
  });
});

describe('statements', () => {
  it('are relayed by whoever hears them, and decided once', () => {
    const cluster = clusterOf({ custodians: 4, agents: 2 });
    const [first] = cluster.nodes as [TestNode];
    const [agent, other] = cluster.nodes.slice(4) as [TestNode, TestNode];
    // The one knows no custodian but by the other.
    for (const node of cluster.custodians) cluster.disconnect(agent, node);
    const entry = rotate(agent.member, 'network');
    cluster.submit(agent, entry);
    cluster.submit(other, entry);
    cluster.submit(first, entry);
    cluster.runUntil(() => first.chain.receipt(entry.id) !== undefined);
    cluster.run(10_000);
    const receipts = first.told('finalised').flatMap((block) => block.receipts);
    expect(receipts).toMatchObject([
      { id: entry.id, sequence: 0, statement: 'succession', result: 'done' },
    ]);
    expect(first.told('roster')).toEqual([{ type: 'roster', height: 1, nodeIds: [agent.nodeId] }]);
    const order = first.outcomes.map(({ type }) => type);
    expect(order.indexOf('roster')).toBeGreaterThan(order.indexOf('finalised'));
    for (const node of [agent, other, first]) expect(node.table(TABLES.pending)).toEqual([]);
  });

  it('handed in are durable, and sent again after a restart', () => {
    const cluster = clusterOf({ custodians: 4, agents: 1 });
    const agent = cluster.nodes[4]!;
    cluster.isLost = (from) => from === agent;
    const entry = rotate(agent.member, 'network');
    cluster.submit(agent, entry);
    expect(agent.told('accepted')).toMatchObject([{ id: entry.id, sequence: 0 }]);
    cluster.restart(agent);
    cluster.isLost = () => false;
    cluster.runUntil(() => agent.chain.receipt(entry.id) !== undefined);
    expect(agent.table(TABLES.pending)).toEqual([]);
    // Handed in again, it is accepted, and nothing is decided.
    const { height } = agent.chain;
    cluster.submit(agent, entry);
    expect(agent.told('accepted').at(-1)).toMatchObject({ id: entry.id });
    cluster.run(10_000);
    expect(agent.chain.height).toBe(height);
  });

  it('that would be refused are so at once, and cost no block', () => {
    const cluster = clusterOf({ custodians: 4, agents: 1 });
    const [first] = cluster.nodes as [TestNode];
    const departure = departureOf(first.member);
    cluster.submit(first, departure);
    const [refused] = first.told('refused');
    expect(refused).toMatchObject({ id: departure.id, error: { code: 'DENIED' } });
    expect(refused?.error.details).toEqual({ reason: 'bad-departure' });
    cluster.run(10_000);
    expect(first.chain.height).toBe(0);
  });

  it('that contradict each other become evidence, wherever they meet', () => {
    const cluster = clusterOf({ custodians: 4, agents: 1 });
    const [first, second] = cluster.nodes as [TestNode, TestNode];
    const agent = cluster.nodes[4]!;
    const evil = statementOf(agent.member.prepare(['network'], {}, 'evil').bytes);
    const good = rotate(agent.member, 'network');
    decide(cluster, first, good);
    cluster.submit(second, evil);
    expect(second.told('refused').at(-1)).toMatchObject({ id: evil.id });
    cluster.runUntil(() =>
      cluster.nodes.every(({ chain }) => chain.roster.get(agent.nodeId)?.isFrozen),
    );
    expect(first.chain.roster.get(agent.nodeId)?.keys.digest).toBe(good.id);
    // Nothing more of it comes in.
    cluster.submit(agent, nextOf(agent));
    cluster.run(10_000);
    expect(first.chain.status().mempool.intents).toBe(0);
  });

  it('that rest on an invitation wait until it ends, and no longer', () => {
    const cluster = clusterOf({ custodians: 4 });
    const [first] = cluster.nodes as [TestNode];
    // No proposal arrives before that.
    cluster.isLost = () => true;
    const guest = new Owner(30);
    const admission = admissionOf(first.member, guest, { expiresAt: cluster.now + 5000 });
    cluster.submit(first, admission);
    cluster.run(10_000);
    cluster.isLost = () => false;
    cluster.run(60_000);
    expect(first.chain.roster.isMember(guest.nodeId)).toBe(false);
    expect(first.told('refused').at(-1)).toMatchObject({ id: admission.id });
    expect(cluster.nodes.map(({ chain }) => chain.status().mempool.intents)).toEqual([0, 0, 0, 0]);
  });
});

describe('whoever leaves', () => {
  it('writes no more, and nothing of it waits', () => {
    const cluster = clusterOf({ custodians: 4, agents: 1 });
    const [first] = cluster.nodes as [TestNode];
    const agent = cluster.nodes[4]!;
    decide(cluster, agent, departureOf(agent.member));
    expect(first.chain.roster.isMember(agent.nodeId)).toBe(false);
    cluster.submit(agent, nextOf(agent));
    expect(agent.told('refused').at(-1)).toMatchObject({ error: { code: 'DENIED' } });
    const { height } = first.chain;
    cluster.run(10_000);
    expect(first.chain.height).toBe(height);
  });
});

/** A2: does as the owner of a node does, for all that was told since the last time. */
function signAnew(cluster: TestCluster, node: TestNode): void {
  const told = node.told('retired-epoch').at(-1);
  if (told === undefined) return;
  const { identity, state } = node.member;
  const intents = told.intents.map(({ intent }) =>
    createIntent({ ...intent, keyEpoch: state.keyEpoch }, CONTEXT, identity),
  );
  node.outcomes.splice(0);
  cluster.give(node, { type: 'submit', intents, replaces: true });
}

/** What may happen, in whatever order. */
const action = fc.record({
  kind: fc.constantFrom(
    'intent',
    'intent',
    'rotate',
    'identity',
    'consensus',
    'fork',
    'invite',
    'leave',
    'forge',
    'replay',
    'restart',
  ),
  who: fc.nat({ max: 5 }),
  at: fc.nat({ max: 5 }),
  pause: fc.constantFrom(0, 0, 1, 3, 30),
});

/** Every so manieth message is lost; 0: none. */
const losses = fc.constantFrom(0, 0, 5, 9);

it('any interleaving of statements and intents leads all nodes to one state, also anew', () => {
  fc.assert(
    fc.property(fc.array(action, { minLength: 3, maxLength: 25 }), losses, (actions, every) => {
      const cluster = clusterOf({ custodians: 4, agents: 2, epochHeights: 3 });
      let sent = 0;
      cluster.isLost = () => {
        sent += 1;
        return every > 0 && sent % every === 0;
      };
      const statements: SignedIntent[] = [];
      const handIn = (at: TestNode, statement: Verified<SignedIntent>) => {
        statements.push(statement);
        cluster.submit(at, statement);
      };
      const guests = Array.from({ length: 6 }, (_, at) => new Owner(30 + at));
      for (const { kind, who, at, pause } of actions) {
        const node = cluster.nodes[who]!;
        const other = cluster.nodes[at]!;
        const { member } = node;
        if (kind === 'intent') cluster.submit(node, nextOf(node, `path ${at}`));
        else if (kind === 'rotate') handIn(other, rotate(member, 'network'));
        else if (kind === 'identity') handIn(other, rotate(member, 'identity'));
        else if (kind === 'consensus') handIn(other, rotate(member, 'consensus'));
        else if (kind === 'invite') handIn(other, admissionOf(member, guests[at]!));
        else if (kind === 'leave') {
          const { admission } = node.chain.roster.get(node.nodeId)!;
          handIn(other, departureOf(member, admission));
        } else if (kind === 'fork' && who >= 3) {
          const evil = member.prepare(['network'], {}, 'evil');
          handIn(other, statementOf(createDuplicity(evil, member.rotate(['network']))));
        } else if (kind === 'forge') {
          // By the right successor of another history: it follows nothing here.
          const stranger = new Owner(at + 1, { salt: 'other' });
          stranger.rotate(['network']);
          handIn(other, rotate(stranger, 'consensus'));
        } else if (kind === 'replay' && statements.length > 0) {
          const intents = statements.slice(-(at + 1)).map(({ bytes }) => bytes);
          const body = encodeMessage({ type: 'intents', intents });
          const envelope = { to: other.nodeId, protocol: CHAIN_PROTOCOL, body };
          const message = cluster.open(other, envelope);
          cluster.give(other, { type: 'message', from: node.nodeId, message });
        } else if (kind === 'restart') cluster.restart(node);
        cluster.run(pause);
        for (const one of cluster.nodes) signAnew(cluster, one);
      }
      cluster.isLost = () => false;
      const [first] = cluster.nodes as [TestNode];
      for (let round = 0; round < 4; round += 1) {
        cluster.run(10_000);
        for (const node of cluster.nodes) signAnew(cluster, node);
      }
      for (const { chain, nodeId } of cluster.nodes) {
        // Whoever has left or is frozen may wait for ever.
        const { isFrozen, status } = chain.roster.get(nodeId)!;
        if (!isFrozen && status === 'member') expect(chain.pending()).toEqual([]);
      }
      const tips = cluster.nodes.map(({ chain }) => chain.tip().digest);
      expect(new Set(tips).size).toBe(1);
      expect(cluster.refused).toBe(0);
      const members = first.chain.roster.all();
      for (const node of cluster.nodes) {
        expect(node.chain.roster.all()).toEqual(members);
        // What a restart reads is what was.
        cluster.boot(node);
        expect(node.chain.tip().digest).toBe(tips[0]);
        const sorted = (list: readonly { readonly nodeId: string }[]) =>
          list.toSorted((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
        expect(sorted(node.chain.roster.all())).toEqual(sorted(members));
      }
    }),
    { numRuns: 25 },
  );
}, 120_000);
