/** Keys that change by height (C1 to C3), and homes without the right one (K1 to K3). */
import { describe, expect, it } from 'vitest';
import { createEvidence } from '../../../src/core/consensus/evidence.ts';
import { LIMITS } from '../../../src/core/consensus/limits.ts';
import type { StatusMessage } from '../../../src/core/consensus/messages.ts';
import { A, B, Bench } from './support/bench.ts';

/** Makes the present height final. */
function finalise(bench: Bench): Bench {
  const certificate = bench.certificate('commit', A, { height: bench.replica.height });
  return bench.step({ type: 'certified', certificate }).judge(A);
}

const isVoting = (bench: Bench): boolean => bench.replica.status().isVoting;

function status(fields: Partial<StatusMessage>): StatusMessage {
  const none = { commit: undefined, high: undefined, timeout: undefined, seen: undefined };
  return { type: 'status', height: 1, view: 0, ...none, ask: 0, answer: 0, ...fields };
}

describe('C1, C2: a key that changes', () => {
  it('signs from its first height on, and the one before up to there', () => {
    const bench = new Bench({ self: 3, changes: [[3, 2, 1]] });
    bench.held.add(1);
    const before = bench.accept(A).said('vote')[0]!;
    expect(before.signature).toEqual(bench.share(3, { kind: 'prepare', digest: A }).signature);
    finalise(bench);
    bench.hear(1, bench.proposal(B, { height: 2 }));
    const after = bench.judge(B).said('vote')[0]!;
    const expected = bench.share(3, { kind: 'prepare', height: 2, digest: B }).signature;
    expect(after).toMatchObject({ height: 2, signature: expected });
    const old = new Bench({ self: 3 }).share(3, { kind: 'prepare', height: 2, digest: B });
    expect(after.signature).not.toEqual(old.signature);
  });

  it('is what votes are counted with at its height', () => {
    const bench = new Bench({ self: 3, changes: [[0, 2, 1]] });
    finalise(bench);
    const stale = new Bench({ self: 3 });
    bench.hear(1, bench.proposal(B, { height: 2 })).judge(B);
    bench.hear(0, stale.vote(0, 'prepare', B, 0, 2)).hear(1, bench.vote(1, 'prepare', B, 0, 2));
    expect(bench.told('bad-share')).toMatchObject([{ from: 'node-000', what: 'prepare' }]);
    bench.hear(2, bench.vote(2, 'prepare', B, 0, 2));
    expect(bench.replica.high).toMatchObject({ height: 2, signers: [1, 2, 3] });
  });

  it('does not make liars of those whose votes came before it was known', () => {
    const bench = new Bench({ self: 3, changes: [[0, 2, 1]] });
    // A lie of an earlier height: each of its shares is verified when it is counted.
    bench.hear(0, {
      type: 'certificate',
      certificate: { ...bench.certificate('prepare', A), digest: B },
    });
    bench.hear(0, bench.vote(0, 'prepare', B, 0, 2));
    bench.hear(1, bench.proposal(B, { height: 2 }));
    finalise(bench);
    expect(bench.told('bad-share')).toEqual([]);
    expect(bench.replica.status().votes.prepare).toEqual([0]);
  });

  it('leaves what was signed before a restart at the same height as it is', () => {
    const bench = new Bench({ self: 3, changes: [[3, 2, 1]] });
    bench.held.add(1);
    finalise(bench);
    bench.hear(1, bench.proposal(B, { height: 2 }));
    const vote = bench.judge(B).said('vote')[0]!;
    bench.held.delete(0);
    bench.restart();
    expect(isVoting(bench)).toBe(true);
    bench.hear(1, bench.proposal(B, { height: 2 })).judge(B);
    expect(bench.ring('repeat').said('vote')).toMatchObject([{ signature: vote.signature }]);
    expect(bench.signing.asked).toBe(1);
  });

  it('waits until the owner knows it: nothing is read or signed between', () => {
    const bench = new Bench({ self: 3 });
    const { sets } = bench;
    const certificate = bench.certificate('commit', A);
    bench.step({ type: 'certified', certificate });
    Object.defineProperty(bench, 'sets', { get: () => sets, set() {} });
    bench.judge(A);
    expect(bench.replica.height).toBe(2);
    expect(isVoting(bench)).toBe(false);
    const verified = bench.verified.aggregate;
    bench.hear(0, {
      type: 'certificate',
      certificate: bench.certificate('prepare', A, { height: 2 }),
    });
    expect(bench.verified.aggregate).toBe(verified);
    expect(bench.replica.high).toBeUndefined();
    sets.advance(1);
    bench.step({ type: 'keys-known' });
    expect(isVoting(bench)).toBe(true);
  });
});

describe('C3: signatures of heights whose keys are not known', () => {
  const rotated = (): Bench => {
    const bench = new Bench({ self: 3, changes: [0, 1, 2].map((i) => [i, 3, 1]) });
    return bench.step({ type: 'start' });
  };

  it('that do not verify are nobody’s lie and lead nowhere, and are tried so often', () => {
    const bench = rotated();
    for (let view = 0; view < 20; view += 1) {
      const certificate = bench.certificate('commit', A, { height: 9, view });
      bench.hear(0, { type: 'certificate', certificate });
      expect(bench.outcomes).toEqual([]);
    }
    expect(bench.verified.aggregate).toBe(LIMITS.strange);
    finalise(bench);
    bench.hear(0, {
      type: 'certificate',
      certificate: bench.certificate('commit', A, { height: 9 }),
    });
    expect(bench.verified.aggregate).toBe(LIMITS.strange + 1);
    expect(bench.told('bad-share')).toEqual([]);
    finalise(bench);
    bench.hear(0, {
      type: 'certificate',
      certificate: bench.certificate('commit', A, { height: 9 }),
    });
    expect(bench.told('fetch')).toMatchObject([{ height: 9 }]);
  });

  it('that verify by the keys of now show where the others are', () => {
    const bench = new Bench();
    bench.hear(0, {
      type: 'certificate',
      certificate: bench.certificate('commit', A, { height: 9 }),
    });
    expect(bench.told('fetch')).toMatchObject([{ height: 9 }]);
  });

  it('are no answer to a doubt until they verify', () => {
    const bench = rotated().forget();
    const { ask } = bench.said('status')[0]!;
    const commit = bench.certificate('commit', A, { height: 7 });
    for (const from of [0, 1, 2]) bench.hear(from, status({ height: 8, commit, answer: ask }));
    expect(bench.alarms.has('catch-up')).toBe(true);
    finalise(finalise(bench));
    for (const from of [0, 1]) bench.hear(from, status({ height: 8, commit, answer: ask }));
    for (const height of [3, 4, 5, 6, 7, 8]) {
      expect([bench.replica.height, isVoting(bench)]).toEqual([height, false]);
      finalise(bench);
    }
    expect(isVoting(finalise(bench))).toBe(true);
  });

  it('put nobody in doubt by a lie, and a copy that went on does', () => {
    const bench = new Bench({ self: 3 });
    const forged = bench.share(2, { kind: 'commit', digest: A, height: 40 });
    for (let i = 0; i < 20; i += 1) bench.hear(0, status({ seen: forged }));
    expect(bench.outcomes).toEqual([]);
    expect(bench.verified.single).toBe(LIMITS.strange);
    bench.hear(1, status({ seen: bench.share(3, { kind: 'commit', digest: A, height: 40 }) }));
    expect(bench.told('doubt')).toHaveLength(1);
  });

  it('are no evidence: a key that was retired and stolen accuses nobody', () => {
    const bench = new Bench({ self: 3, changes: [[0, 2, 1]] }).step({ type: 'start' });
    const thief = new Bench({ self: 3 });
    const crime = (height: number, by: Bench) => {
      const slot = { kind: 'commit', custodian: 0, height, view: 0 } as const;
      const [one, other] = [A, B].map((value) =>
        by.share(0, { kind: 'commit', height, digest: value }),
      );
      return { type: 'evidence', evidence: createEvidence(slot, one!, other!) } as const;
    };
    bench.hear(1, crime(2, thief), crime(40, thief));
    expect(bench.outcomes).toEqual([]);
    // What came early is looked at when its height begins, by the key of that height.
    finalise(bench);
    expect(bench.told('evidence')).toEqual([]);
    expect(bench.told('bad-share')).toMatchObject([{ from: 'node-001', what: 'evidence' }]);
    bench.hear(2, crime(2, bench));
    expect(bench.told('evidence')).toMatchObject([{ evidence: { custodian: 0, height: 2 } }]);
  });
});

describe('C4: a signature that is refused', () => {
  it('costs that vote, leaves nothing behind and is asked for again with the repetition', () => {
    const bench = new Bench({ self: 3 });
    bench.signing.isRefused = true;
    bench.accept(A);
    expect(bench.said('vote')).toEqual([]);
    expect(bench.entries).toEqual([]);
    const { asked } = bench.signing;
    bench.hear(0, bench.vote(0, 'prepare', A));
    expect(bench.signing.asked).toBe(asked);
    bench.ring('repeat');
    expect(bench.signing.asked).toBe(asked + 1);
    bench.signing.isRefused = false;
    expect(bench.ring('repeat').said('vote')).toMatchObject([{ phase: 'prepare', digest: A }]);
  });

  it('of a prepare vote does not keep it from the commit vote', () => {
    const bench = new Bench({ self: 3 });
    bench.signing.isRefused = true;
    bench.accept(A);
    bench.signing.isRefused = false;
    bench.hear(0, { type: 'certificate', certificate: bench.certificate('prepare', A) });
    expect(bench.said('vote')).toMatchObject([{ phase: 'commit', digest: A }]);
  });

  it('of a timeout does not make the replica ask without end', () => {
    const bench = new Bench({ self: 3 });
    bench.signing.isRefused = true;
    bench.step({ type: 'work', isWaiting: true });
    bench.ring('view');
    expect([bench.said('timeout'), bench.alarms.has('view')]).toEqual([[], false]);
    expect(bench.alarms.get('repeat')).toBeGreaterThan(bench.now);
    bench.ring('repeat');
    expect(bench.alarms.get('repeat')).toBeGreaterThan(bench.now);
    bench.signing.isRefused = false;
    expect(bench.ring('repeat').said('timeout')).toMatchObject([{ view: 0 }]);
    // T3: nor when others have given up.
    const other = new Bench({ self: 3 });
    other.signing.isRefused = true;
    other.hear(0, other.timeout(0, 2)).hear(1, other.timeout(1, 2));
    expect(other.replica.status()).toMatchObject({ view: 2, timeouts: [0, 1] });
    other.signing.isRefused = false;
    expect(other.ring('repeat').said('timeout')).toMatchObject([{ view: 2 }]);
  });

  it('of a proposal makes the leader ask the chain again', () => {
    const bench = new Bench({ self: 0 });
    bench.signing.isRefused = true;
    bench.step({ type: 'work', isWaiting: true });
    const answer = (value: string) =>
      bench.step({
        type: 'proposal',
        height: 1,
        view: 0,
        digest: value,
        payload: Uint8Array.of(1),
      });
    expect(answer(A).said('proposal')).toEqual([]);
    expect(bench.told('build')).toEqual([]);
    bench.signing.isRefused = false;
    // The same block: the signer may have signed it, and its answer been lost.
    const wanted = [{ type: 'reproposal-wanted', height: 1, digest: A }];
    expect(bench.ring('repeat').outcomes).toEqual(wanted);
    expect(answer(B).said('proposal')).toEqual([]);
    expect(answer(A).said('proposal')).toMatchObject([{ digest: A }]);
  });

  it('of a timeout is one perhaps: it names the same again, and nothing is voted for', () => {
    const bench = new Bench({ self: 3 }).accept(A);
    bench.signing.isRefused = true;
    bench.ring('view');
    bench.signing.isRefused = false;
    const certificate = bench.certificate('prepare', A);
    bench.hear(0, { type: 'certificate', certificate });
    expect(bench.said('vote')).toEqual([]);
    expect(bench.replica.high).toEqual(certificate);
    expect(bench.ring('repeat').said('timeout')).toMatchObject([{ view: 0, high: undefined }]);
    // In the next view it names the certificate.
    bench.hear(1, { type: 'timeout-certificate', certificate: bench.timeouts(0) });
    expect(bench.ring('view').said('timeout')).toMatchObject([{ view: 1, high: certificate }]);
  });

  it('that the chain needs for the block does so too', () => {
    const bench = new Bench({ self: 0 });
    bench.step({ type: 'work', isWaiting: true });
    bench.step({ type: 'no-proposal', height: 1, view: 0, isRefused: true });
    expect(bench.told('build')).toEqual([]);
    expect(bench.ring('repeat').told('build')).toHaveLength(1);
  });
});

describe('K1: doubt', () => {
  it('ends at the first height of a key that the home did not hold when it began', () => {
    const bench = new Bench({ self: 3, changes: [[3, 3, 1]] }).forget();
    bench.held.add(1);
    expect(isVoting(finalise(bench))).toBe(false);
    expect(isVoting(finalise(bench))).toBe(true);
    expect(bench.replica.status().doubt).toBeUndefined();
    expect(isVoting(bench.restart())).toBe(true);
    expect(bench.told('doubt')).toEqual([]);
  });

  it('does not end by a key that the home held already', () => {
    const bench = new Bench({ self: 3, changes: [[3, 2, 1]] });
    bench.held.add(1);
    bench.forget();
    expect(isVoting(finalise(finalise(bench)))).toBe(false);
    expect(isVoting(bench.restart())).toBe(false);
  });

  it('by a vote of a copy is about all keys that the home holds then', () => {
    const bench = new Bench({ self: 3, changes: [[3, 2, 1]] });
    bench.held.add(1);
    bench.hear(0, status({ seen: bench.share(3, { kind: 'commit', digest: A }) }));
    expect(bench.told('doubt')).toHaveLength(1);
    expect(isVoting(finalise(bench))).toBe(false);
  });

  it('is not raised by what a retired key has signed at heights that are past', () => {
    const bench = new Bench({ self: 3, changes: [[3, 3, 1]] });
    bench.held.add(1);
    finalise(finalise(bench));
    bench.hear(0, status({ seen: bench.share(3, { kind: 'commit', digest: B, height: 2 }) }));
    expect(bench.told('doubt')).toEqual([]);
    bench.hear(0, status({ seen: bench.share(3, { kind: 'commit', digest: B, height: 3 }) }));
    expect(bench.told('doubt')).toHaveLength(1);
  });
});

it('a doubt is about so many keys and no more', () => {
  const bench = new Bench({ self: 3 });
  for (let number = 0; number < LIMITS.heldKeys; number += 1) bench.held.add(number);
  expect(isVoting(bench.forget())).toBe(false);
  expect(isVoting(bench.restart())).toBe(false);
  bench.held.add(LIMITS.heldKeys);
  expect(() => bench.forget()).toThrow(/few consensus keys/);
});

describe('K2: a restored home', () => {
  it('does not vote with what it brought, whatever others answer', () => {
    const bench = new Bench({ self: 3, changes: [[3, 6, 1]] }).forget('restored');
    const { ask } = bench.said('status')[0]!;
    for (const from of [0, 1, 2]) bench.hear(from, status({ answer: ask }));
    for (let height = 1; height < 5; height += 1) {
      expect(isVoting(finalise(bench))).toBe(false);
      expect(isVoting(bench.restart('restored'))).toBe(false);
    }
    bench.held.add(1);
    expect(isVoting(finalise(bench))).toBe(true);
    expect(isVoting(bench.restart())).toBe(true);
  });

  it('votes when an operator vouches', () => {
    expect(isVoting(new Bench({ self: 3 }).forget('restored').restart('vouched'))).toBe(true);
  });

  it('has another doubt, that ends by answers, about a key that it has made since', () => {
    const bench = new Bench({ self: 3, changes: [[3, 2, 1]] }).forget('restored');
    bench.held.add(1);
    bench.restart('doubtful');
    finalise(bench);
    const { ask } = bench.ring('catch-up').said('status')[0]!;
    expect(isVoting(bench)).toBe(false);
    for (const from of [0, 1]) bench.hear(from, status({ answer: ask }));
    expect(isVoting(finalise(bench))).toBe(false);
    expect(isVoting(finalise(bench))).toBe(true);
  });
});

describe('K3: a node whose key in force is not in its home', () => {
  it('says so, follows, and votes when the key is there', () => {
    const bench = new Bench({ self: 3, changes: [[3, 2, 1]] });
    finalise(bench);
    expect(bench.replica.status()).toMatchObject({ isVoting: false, keyMissing: true });
    bench.hear(1, bench.proposal(B, { height: 2 })).judge(B);
    expect([bench.said('vote'), bench.alarms.has('view')]).toEqual([[], false]);
    const certificate = bench.certificate('commit', B, { height: 2 });
    expect(bench.hear(0, { type: 'certificate', certificate }).replica.height).toBe(3);
    bench.held.add(1);
    bench.step({ type: 'work', isWaiting: true });
    expect(bench.replica.status()).toMatchObject({ isVoting: true, keyMissing: false });
    const agent = new Bench({ self: undefined });
    expect(agent.replica.status()).toMatchObject({ isVoting: false, keyMissing: false });
  });
});
