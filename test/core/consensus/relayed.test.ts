/** What a liar wraps into something sound, so that an honest custodian would pass it on. */
import { describe, expect, it } from 'vitest';
import { A, B, Bench } from './support/bench.ts';

describe('a timeout certificate whose prepare certificate is spoilt', () => {
  it('is passed on with the sound one that is known', () => {
    const bench = new Bench();
    const high = bench.certificate('prepare', A);
    bench.hear(0, { type: 'certificate', certificate: high });
    const named = new Map([0, 1, 2].map((signer) => [signer, high] as const));
    const spoilt = { ...high, signature: high.signature.map((byte) => byte ^ 1) };
    // The custodian on the bench leads view 3.
    const certificate = { ...bench.timeouts(2, named), high: spoilt };
    bench.hear(1, { type: 'timeout-certificate', certificate });
    expect(bench.replica.status().view).toBe(3);
    const payload = Uint8Array.of(1);
    bench.step({ type: 'proposal', height: 1, view: 0, digest: A, payload });
    const [proposal] = bench.said('proposal');
    expect(proposal!.timeout!.high).toEqual(high);

    const other = new Bench({ self: 2 });
    other.hear(3, proposal!);
    expect(other.told('bad-share')).toEqual([]);
    expect(other.told('check')).toHaveLength(1);
  });
});

describe('a proposal with the proof that its own height is final', () => {
  it('is not given to the chain to check: the leaders of the height are over', () => {
    const bench = new Bench();
    bench.hear(0, bench.proposal(A)).judge(A);
    bench.hear(0, { type: 'timeout-certificate', certificate: bench.timeouts(0) });
    const previous = bench.certificate('commit', A, { view: 2 });
    bench.hear(1, bench.proposal(B, { view: 1, timeout: bench.timeouts(0), previous }));
    expect(bench.replica.finalised).toBe(1);
    expect(bench.told('check')).toEqual([]);
  });
});

describe('a timeout that names less than is known by now', () => {
  it('makes a certificate after a restart too', () => {
    const bench = new Bench().step({ type: 'work', isWaiting: true });
    bench.hear(0, { type: 'certificate', certificate: bench.certificate('prepare', A) });
    bench.hear(1, { type: 'timeout-certificate', certificate: bench.timeouts(0) });
    bench.ring('view');
    expect(bench.said('timeout')).toMatchObject([{ view: 1, high: { view: 0 } }]);
    const certificate = bench.certificate('prepare', A, { view: 1 });
    bench.hear(2, { type: 'certificate', certificate });
    bench.restart();
    expect(bench.replica.status()).toMatchObject({ view: 1, high: { view: 1 } });
    bench.hear(0, bench.timeout(0, 1)).hear(1, bench.timeout(1, 1));
    expect(bench.replica.status().view).toBe(2);
  });
});
