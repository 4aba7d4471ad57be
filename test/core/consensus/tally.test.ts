import { describe, expect, it } from 'vitest';
import { Ahead } from '../../../src/core/consensus/ahead.ts';
import { LIMITS } from '../../../src/core/consensus/limits.ts';
import type { ConsensusMessage } from '../../../src/core/consensus/messages.ts';
import { settingOf } from '../../../src/core/consensus/setting.ts';
import { Tally } from '../../../src/core/consensus/tally.ts';
import { type Sender, Trust } from '../../../src/core/consensus/trust.ts';
import type { Evidence, Share } from '../../../src/core/consensus/types.ts';
import { A, B, Bench, digest } from './support/bench.ts';
import { CLUSTER_ID, nodeIdOf } from './support/cluster.ts';

/** A tally of custodian 3 of 4, and what it found out. */
function setUp(custodians = 4) {
  const bench = new Bench({ custodians, self: 3 });
  const { scheme, ids } = bench;
  const setting = settingOf(
    { clusterId: CLUSTER_ID, custodians: ids, self: 3, held: [] },
    { scheme },
  );
  const bad: Sender[] = [];
  const evidence: Evidence[] = [];
  const trust = new Trust();
  const tally = new Tally(setting, 1, trust, {
    badShare: (from) => bad.push(from),
    evidence: (found) => evidence.push(found),
    isNews: () => evidence.length < LIMITS.evidence,
  });
  const prepare = (from: number, value = A, view = 0): Share =>
    bench.share(from, { kind: 'prepare', digest: value, view });
  const forged = (from: number, value = A, view = 0): Share => {
    return { ...prepare(from, value, view), signature: prepare(from, B, view + 1).signature };
  };
  return { bench, tally, trust, bad, evidence, prepare, forged };
}

describe('the tally', () => {
  it('verifies once, and only when a quorum is there', () => {
    const { bench, tally, prepare } = setUp();
    for (const from of [0, 1]) tally.add(from, prepare(from));
    expect(tally.take()).toBeUndefined();
    expect(bench.verified).toEqual({ single: 0, aggregate: 0 });
    tally.add(3, prepare(3));
    expect(tally.take()).toMatchObject({ certificate: { signers: [0, 1, 3], digest: A } });
    expect(bench.verified).toEqual({ single: 0, aggregate: 1 });
    tally.add(2, prepare(2));
    expect(tally.take()).toBeUndefined();
  });

  it('drops a bad share, names its sender, and goes on with the rest', () => {
    const { bench, tally, bad, prepare, forged } = setUp();
    tally.add(0, forged(0));
    for (const from of [1, 3]) tally.add(from, prepare(from));
    expect(tally.take()).toBeUndefined();
    expect(bad).toEqual([0]);
    // One chance a slot: what it sends now is not looked at.
    const { single } = bench.verified;
    tally.add(0, prepare(0));
    expect(bench.verified.single).toBe(single);
    tally.add(2, prepare(2));
    expect(tally.take()).toMatchObject({ certificate: { signers: [1, 2, 3] } });
  });

  it('remembers who lied: its shares are verified alone, and after some not at all', () => {
    const { bench, tally, trust, bad, prepare, forged } = setUp();
    trust.lied(0);
    tally.add(0, prepare(0));
    expect(bench.verified.single).toBe(1);
    for (let view = 1; view <= 50; view += 1) tally.add(0, forged(0, A, view));
    expect(bad).toHaveLength(LIMITS.lies - 1);
    expect(bench.verified.single).toBe(LIMITS.lies);
    trust.forgive();
    tally.add(0, prepare(0, A, 51));
    expect(bench.verified.single).toBe(LIMITS.lies + 1);
  });

  it('counts an equivocator under each of its values, and once in a certificate', () => {
    const { tally, evidence, prepare } = setUp();
    tally.add(0, prepare(0, B));
    tally.add(0, prepare(0, A));
    tally.add(0, prepare(0, digest('third')));
    for (const from of [1, 2]) tally.add(from, prepare(from));
    expect(tally.take()).toMatchObject({ certificate: { signers: [0, 1, 2], digest: A } });
    expect(evidence).toMatchObject([{ custodian: 0, kind: 'prepare', height: 1, view: 0 }]);
    expect(evidence[0]!.claims.map((claim) => claim.digest)).toEqual([A, B]);
    expect(tally.keptOf(0)).toBe(2);
  });

  it('accuses nobody by a share that does not hold', () => {
    const { tally, evidence, bad, prepare, forged } = setUp();
    tally.add(0, prepare(0, B));
    tally.add(0, forged(0, A));
    expect([evidence, bad]).toEqual([[], [0]]);
  });

  it('verifies nothing for evidence that would not be kept', () => {
    const { bench, tally, evidence, prepare } = setUp();
    const equivocate = (view: number) => {
      for (const value of [A, B]) tally.add(0, prepare(0, value, view));
    };
    for (let view = 0; view < LIMITS.evidence; view += 1) equivocate(view);
    expect(evidence).toHaveLength(LIMITS.evidence);
    const { single } = bench.verified;
    for (let view = 50; view < 100; view += 1) equivocate(view);
    expect(bench.verified.single).toBe(single);
    expect(evidence).toHaveLength(LIMITS.evidence);
  });

  it('gives a timeout certificate in which nobody stands twice', () => {
    const { bench, tally, evidence } = setUp();
    const timeout = (from: number, highView?: number): Share =>
      bench.share(from, { kind: 'timeout', view: 4, highView });
    tally.add(0, timeout(0, 1));
    tally.add(0, timeout(0));
    tally.add(1, timeout(1));
    expect(tally.take()).toBeUndefined();
    expect(evidence).toHaveLength(1);
    tally.add(3, timeout(3, 2));
    const quorum = tally.take();
    expect(quorum).toMatchObject({
      timeouts: {
        view: 4,
        groups: [
          { highView: undefined, signers: [1] },
          { highView: 1, signers: [0] },
          { highView: 2, signers: [3] },
        ],
      },
    });
  });

  it('keeps so much of one custodian and no more, and forgets old views', () => {
    const { tally, prepare } = setUp();
    for (let view = 0; view < LIMITS.shares + 50; view += 1) tally.add(0, prepare(0, A, view));
    expect(tally.keptOf(0)).toBe(LIMITS.shares);
    tally.prune(100);
    expect(tally.keptOf(0)).toBe(LIMITS.shares - 100);
    expect(tally.signers('prepare', 99)).toEqual([]);
    expect(tally.signers('prepare', 100)).toEqual([0]);
  });

  it('says who was heard where', () => {
    const { bench, tally, prepare } = setUp(7);
    tally.add(0, prepare(0, A, 2));
    tally.add(1, bench.share(1, { kind: 'timeout', view: 5 }));
    tally.add(3, prepare(3, A, 9));
    expect([0, 3, 6].map((view) => tally.heardSince(view))).toEqual([2, 1, 0]);
    expect(tally.hasVote('prepare', 2, A, 0)).toBe(true);
    expect(tally.hasVote('prepare', 2, B, 0)).toBe(false);
  });
});

describe('messages that come early', () => {
  it('are kept within limits, the latest of them, and given once', () => {
    const ahead = new Ahead();
    const vote = (view: number): ConsensusMessage => new Bench().vote(0, 'prepare', A, view, 2);
    for (let view = 0; view < LIMITS.earlyMessages + 3; view += 1)
      ahead.keep(nodeIdOf(1), vote(view));
    const proposal = new Bench().proposal(A, { height: 2 });
    ahead.keep(nodeIdOf(0), new Bench().proposal(B, { height: 2 }));
    ahead.keep(nodeIdOf(0), proposal);
    ahead.keep(nodeIdOf(3), vote(0));
    expect(ahead.senders(nodeIdOf(3))).toBe(2);
    const early = ahead.take();
    expect(early).toHaveLength(LIMITS.earlyMessages + 2);
    expect(early[0]).toEqual({ from: nodeIdOf(0), message: proposal });
    expect(early[1]).toMatchObject({ from: nodeIdOf(1), message: { view: 3 } });
    expect(ahead.take()).toEqual([]);
  });
});
