import { describe, expect, it } from 'vitest';
import { A, B, Bench } from './support/bench.ts';

describe('P3: prepare', () => {
  it('is voted once the chain has executed the block', () => {
    const bench = new Bench();
    bench.hear(0, bench.proposal(A));
    expect(bench.told('check')).toMatchObject([{ height: 1, view: 0, digest: A, proposer: 0 }]);
    expect(bench.said('vote')).toEqual([]);
    bench.judge(A);
    expect(bench.said('vote')).toMatchObject([{ phase: 'prepare', view: 0, digest: A }]);
    expect(bench.sent).toHaveLength(3);
  });

  it('is not voted for what the chain refuses', () => {
    const bench = new Bench();
    bench.hear(0, bench.proposal(A));
    expect(bench.judge(A, { isValid: false }).sent).toEqual([]);
    expect(bench.judge(A).sent).toEqual([]);
  });

  it('is not voted for a block of an earlier view that nothing binds to', () => {
    const bench = new Bench();
    const timeout = bench.timeouts(0);
    bench.hear(1, bench.proposal(A, { view: 1, timeout }));
    expect(bench.told('check')).toHaveLength(1);
    expect(bench.judge(A, { view: 0 }).said('vote')).toEqual([]);
  });

  it('is voted for the first proposal of a view only', () => {
    const bench = new Bench().accept(A);
    bench.hear(0, bench.proposal(B));
    expect(bench.judge(B).said('vote')).toEqual([]);
  });

  it('is voted neither for others than the leader nor for a forged signature', () => {
    const bench = new Bench();
    bench.hear(1, bench.proposal(A));
    expect(bench.told('check')).toEqual([]);
    bench.hear(0, bench.proposal(A, { signer: 1 }));
    expect(bench.told('check')).toEqual([]);
    expect(bench.told('bad-share')).toEqual([
      { type: 'bad-share', from: 'node-000', what: 'proposal' },
    ]);
  });

  it('is voted after view 0 only with the timeout certificate of the view before', () => {
    const bench = new Bench();
    bench.hear(1, bench.proposal(A, { view: 1 }));
    bench.hear(2, bench.proposal(A, { view: 2, timeout: bench.timeouts(0) }));
    expect(bench.replica.status().view).toBe(0);
    bench.hear(1, bench.proposal(A, { view: 1, timeout: bench.timeouts(0) }));
    expect(bench.judge(A, { view: 1 }).said('vote')).toMatchObject([{ view: 1 }]);
  });

  it('is not voted against P2', () => {
    const bench = new Bench();
    const high = bench.certificate('prepare', A);
    const timeout = bench.timeouts(0, new Map([0, 1, 2].map((i) => [i, high])));
    bench.hear(1, bench.proposal(B, { view: 1, timeout }));
    expect(bench.told('check')).toEqual([]);
    expect(bench.told('bad-share')).toHaveLength(1);
    bench.hear(1, bench.proposal(A, { view: 1, timeout }));
    expect(bench.judge(A, { view: 0 }).said('vote')).toMatchObject([{ view: 1, digest: A }]);
  });

  it('is not voted with a certificate that hides what its signers named', () => {
    const bench = new Bench();
    const high = bench.certificate('prepare', A);
    const timeout = bench.timeouts(0, new Map([0, 1, 2].map((i) => [i, high])));
    const groups = [{ highView: undefined, signers: [0, 1, 2] }];
    const forged = { ...timeout, groups, high: undefined };
    bench.hear(1, bench.proposal(B, { view: 1, timeout: forged }));
    expect(bench.told('check')).toEqual([]);
    expect(bench.replica.status().view).toBe(0);
  });
});

describe('P4: lock', () => {
  it('takes a quorum, each custodian once', () => {
    const bench = new Bench().accept(A);
    bench.hear(0, bench.vote(0, 'prepare', A), bench.vote(0, 'prepare', A));
    expect(bench.said('vote')).toEqual([]);
    bench.hear(1, bench.vote(1, 'prepare', A));
    expect(bench.said('vote')).toMatchObject([{ phase: 'commit', digest: A }]);
    expect(bench.replica.high).toMatchObject({ view: 0, digest: A, signers: [0, 1, 3] });
  });

  it('takes a quorum for one digest', () => {
    const bench = new Bench().accept(A);
    bench.hear(0, bench.vote(0, 'prepare', A)).hear(1, bench.vote(1, 'prepare', B));
    expect(bench.said('vote')).toEqual([]);
  });

  it('does not take shares of one custodian from another', () => {
    const bench = new Bench().accept(A);
    bench.hear(0, bench.vote(0, 'prepare', A), bench.vote(1, 'prepare', A));
    bench.hear(2, bench.vote(1, 'prepare', A));
    expect(bench.told('bad-share')).toMatchObject([{ from: 'node-002' }]);
    expect(bench.said('vote')).toEqual([]);
  });

  it('is there before the verdict, but the vote waits for it', () => {
    const bench = new Bench();
    bench.hear(0, bench.proposal(A), {
      type: 'certificate',
      certificate: bench.certificate('prepare', A),
    });
    expect(bench.said('vote')).toEqual([]);
    expect(bench.replica.high).toMatchObject({ digest: A });
    expect(
      bench
        .judge(A)
        .said('vote')
        .map(({ phase }) => phase),
    ).toContain('commit');
  });

  it('is named by every timeout from then on', () => {
    const bench = new Bench().accept(A);
    bench.hear(0, { type: 'certificate', certificate: bench.certificate('prepare', A) });
    bench.ring('view');
    expect(bench.said('timeout')).toMatchObject([{ view: 0, high: { digest: A, view: 0 } }]);
    bench.hear(1, bench.timeout(1, 0)).hear(2, bench.timeout(2, 0));
    expect(bench.replica.status().view).toBe(1);
    bench.ring('view');
    expect(bench.said('timeout')).toMatchObject([{ view: 1, high: { digest: A, view: 0 } }]);
  });

  it('votes no commit for a view that is over (T5)', () => {
    const bench = new Bench().accept(A);
    bench.hear(1, { type: 'timeout-certificate', certificate: bench.timeouts(0) });
    bench.hear(0, { type: 'certificate', certificate: bench.certificate('prepare', A) });
    expect(bench.said('vote')).toEqual([]);
    expect(bench.replica.high).toMatchObject({ view: 0 });
  });
});

describe('P5: finalise', () => {
  it('ends the height, whatever view the replica is in', () => {
    const bench = new Bench().accept(A);
    bench.hear(1, { type: 'timeout-certificate', certificate: bench.timeouts(0) });
    for (const from of [0, 1, 2]) bench.hear(from, bench.vote(from, 'commit', A));
    expect(bench.told('finalised')).toMatchObject([{ height: 1, digest: A, view: 0 }]);
    expect(bench.told('entered')).toMatchObject([{ height: 2, view: 0, leader: 1 }]);
    expect(bench.replica).toMatchObject({ height: 2, finalised: 1 });
    expect(bench.leaders.facts).toEqual([{ height: 1, view: 0, seed: undefined }]);
  });

  it('waits for the verdict of the chain', () => {
    const bench = new Bench();
    bench.hear(0, bench.proposal(A));
    bench.hear(1, { type: 'certificate', certificate: bench.certificate('commit', A) });
    expect(bench.told('finalised')).toEqual([]);
    expect(bench.told('fetch')).toEqual([]);
    expect(bench.judge(A).told('finalised')).toHaveLength(1);
  });

  it('fetches a block that is not here, again and again', () => {
    const bench = new Bench();
    bench.hear(1, { type: 'certificate', certificate: bench.certificate('commit', A) });
    const wanted = {
      type: 'fetch',
      height: 1,
      digest: A,
      from: ['node-000', 'node-001', 'node-002'],
    };
    expect(bench.told('fetch')).toEqual([wanted]);
    expect(bench.replica.status().phase).toBe('catch-up');
    expect(bench.ring('catch-up').told('fetch')).toEqual([wanted]);
    expect(bench.judge(A).told('finalised')).toHaveLength(1);
    expect(bench.alarms.has('catch-up')).toBe(false);
  });

  it('takes what the chain refused as a proposal and accepts with its certificate', () => {
    const bench = new Bench();
    bench.hear(0, bench.proposal(A));
    bench.judge(A, { isValid: false });
    bench.hear(1, { type: 'certificate', certificate: bench.certificate('commit', A) });
    expect(bench.told('fetch')).toHaveLength(1);
    expect(bench.judge(A).told('finalised')).toHaveLength(1);
  });

  it('works in either order of certificate and verdict of a fetched block', () => {
    const bench = new Bench();
    const certified = { type: 'certified', certificate: bench.certificate('commit', A) } as const;
    expect(bench.judge(A).step(certified).told('finalised')).toHaveLength(1);
    const next = bench.certificate('commit', B, { height: 2 });
    bench.step({ type: 'certified', certificate: next });
    expect(bench.judge(B).told('finalised')).toHaveLength(1);
  });
});

describe('P6: once', () => {
  it('the same bytes again after a restart, and nothing else', () => {
    const bench = new Bench().accept(A);
    const [before] = bench.said('vote');
    bench.restart();
    bench.hear(0, bench.proposal(B));
    expect(bench.judge(B).said('vote')).toEqual([]);
    bench.ring('repeat');
    expect(bench.said('vote')).toMatchObject([{ digest: A, signature: before!.signature }]);
    // Else the leader's other signature would make a liar of this node.
    expect(bench.said('vote')[0]!.proposal).toBeUndefined();
  });

  it('no vote after a restart in a view that was given up', () => {
    const bench = new Bench().step({ type: 'work', isWaiting: true }).ring('view').restart();
    bench.accept(A);
    expect(bench.said('vote')).toEqual([]);
  });
});

describe('P7: unlock', () => {
  it('a locked replica votes for another digest when a quorum knew of no lock', () => {
    const bench = new Bench().accept(A);
    bench.hear(0, { type: 'certificate', certificate: bench.certificate('prepare', A) });
    const timeout = bench.timeouts(0);
    bench.hear(1, bench.proposal(B, { view: 1, timeout }));
    expect(bench.judge(B, { view: 1 }).said('vote')).toMatchObject([{ view: 1, digest: B }]);
    expect(bench.replica.high).toMatchObject({ view: 0, digest: A });
  });
});

describe('D1: durable first', () => {
  it('each vote and its row are in one step', () => {
    const bench = new Bench().accept(A);
    expect(bench.entries.map(({ key }) => key)).toContain('slot');
    bench.hear(0, { type: 'certificate', certificate: bench.certificate('prepare', A) });
    expect(bench.entries.map(({ key }) => key)).toEqual(expect.arrayContaining(['slot', 'high']));
    bench.ring('view');
    expect(bench.entries.map(({ key }) => key)).toEqual(expect.arrayContaining(['slot', 'named']));
    bench.hear(1, { type: 'timeout-certificate', certificate: bench.timeouts(0) });
    expect(bench.entries.map(({ key }) => key)).toEqual(expect.arrayContaining(['slot', 'entry']));
    bench.restart();
    expect(bench.replica.status()).toMatchObject({ view: 1, high: { digest: A } });
  });
});

describe('how votes travel', () => {
  it('to the leader in larger clusters, who returns one certificate a phase', () => {
    const follower = new Bench({ custodians: 10, self: 3 }).accept(A);
    expect(follower.sent.map(({ to }) => to)).toEqual([0]);
    const leader = new Bench({ custodians: 10, self: 0 }).step({ type: 'work', isWaiting: true });
    leader.step({ type: 'proposal', height: 1, view: 0, digest: A, payload: Uint8Array.of(1) });
    expect(leader.said('vote')).toEqual([]);
    for (const from of [1, 2, 3, 4, 5, 6]) leader.hear(from, leader.vote(from, 'prepare', A));
    expect(leader.said('certificate')).toMatchObject([{ certificate: { phase: 'prepare' } }]);
    expect(leader.sent).toHaveLength(9);
  });
});
