import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/core/consensus/limits.ts';
import type { ConsensusMessage, StatusMessage } from '../../../src/core/consensus/messages.ts';
import { instant } from '../../../src/core/units.ts';
import { A, B, Bench, type BenchOptions, digest } from './support/bench.ts';
import { CLUSTER_ID, nodeIdOf } from './support/cluster.ts';

/** Nodes 0 to 3 at heights 1 and 2, then 2 to 5. */
const OLD = [0, 1, 2, 3];
const NEW = [2, 3, 4, 5];
const benchOf = (self: number, options: BenchOptions = {}): Bench => {
  const members: BenchOptions['members'] = [
    [1, OLD],
    [3, NEW],
  ];
  return new Bench({ custodians: 8, self, members, ...options }).step({ type: 'start' });
};

/** A quorum of a height without the node on the bench. */
const signersAt = (height: number, self: number | undefined): number[] =>
  (height < 3 ? OLD : NEW).filter((node) => node !== self).slice(0, 3);
const block = (height: number): string => digest(`block ${height}`);
const commitOf = (bench: Bench, height: number, signers = signersAt(height, bench.self)) =>
  bench.certificate('commit', block(height), { height, signers });

/** The next height becomes final by a certificate that came with its block. */
function finalise(bench: Bench, to: number): Bench {
  while (bench.replica.finalised < to) {
    const { height } = bench.replica;
    bench.step({ type: 'certified', certificate: commitOf(bench, height) });
    bench.judge(block(height));
  }
  return bench;
}

const voted = (bench: Bench) => bench.told('voted').map(({ phase, height }) => [phase, height]);
const status = (fields: Partial<StatusMessage>): ConsensusMessage => ({
  type: 'status',
  height: 1,
  view: 0,
  commit: undefined,
  high: undefined,
  timeout: undefined,
  seen: undefined,
  ask: 0,
  answer: 0,
  ...fields,
});

describe('E5: another replica', () => {
  it('votes with another index, where an agent has become custodian', () => {
    const bench = finalise(benchOf(5), 2);
    expect(bench.replica.status()).toMatchObject({ height: 3, isVoting: true, quorum: 3 });
    const proposal = bench.proposal(A, { height: 3, previous: commitOf(bench, 2) });
    bench.hear(bench.nodeAt(bench.leaders.leaderOf(3, 0), 3), proposal).judge(A);
    expect(voted(bench)).toEqual([['prepare', 3]]);
    expect(bench.sent.map(({ to }) => to)).toEqual([2, 3, 4]);
    const own = bench.share(5, { kind: 'prepare', height: 3, digest: A });
    expect(bench.said('vote')[0]!.signature).toEqual(own.signature);
    bench.hear(2, bench.vote(2, 'prepare', A, 0, 3)).hear(4, bench.vote(4, 'prepare', A, 0, 3));
    expect(bench.replica.high?.signers).toEqual([0, 2, 3]);
    expect(voted(bench)).toEqual([['commit', 3]]);
  });

  it('signs nothing where a custodian has been removed', () => {
    const bench = finalise(benchOf(0), 2);
    expect(bench.replica.status()).toMatchObject({ height: 3, isVoting: false, phase: 'idle' });
    bench.step({ type: 'work', isWaiting: true });
    const proposal = bench.proposal(A, { height: 3 });
    bench.hear(bench.nodeAt(bench.leaders.leaderOf(3, 0), 3), proposal);
    for (const from of [2, 3, 4]) bench.hear(from, bench.timeout(from, 0, undefined, 3));
    expect([bench.sent, bench.alarms, voted(bench)]).toEqual([[], new Map(), []]);
  });

  it('tells where the height begins, once, and with the leader of those who are there', () => {
    const bench = benchOf(3);
    bench.step({ type: 'certified', certificate: commitOf(bench, 1) }).judge(block(1));
    bench.step({ type: 'certified', certificate: commitOf(bench, 2) }).judge(block(2));
    const leader = bench.leaders.leaderOf(3, 0);
    expect(bench.told('entered')).toEqual([{ type: 'entered', height: 3, view: 0, leader }]);
  });

  it('shows those who begin here that they may', () => {
    const newcomers = (bench: Bench) =>
      bench.sent.map(({ to, message }) => [to, message.type === 'status' && message.commit]);
    const stayed = finalise(benchOf(3), 2);
    expect(newcomers(stayed)).toEqual([4, 5].map((to) => [to, commitOf(stayed, 2)]));
    const came = finalise(benchOf(4), 2);
    expect(newcomers(came)).toEqual([2, 3, 5].map((to) => [to, commitOf(came, 2)]));
    expect(finalise(benchOf(0), 2).sent).toEqual([]);
  });

  it('is what the owner must begin with: nothing is read by indices of others', () => {
    const bench = finalise(benchOf(3), 1);
    const old = bench.replica;
    finalise(bench, 2);
    expect(() => old.step({ type: 'keys-known' }, instant(bench.now))).toThrow(/another replica/);
  });

  it('begins from what is durable, if the node dies between', () => {
    const bench = finalise(benchOf(4), 2).restart();
    expect(bench.replica.status()).toMatchObject({ height: 3, isVoting: true });
    const removed = finalise(benchOf(0), 2).restart();
    expect(removed.replica.status()).toMatchObject({ height: 3, isVoting: false });
  });

  it('remembers what it has signed before it was removed and added again', () => {
    const members = [
      [1, OLD],
      [2, NEW],
      [3, OLD],
    ] as const;
    const bench = new Bench({ custodians: 8, self: 1, members }).step({ type: 'start' });
    bench.hear(bench.leaders.leaderOf(1, 0), bench.proposal(B)).judge(B);
    const own = bench.share(1, { kind: 'prepare', digest: B });
    const of = (height: number, signers: readonly number[]) => {
      const certificate = bench.certificate('commit', A, { height, signers });
      bench.step({ type: 'certified', certificate }).judge(A);
    };
    of(1, [0, 2, 3]);
    of(2, [2, 3, 4]);
    expect(bench.replica.status()).toMatchObject({ height: 3, isVoting: true });
    // D5: what it has not signed, and what it has, at the height where it is again.
    bench.hear(2, status({ height: 3, seen: own }));
    const seen = bench.share(1, { kind: 'commit', digest: A, height: 3 });
    expect(bench.told('doubt')).toEqual([]);
    bench.hear(2, status({ height: 3, seen }));
    expect(bench.told('doubt')).toHaveLength(1);
  });

  it('goes on from what it has signed, where it begins at the height at which it was', () => {
    const bench = finalise(benchOf(5), 2);
    const leader = bench.nodeAt(bench.leaders.leaderOf(3, 0), 3);
    bench.hear(leader, bench.proposal(A, { height: 3 })).judge(A);
    expect(voted(bench)).toEqual([['prepare', 3]]);
    const custodians = NEW.map((node) => nodeIdOf(node));
    const options = { clusterId: CLUSTER_ID, custodians, self: 3, held: [] };
    bench.replica = bench.replica.follow(options, bench.leaders);
    bench.step({ type: 'keys-known' });
    expect(bench.replica.status().votes.prepare).toEqual([3]);
    // P6
    bench.hear(leader, bench.proposal(B, { height: 3 })).judge(B);
    expect(voted(bench)).toEqual([]);
  });

  it('sends votes to all, or to the leader, as many as there are then', () => {
    const seven = [0, 1, 2, 3, 4, 5, 6];
    const members = [
      [1, seven],
      [2, [...seven, 7]],
    ] as const;
    const bench = new Bench({ custodians: 8, self: 3, members }).step({ type: 'start' });
    bench.hear(0, bench.proposal(A)).judge(A);
    expect(bench.sent.map(({ to }) => to)).toEqual([0, 1, 2, 4, 5, 6]);
    const certificate = bench.certificate('commit', A, { signers: [0, 1, 2, 4, 5] });
    bench.step({ type: 'certified', certificate });
    const leader = bench.leaders.leaderOf(2, 0);
    bench.hear(leader, bench.proposal(B, { height: 2 })).judge(B);
    expect(bench.sent.map(({ to }) => to)).toEqual([leader]);
  });
});

describe('E5: messages of those who are further', () => {
  it('are kept until it is known who speaks, and count with the indices of then', () => {
    const bench = finalise(benchOf(3), 1);
    // Node 4 is nobody here, node 2 has another index.
    for (const from of [4, 2, 5]) bench.hear(from, bench.vote(from, 'prepare', A, 0, 3));
    bench.hear(0, bench.vote(0, 'prepare', A, 0, 3));
    finalise(bench, 2);
    expect(bench.replica.status().votes.prepare).toEqual([0, 2, 3]);
    expect(bench.replica.high).toMatchObject({ height: 3, signers: [0, 2, 3] });
    expect(bench.told('bad-share')).toEqual([]);
  });

  it.each([
    ['a custodian', 3],
    ['an agent', 4],
    ['a custodian that is removed', 1],
  ])('bring on %s by the certificate of the last height', (_who, self) => {
    const bench = finalise(benchOf(self), 1);
    const previous = commitOf(bench, 2);
    bench.hear(5, bench.proposal(A, { height: 3, previous, signer: 5 }));
    expect(bench.told('fetch')).toMatchObject([{ height: 2, digest: block(2) }]);
    bench.judge(block(2));
    expect(bench.replica.finalised).toBe(2);
  });

  it('bring on by a status as well, with what can be verified of it', () => {
    const bench = finalise(benchOf(3), 1);
    const commit = commitOf(bench, 2);
    const high = bench.certificate('prepare', A, { height: 3, signers: [2, 4, 5] });
    bench.hear(4, status({ height: 3, commit, high }));
    expect(bench.told('fetch')).toMatchObject([{ height: 2 }]);
    expect([bench.told('bad-share'), bench.verified.aggregate]).toEqual([[], 1]);
  });

  it('of a node that is no custodian are believed in nothing else', () => {
    const bench = finalise(benchOf(3), 1);
    bench.hear(4, bench.proposal(A, { height: 2, signer: 4 }));
    for (const from of [4, 5, 6]) {
      bench.hear(from, bench.vote(from, 'prepare', A, 0, 2), bench.timeout(from, 0, undefined, 2));
    }
    const { votes, timeouts } = bench.replica.status();
    expect([votes.prepare, timeouts, bench.alarms.size]).toEqual([[], [], 0]);
  });

  it('cost so much and no more', () => {
    const bench = finalise(benchOf(3), 1);
    const bad = { ...commitOf(bench, 2), digest: B };
    bench.verified.aggregate = 0;
    for (let count = 0; count < 20; count += 1) {
      bench.hear(6, { type: 'certificate', certificate: { ...bad, view: count } });
    }
    expect(bench.verified.aggregate).toBe(LIMITS.lies);
    for (let node = 100; node < 400; node += 1) {
      bench.hear(node, bench.vote(5, 'prepare', A, 0, 3), {
        type: 'certificate',
        certificate: bad,
      });
    }
    expect(bench.verified.aggregate).toBe(LIMITS.lies + LIMITS.strangers - 1);
    for (let node = 100; node < 120; node += 1) {
      bench.hear(node, bench.proposal(A, { height: 3, signer: 5 }));
    }
    // Those who are known are heard still.
    bench.hear(2, bench.vote(2, 'prepare', A, 0, 3));
    finalise(bench, 2);
    expect(bench.replica.status().votes.prepare).toEqual([0]);
  });
});

describe('E5: those who are behind', () => {
  it.each([
    ['an agent that was a custodian', 0],
    ['a custodian', 3],
  ])('are told the last certificate of their custodians by %s', (_who, self) => {
    const bench = finalise(benchOf(self), 4);
    const certificate = commitOf(bench, 2);
    for (const from of [1, 2]) {
      bench.now += 1000;
      bench.hear(from, bench.vote(from, 'commit', block(2), 0, 2));
      // A vote that comes late is no surprise; one that is repeated is.
      bench.hear(from, bench.vote(from, 'commit', block(2), 0, 2));
      bench.now += 1000;
      bench.hear(from, bench.vote(from, 'commit', block(2), 0, 2));
      expect(bench.sent).toEqual([{ to: from, message: { type: 'certificate', certificate } }]);
    }
    bench.restart().now += 1000;
    bench.hear(1, bench.timeout(1, 0, undefined, 2));
    expect(bench.sent).toEqual([{ to: 1, message: { type: 'certificate', certificate } }]);
  });

  it('are told the last one of all, where they are no further back', () => {
    const bench = finalise(benchOf(0), 4);
    bench.hear(3, bench.timeout(3, 0, undefined, 3));
    const certificate = commitOf(bench, 4);
    expect(bench.sent).toEqual([{ to: 3, message: { type: 'certificate', certificate } }]);
  });

  it('are not told again and again, nor for a certificate of theirs', () => {
    const bench = finalise(benchOf(0), 4);
    bench.hear(3, { type: 'certificate', certificate: commitOf(bench, 2) });
    expect(bench.sent).toEqual([]);
    bench.hear(3, ...Array.from({ length: 5 }, () => bench.timeout(3, 0, undefined, 2)));
    expect(bench.sent).toHaveLength(1);
  });
});

describe('E5: doubt', () => {
  const answer = (bench: Bench, from: number, height: number): void => {
    const { ask } = bench.said('status')[0]!;
    bench.step();
    bench.hear(from, status({ height: height + 1, commit: commitOf(bench, height), answer: ask }));
  };
  const isVoting = (bench: Bench): boolean => bench.replica.status().isVoting;

  it('asks the next custodians, whatever those before have answered', () => {
    const bench = benchOf(3).forget();
    const { ask } = bench.said('status')[0]!;
    for (const from of [0, 1]) bench.hear(from, status({ answer: ask }));
    finalise(bench, 2);
    expect(isVoting(bench)).toBe(false);
    const asked = bench.sent.flatMap(({ to, message }) =>
      message.type === 'status' && message.ask > 0 ? [[to, message.ask > ask]] : [],
    );
    expect(asked).toEqual([2, 4, 5].map((to) => [to, true]));
    // What was in doubt before the boundary may be more than two heights away.
    finalise(bench, 7);
    expect(isVoting(bench)).toBe(false);
  });

  it('ends with the answers of those who are custodians then', () => {
    const bench = finalise(benchOf(3).forget(), 2);
    const { ask } = bench.said('status').find((message) => message.ask > 0)!;
    for (const from of [4, 5]) {
      bench.hear(from, status({ height: 3, commit: commitOf(bench, 2), answer: ask }));
    }
    expect(isVoting(finalise(bench, 3))).toBe(false);
    expect(isVoting(finalise(bench, 4))).toBe(true);
  });

  it('stays over a restart on either side', () => {
    const bench = benchOf(3).forget();
    for (const from of [0, 1]) answer(bench.restart(), from, 1);
    expect(isVoting(finalise(bench.restart(), 4))).toBe(false);
    expect(isVoting(finalise(bench.restart(), 9))).toBe(false);
  });

  it('of an agent waits until it is a custodian, and asks then', () => {
    const bench = benchOf(4).forget();
    expect([bench.sent, bench.told('doubt')]).toEqual([[], []]);
    expect(bench.replica.status().doubt).toBeUndefined();
    finalise(bench.restart(), 2);
    expect(bench.replica.status().doubt).toContain('may have voted');
    expect(bench.told('doubt')).toHaveLength(1);
    const { ask } = bench.said('status').find((message) => message.ask > 0)!;
    for (const from of [2, 3])
      bench.hear(from, status({ commit: commitOf(bench, 2), answer: ask }));
    expect(isVoting(finalise(bench, 3))).toBe(false);
    expect(isVoting(finalise(bench, 4))).toBe(true);
  });

  it('of a restored home stays with the keys that it brought, agent or custodian', () => {
    const bench = benchOf(4, { changes: [[4, 6, 1]] }).forget('restored');
    bench.held.add(1);
    for (let height = 2; height <= 4; height += 1)
      expect(isVoting(finalise(bench, height))).toBe(false);
    expect(isVoting(finalise(bench, 5))).toBe(true);
  });

  it('that is vouched for does not come back at the boundary', () => {
    const bench = finalise(benchOf(3).forget('vouched'), 2);
    expect(isVoting(bench)).toBe(true);
    const seen = bench.share(3, { kind: 'commit', digest: A, height: 3 });
    bench.hear(4, status({ height: 3, seen }));
    expect(bench.told('doubt')).toEqual([]);
  });
});

describe('E6: evidence', () => {
  it('is believed of a custodian that was removed, and of nobody else with its index', () => {
    const bench = finalise(benchOf(3), 4);
    const claim = (value: string) => {
      const {
        digest: of,
        highView,
        signature,
      } = bench.share(0, {
        kind: 'prepare',
        digest: value,
        height: 2,
      });
      return { digest: of, highView, signature };
    };
    const claims = [claim(A), claim(B)] as const;
    const evidence = { kind: 'prepare', custodian: 0, height: 2, view: 0, claims } as const;
    bench.hear(4, { type: 'evidence', evidence: { ...evidence, height: 3 } });
    expect(bench.told('evidence')).toEqual([]);
    // By whomever it is told.
    bench.hear(1, { type: 'evidence', evidence });
    expect(bench.told('evidence')).toEqual([{ type: 'evidence', evidence, nodeId: 'node-000' }]);
  });
});

describe('Y1: a replica that has caught up', () => {
  it('goes to the height after the certificate, and tells of no block', () => {
    const bench = finalise(benchOf(3), 1);
    const { leaders } = bench;
    const certificate = commitOf(bench, 2);
    const later = new Bench({ custodians: 4 }).step({ type: 'start' });
    const jump = later.certificate('commit', A, { height: 40 });
    later.step(
      { type: 'work', isWaiting: true },
      { type: 'caught-up', certificate: jump, leaders },
    );
    expect([later.replica.height, later.told('finalised')]).toEqual([41, []]);
    expect(later.rows.get('consensus/replica final')?.value).toBeDefined();
    later.step({ type: 'caught-up', certificate: later.certificate('commit', A), leaders });
    expect(later.replica.height).toBe(41);
    expect(certificate.height).toBe(2);
  });
});
