import { describe, expect, it } from 'vitest';
import type { StatusMessage } from '../../../src/core/consensus/messages.ts';
import { A, B, Bench } from './support/bench.ts';

/** What a custodian whose last final height is that of `commit` answers. */
function answer(bench: Bench, question: number, height: number): StatusMessage {
  const commit = height === 1 ? undefined : bench.certificate('commit', A, { height: height - 1 });
  const rest = { high: undefined, timeout: undefined, seen: undefined, ask: 0, answer: question };
  return { type: 'status', height, view: 0, commit, ...rest };
}

/** Makes the present height final. */
function finalise(bench: Bench): Bench {
  const { height } = bench.replica;
  const certificate = bench.certificate('commit', A, { height });
  return bench.step({ type: 'certified', certificate }).judge(A);
}

describe('D3, D4: in doubt', () => {
  it('a replica neither proposes nor votes nor times out', () => {
    const bench = new Bench({ self: 0 }).forget();
    expect(bench.told('doubt')).toHaveLength(1);
    bench.step({ type: 'work', isWaiting: true });
    expect(bench.told('build')).toEqual([]);
    expect(bench.alarms.has('view')).toBe(false);
    bench.hear(1, bench.timeout(1, 0)).hear(2, bench.timeout(2, 0)).hear(3, bench.timeout(3, 0));
    expect(bench.sent.filter(({ message }) => message.type !== 'timeout-certificate')).toEqual([]);
    bench.accept(A, 1, bench.timeouts(0));
    expect(bench.said('vote')).toEqual([]);
    expect(bench.replica.status()).toMatchObject({ isVoting: false });
  });

  it('asks all, again and again, until n - f - 1 have answered', () => {
    const bench = new Bench().forget();
    expect(bench.said('status')).toHaveLength(1);
    expect(bench.sent.map(({ to }) => to)).toEqual([0, 1, 2]);
    const { ask } = bench.said('status')[0]!;
    expect(ask).toBeGreaterThan(0);
    expect(bench.ring('catch-up').said('status')).toMatchObject([{ ask }]);
    bench.hear(0, answer(bench, ask, 1), answer(bench, ask, 1));
    bench.hear(1, answer(bench, ask - 1, 1));
    expect(bench.alarms.has('catch-up')).toBe(true);
    bench.hear(1, answer(bench, ask, 1));
    expect(bench.alarms.has('catch-up')).toBe(false);
  });

  it('votes again once the height after the highest of the answers is final', () => {
    const bench = new Bench().forget();
    const { ask } = bench.said('status')[0]!;
    bench.hear(0, answer(bench, ask, 3)).hear(1, answer(bench, ask, 2));
    for (const height of [1, 2, 3]) {
      finalise(bench);
      expect(bench.replica).toMatchObject({ finalised: height });
      expect(bench.replica.status().isVoting).toBe(false);
    }
    finalise(bench);
    expect(bench.replica.status()).toMatchObject({ isVoting: true, doubt: undefined });
    bench.hear(0, bench.proposal(B, { height: 5 }));
    expect(bench.judge(B).said('vote')).toMatchObject([{ height: 5, digest: B }]);
    expect(bench.restart().replica.status().isVoting).toBe(true);
  });

  it('believes no height that is not proven', () => {
    const bench = new Bench().forget();
    const { ask } = bench.said('status')[0]!;
    const lie = answer(bench, ask, 1000);
    bench.hear(0, { ...lie, commit: { ...lie.commit!, digest: B } });
    bench.hear(0, { ...lie, commit: undefined });
    bench.hear(1, answer(bench, ask, 1));
    finalise(finalise(bench));
    expect(bench.replica.status().isVoting).toBe(true);
  });

  it('stays so over a restart that looks sound', () => {
    const bench = new Bench().forget();
    bench.restart('sound');
    expect(bench.replica.status().isVoting).toBe(false);
    const { ask } = bench.said('status')[0]!;
    bench.hear(0, answer(bench, ask, 1)).hear(1, answer(bench, ask, 1));
    finalise(bench);
    bench.restart('sound');
    expect(bench.replica.status().isVoting).toBe(false);
    expect(finalise(bench).replica.status().isVoting).toBe(true);
  });

  it('answers others who ask', () => {
    const bench = new Bench();
    bench.hear(0, { ...answer(bench, 0, 1), ask: 77 });
    expect(bench.sent).toMatchObject([{ to: 0, message: { type: 'status', answer: 77 } }]);
    expect(bench.hear(0, { ...answer(bench, 0, 1), ask: 77 }).sent).toEqual([]);
  });

  it('never ends by itself where nothing becomes final without this node', () => {
    const bench = new Bench({ custodians: 1, self: 0 }).forget();
    bench.step({ type: 'work', isWaiting: true });
    expect(bench.told('build')).toEqual([]);
    expect(bench.alarms.size).toBe(0);
  });
});

describe('D5: a vote of its own that it does not remember', () => {
  const seen = (bench: Bench, status: Partial<StatusMessage>) =>
    bench.hear(0, { ...answer(bench, 0, 1), ...status });

  it('in a status, signed by itself, puts it in doubt', () => {
    const bench = new Bench();
    seen(bench, { seen: bench.share(3, { kind: 'commit', digest: A, height: 4 }) });
    expect(bench.told('doubt')).toHaveLength(1);
    const { ask } = bench.said('status')[0] ?? bench.ring('catch-up').said('status')[0]!;
    bench.hear(0, answer(bench, ask, 1)).hear(1, answer(bench, ask, 1));
    finalise(finalise(finalise(bench)));
    expect(bench.replica.status().isVoting).toBe(false);
    expect(finalise(bench).replica.status().isVoting).toBe(true);
    // It is known now, and below all that will be signed.
    seen(bench, { seen: bench.share(3, { kind: 'commit', digest: A, height: 4 }) });
    expect(bench.told('doubt')).toEqual([]);
  });

  it('is verified once, however often it is shown', () => {
    const bench = new Bench();
    const loss = bench.share(3, { kind: 'commit', digest: A, height: 4 });
    for (let i = 0; i < 10; i += 1) seen(bench, { seen: loss });
    const forged = bench.share(3, { kind: 'prepare', digest: B });
    expect(bench.verified.single).toBe(1);
    const other = new Bench().accept(A);
    for (let i = 0; i < 10; i += 1) seen(other, { seen: forged });
    expect(other.verified.single).toBe(1);
  });

  it('does not, when somebody else made it up', () => {
    const bench = new Bench();
    seen(bench, { seen: bench.share(2, { kind: 'commit', digest: A, height: 1 }) });
    expect(bench.told('doubt')).toEqual([]);
    expect(bench.told('bad-share')).toMatchObject([{ from: 'node-000' }]);
  });

  it('does not, when it remembers', () => {
    const bench = new Bench().accept(A);
    seen(bench, { seen: bench.share(3, { kind: 'prepare', digest: A }) });
    bench.restart();
    seen(bench, { seen: bench.share(3, { kind: 'prepare', digest: A }) });
    expect(bench.told('doubt')).toEqual([]);
  });

  it('in a certificate does as well', () => {
    const bench = new Bench();
    const certificate = bench.certificate('prepare', A, { signers: [1, 2, 3] });
    bench.hear(0, { type: 'certificate', certificate });
    expect(bench.told('doubt')).toHaveLength(1);
    const other = new Bench();
    const named = new Map([1, 2, 3].map((i) => [i, undefined]));
    other.hear(0, { type: 'timeout-certificate', certificate: other.timeouts(0, named) });
    expect(other.told('doubt')).toHaveLength(1);
  });
});

describe('D6: the own key elsewhere', () => {
  it('another vote for a slot in which it has voted is told, and is evidence', () => {
    const bench = new Bench().accept(A);
    const seen = bench.share(3, { kind: 'prepare', digest: B });
    bench.hear(0, { ...answer(bench, 0, 1), seen });
    expect(bench.told('key-elsewhere')).toHaveLength(1);
    expect(bench.told('evidence')).toMatchObject([{ evidence: { custodian: 3, kind: 'prepare' } }]);
    expect(bench.replica.status().keyElsewhere).toBeTypeOf('string');
  });

  it('a certificate with its signature on what it did not sign is told', () => {
    const bench = new Bench().accept(A);
    const certificate = bench.certificate('prepare', B, { signers: [1, 2, 3] });
    bench.hear(0, { type: 'certificate', certificate });
    expect(bench.told('key-elsewhere')).toHaveLength(1);
  });
});

describe('D7: an operator may vouch', () => {
  it('which ends every doubt', () => {
    const bench = new Bench({ custodians: 1, self: 0 }).forget();
    expect(bench.restart('vouched').replica.status().isVoting).toBe(true);
    bench.step({ type: 'work', isWaiting: true });
    expect(bench.told('build')).toHaveLength(1);
    expect(bench.restart('sound').replica.status().isVoting).toBe(true);
  });

  it('and lets none arise until the next start', () => {
    const bench = new Bench().forget('vouched');
    const seen = bench.share(3, { kind: 'commit', digest: A, height: 4 });
    bench.hear(0, { ...answer(bench, 0, 1), seen });
    expect(bench.told('doubt')).toEqual([]);
    expect(bench.replica.status().isVoting).toBe(true);
  });
});
