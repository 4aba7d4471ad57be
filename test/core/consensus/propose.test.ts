import { describe, expect, it } from 'vitest';
import { A, B, Bench } from './support/bench.ts';

const payload = Uint8Array.of(1, 2, 3);

describe('P1: the leader proposes', () => {
  it('once there is work, once a view, and votes for it', () => {
    const bench = new Bench({ self: 0 }).step({ type: 'start' });
    expect(bench.told('build')).toEqual([]);
    bench.step({ type: 'work', isWaiting: true });
    expect(bench.told('build')).toEqual([{ type: 'build', height: 1, view: 0, previous: '' }]);
    bench.step({ type: 'work', isWaiting: true });
    expect(bench.told('build')).toEqual([]);
    bench.step({ type: 'proposal', height: 1, view: 0, digest: A, payload });
    expect(bench.said('proposal')).toMatchObject([{ height: 1, view: 0, digest: A, payload }]);
    expect(bench.said('vote')).toMatchObject([{ phase: 'prepare', digest: A }]);
    expect(bench.sent.filter(({ message }) => message.type === 'proposal')).toHaveLength(3);
    bench.step({ type: 'proposal', height: 1, view: 0, digest: B, payload });
    expect(bench.sent).toEqual([]);
  });

  it('asks again when there was nothing and work comes', () => {
    const bench = new Bench({ self: 0 }).step(
      { type: 'work', isWaiting: true },
      { type: 'no-proposal', height: 1, view: 0 },
    );
    expect(bench.replica.status().phase).toBe('idle');
    expect(bench.alarms.size).toBe(0);
    bench.step({ type: 'work', isWaiting: true });
    expect(bench.told('build')).toHaveLength(1);
  });

  it('does so in no view of another, and not for another height or view', () => {
    const bench = new Bench({ self: 1 }).step({ type: 'work', isWaiting: true });
    expect(bench.told('build')).toEqual([]);
    bench.step({ type: 'proposal', height: 1, view: 0, digest: A, payload });
    expect(bench.sent).toEqual([]);
    bench.hear(0, { type: 'timeout-certificate', certificate: bench.timeouts(0) });
    expect(bench.told('build')).toMatchObject([{ view: 1 }]);
    bench.step({ type: 'proposal', height: 1, view: 0, digest: A, payload });
    bench.step({ type: 'proposal', height: 2, view: 1, digest: A, payload });
    expect(bench.sent).toEqual([]);
    bench.step({ type: 'proposal', height: 1, view: 1, digest: A, payload });
    expect(bench.said('proposal')).toMatchObject([{ view: 1, timeout: { view: 0 } }]);
  });

  it('names the block before, and carries the certificate that it is final', () => {
    const bench = new Bench({ self: 1 }).step({ type: 'work', isWaiting: true });
    bench.accept(A);
    const certificate = bench.certificate('commit', A);
    bench.hear(0, { type: 'certificate', certificate });
    expect(bench.told('build')).toEqual([{ type: 'build', height: 2, view: 0, previous: A }]);
    bench.step({ type: 'proposal', height: 2, view: 0, digest: B, payload });
    expect(bench.said('proposal')).toMatchObject([{ height: 2, previous: { digest: A } }]);
  });

  it('waits after a timeout for the next view that it leads', () => {
    const bench = new Bench({ self: 0 }).step({ type: 'work', isWaiting: true });
    bench.ring('view');
    expect(bench.said('timeout')).toHaveLength(1);
    bench.step({ type: 'proposal', height: 1, view: 0, digest: A, payload });
    expect(bench.said('proposal')).toEqual([]);
  });
});

describe('P2: what may be proposed', () => {
  it('is what the timeout certificate names, unchanged, even without other work', () => {
    const bench = new Bench({ self: 1 }).step({ type: 'start' });
    const high = bench.certificate('prepare', A);
    const named = new Map([0, 2, 3].map((i) => [i, i === 2 ? high : undefined]));
    const certificate = bench.timeouts(0, named);
    bench.hear(0, { type: 'timeout-certificate', certificate });
    expect(bench.told('build')).toEqual([]);
    expect(bench.told('reproposal-wanted')).toEqual([
      { type: 'reproposal-wanted', height: 1, digest: A },
    ]);
    bench.step({ type: 'proposal', height: 1, view: 0, digest: B, payload });
    expect(bench.sent).toEqual([]);
    bench.step({ type: 'proposal', height: 1, view: 0, digest: A, payload });
    expect(bench.said('proposal')).toMatchObject([{ view: 1, digest: A }]);
  });

  it('is after a restart what was proposed before, with the same bytes (P6)', () => {
    const bench = new Bench({ self: 0 }).step({ type: 'work', isWaiting: true });
    const input = { type: 'proposal', height: 1, view: 0, digest: A, payload } as const;
    const [before] = bench.step(input).said('proposal');
    bench.restart();
    expect(bench.told('reproposal-wanted')).toMatchObject([{ digest: A }]);
    bench.step({ ...input, digest: B });
    expect(bench.sent).toEqual([]);
    expect(bench.step(input).said('proposal')).toEqual([before]);
  });
});
