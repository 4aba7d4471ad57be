import { describe, expect, it } from 'vitest';
import { A, B, Bench, digest } from './support/bench.ts';
import { nodeIdOf } from './support/cluster.ts';

const working = (bench = new Bench()): Bench => bench.step({ type: 'work', isWaiting: true });

describe('T1: when a view ends', () => {
  it('no timer runs without work', () => {
    const bench = new Bench().step({ type: 'start' });
    bench.hear(0, bench.vote(0, 'prepare', A));
    expect(bench.alarms.size).toBe(0);
    expect(bench.replica.status()).toMatchObject({ phase: 'idle', viewSince: undefined });
  });

  it('work is what the chain has, a proposal, or what f + 1 others work on', () => {
    expect(working().alarms.get('view')).toBe(2000);
    const proposed = new Bench();
    proposed.hear(0, proposed.proposal(A));
    expect(proposed.alarms.get('view')).toBe(2000);
    const drawn = new Bench();
    drawn.hear(0, drawn.vote(0, 'prepare', A)).hear(1, drawn.vote(1, 'prepare', A));
    expect(drawn.alarms.get('view')).toBe(2000);
    const ahead = new Bench();
    ahead.hear(0, ahead.vote(0, 'prepare', A, 0, 2));
    ahead.hear(1, ahead.vote(1, 'prepare', A, 0, 2));
    expect(ahead.alarms.get('view')).toBe(2000);
  });

  it('it doubles with each failed view', () => {
    const bench = working();
    bench.hear(0, { type: 'timeout-certificate', certificate: bench.timeouts(0) });
    expect(bench.alarms.get('view')).toBe(bench.now + 2000);
    bench.hear(0, { type: 'timeout-certificate', certificate: bench.timeouts(1) });
    expect(bench.alarms.get('view')).toBe(bench.now + 4000);
  });

  it('it is short when the link to the leader is lost, and long again when it is back', () => {
    const bench = working();
    bench.now += 10;
    bench.step({ type: 'peer-down', nodeId: nodeIdOf(1) });
    expect(bench.alarms.get('view')).toBe(2000);
    bench.step({ type: 'peer-down', nodeId: nodeIdOf(0) });
    expect(bench.alarms.get('view')).toBe(1060);
    bench.step({ type: 'peer-up', nodeId: nodeIdOf(0) });
    expect(bench.alarms.get('view')).toBe(2000);
    bench.step({ type: 'peer-down', nodeId: nodeIdOf(0) });
    bench.ring('view');
    expect(bench.said('timeout')).toHaveLength(1);
  });

  it('it adapts to the measured time of past heights', () => {
    const bench = working().accept(A);
    bench.now += 400;
    bench.hear(0, { type: 'certificate', certificate: bench.certificate('commit', A) });
    // RFC 6298: the mean is the first sample, the deviation half of it; twice mean and 4 of these.
    expect(bench.replica.status().timeoutMs).toBe(2 * (400 + 4 * 200));
  });

  it('a clock that is set back makes no view endless', () => {
    const bench = working();
    bench.now = 100;
    bench.step({ type: 'alarm', key: 'view' });
    expect(bench.said('timeout')).toEqual([]);
    expect(bench.alarms.get('view')).toBe(1100);
  });

  it('an alarm that comes too early changes nothing but is armed again', () => {
    const bench = working();
    bench.now += 500;
    bench.step({ type: 'alarm', key: 'view' }, { type: 'alarm', key: 'nobody knows' });
    expect(bench.sent).toEqual([]);
    expect(bench.alarms.get('view')).toBe(2000);
  });
});

describe('T2: timeout', () => {
  it('goes to all, and no vote follows in its view', () => {
    const bench = working(new Bench({ fanout: 'leader' })).ring('view');
    expect(bench.sent.map(({ to, message }) => [to, message.type])).toEqual([
      [0, 'timeout'],
      [1, 'timeout'],
      [2, 'timeout'],
    ]);
    bench.accept(A);
    expect(bench.said('vote')).toEqual([]);
    bench.hear(0, { type: 'certificate', certificate: bench.certificate('prepare', A) });
    expect(bench.said('vote')).toEqual([]);
    expect(bench.replica.high).toMatchObject({ digest: A });
  });

  it('is repeated with the same bytes, whatever was learned since', () => {
    const bench = working();
    const [first] = bench.ring('view').said('timeout');
    bench.hear(0, { type: 'certificate', certificate: bench.certificate('prepare', A) });
    expect(bench.ring('repeat').said('timeout')).toEqual([first]);
    bench.restart().step({ type: 'work', isWaiting: true });
    expect(bench.ring('repeat').said('timeout')).toEqual([first]);
  });

  it('is repeated after a restart with what it names, though a higher one is known', () => {
    const bench = working();
    bench.hear(0, { type: 'certificate', certificate: bench.certificate('prepare', A) });
    bench.hear(0, { type: 'timeout-certificate', certificate: bench.timeouts(0) });
    const [first] = bench.ring('view').said('timeout');
    expect(first).toMatchObject({ view: 1, high: { view: 0 } });
    const late = bench.certificate('prepare', B, { view: 1 });
    bench.hear(0, { type: 'certificate', certificate: late });
    expect(bench.replica.high).toMatchObject({ view: 1 });
    bench.restart().step({ type: 'work', isWaiting: true });
    expect(bench.ring('repeat').said('timeout')).toEqual([first]);
  });
});

describe('T3: join', () => {
  it('the timeouts of f + 1 others, at the highest view that so many have reached', () => {
    const bench = new Bench({ custodians: 7, self: 6 });
    bench.hear(0, bench.timeout(0, 5)).hear(1, bench.timeout(1, 3));
    expect(bench.said('timeout')).toEqual([]);
    bench.hear(2, bench.timeout(2, 4));
    expect(bench.said('timeout')).toMatchObject([{ view: 3 }]);
    expect(bench.replica.status()).toMatchObject({ view: 3, phase: 'timeout' });
    bench.hear(3, bench.timeout(3, 9));
    expect(bench.said('timeout')).toMatchObject([{ view: 4 }]);
  });

  it('not those of f, however often they say it', () => {
    const bench = new Bench();
    bench.hear(0, bench.timeout(0, 0), bench.timeout(0, 1), bench.timeout(0, 2));
    expect(bench.said('timeout')).toEqual([]);
  });
});

describe('T4: advance', () => {
  it('with a quorum of timeouts, whose certificate goes to the next leader', () => {
    const bench = working().ring('view');
    bench.hear(0, bench.timeout(0, 0)).hear(2, bench.timeout(2, 0));
    expect(bench.told('entered')).toMatchObject([{ height: 1, view: 1, leader: 1 }]);
    expect(bench.sent).toMatchObject([{ to: 1, message: { type: 'timeout-certificate' } }]);
    const [{ certificate }] = bench.said('timeout-certificate') as [never];
    expect(certificate).toMatchObject({ view: 0, groups: [{ signers: [0, 2, 3] }] });
  });

  it('names the best that any of them named', () => {
    const bench = working().ring('view');
    const high = bench.certificate('prepare', A);
    bench.hear(0, bench.timeout(0, 0, high)).hear(2, bench.timeout(2, 0));
    expect(bench.said('timeout-certificate')).toMatchObject([
      {
        certificate: {
          groups: [
            { highView: undefined, signers: [2, 3] },
            { highView: 0, signers: [0] },
          ],
          high: { digest: A },
        },
      },
    ]);
  });

  it('counts nobody who names a certificate that it does not show', () => {
    const bench = working().ring('view');
    const high = { ...bench.certificate('prepare', A), digest: B };
    bench.hear(0, bench.timeout(0, 0, high)).hear(2, bench.timeout(2, 0));
    expect(bench.replica.status().view).toBe(0);
    bench.hear(1, bench.timeout(1, 0));
    expect(bench.replica.status().view).toBe(1);
  });

  it('with a prepare certificate of a later view, and votes in it', () => {
    const bench = new Bench();
    bench.judge(A);
    const certificate = bench.certificate('prepare', A, { view: 3 });
    bench.hear(0, { type: 'certificate', certificate });
    expect(bench.replica.status().view).toBe(3);
    expect(bench.said('vote')).toMatchObject([{ phase: 'commit', view: 3, digest: A }]);
  });

  it('never goes back', () => {
    const bench = new Bench();
    bench.hear(0, { type: 'timeout-certificate', certificate: bench.timeouts(4) });
    bench.hear(0, { type: 'timeout-certificate', certificate: bench.timeouts(2) });
    bench.hear(0, { type: 'certificate', certificate: bench.certificate('prepare', A) });
    expect(bench.replica.status().view).toBe(5);
  });
});

describe('T5: high', () => {
  it('rises with a timeout of another that names more', () => {
    const bench = new Bench();
    bench.hear(0, bench.timeout(0, 2, bench.certificate('prepare', A, { view: 1 })));
    expect(bench.replica.high).toMatchObject({ view: 1, digest: A });
    bench.hear(1, { type: 'certificate', certificate: bench.certificate('prepare', B) });
    expect(bench.replica.high).toMatchObject({ view: 1 });
  });
});

describe('laggards', () => {
  it('messages for the next height are kept and replayed', () => {
    const bench = new Bench().accept(A);
    bench.hear(0, bench.vote(0, 'prepare', B, 0, 2));
    bench.hear(1, { ...bench.proposal(B, { height: 2 }), previous: undefined });
    bench.hear(0, { type: 'certificate', certificate: bench.certificate('commit', A) });
    expect(bench.told('check')).toMatchObject([{ height: 2, digest: B }]);
    expect(bench.replica.status().votes.prepare).toEqual([0]);
  });

  it('a proposal of the next height brings the certificate of this one', () => {
    const bench = new Bench().accept(A);
    const previous = bench.certificate('commit', A);
    bench.hear(1, bench.proposal(B, { height: 2, previous }));
    expect(bench.told('finalised')).toHaveLength(1);
    expect(bench.told('check')).toMatchObject([{ height: 2, digest: B }]);
  });

  it('are answered, at most every 100 ms', () => {
    const bench = new Bench().accept(A);
    bench.hear(0, { type: 'certificate', certificate: bench.certificate('commit', A) });
    bench.hear(1, bench.timeout(1, 0));
    expect(bench.sent).toMatchObject([
      { to: 1, message: { type: 'status', commit: { digest: A } } },
    ]);
    expect(bench.hear(1, bench.timeout(1, 0)).sent).toEqual([]);
    bench.now += 100;
    expect(bench.hear(1, bench.timeout(1, 0)).sent).toHaveLength(1);
  });

  it('a late vote is no cry for help, a repeated one is', () => {
    const bench = new Bench().accept(A);
    bench.hear(0, { type: 'certificate', certificate: bench.certificate('commit', A) });
    expect(bench.hear(1, bench.vote(1, 'commit', A)).sent).toEqual([]);
    expect(bench.hear(1, bench.vote(1, 'commit', A)).said('status')).toHaveLength(1);
  });

  it('in the same height get the timeout certificate of the view before', () => {
    const bench = new Bench();
    bench.hear(0, { type: 'timeout-certificate', certificate: bench.timeouts(0) });
    bench.hear(2, bench.timeout(2, 0));
    expect(bench.said('status')).toMatchObject([{ view: 1, timeout: { view: 0 } }]);
  });

  it('a certificate above the own height asks for the blocks between', () => {
    const bench = new Bench();
    const far = bench.certificate('commit', A, { height: 9 });
    bench.hear(0, { type: 'certificate', certificate: far });
    const from = [0, 1, 2].map(nodeIdOf);
    expect(bench.told('fetch')).toEqual([{ type: 'fetch', height: 9, digest: A, from }]);
    const near = bench.certificate('prepare', A, { height: 8 });
    bench.hear(0, { type: 'certificate', certificate: near });
    expect(bench.told('fetch')).toEqual([]);
    expect(bench.replica.status()).toMatchObject({ behindTo: 9, phase: 'catch-up' });
    expect(bench.ring('catch-up').told('fetch')).toHaveLength(1);
  });

  it('are told where others are when they connect, and get what they have not seen', () => {
    const bench = new Bench().accept(A);
    bench.step({ type: 'peer-up', nodeId: nodeIdOf(1) });
    const [status] = bench.said('status');
    expect(status).toMatchObject({ height: 1, view: 0, seen: undefined });
    bench.hear(1, { ...status!, seen: undefined });
    expect(bench.said('vote')).toMatchObject([{ phase: 'prepare', digest: A }]);
  });

  it('a status that shows the own last vote asks for nothing', () => {
    const bench = new Bench().accept(A);
    bench.step({ type: 'peer-up', nodeId: nodeIdOf(1) });
    const [status] = bench.said('status');
    const seen = bench.share(3, { kind: 'prepare', digest: A });
    expect(bench.hear(1, { ...status!, seen }).sent).toEqual([]);
  });
});

describe('an agent', () => {
  it('follows certificates and blocks, and says nothing', () => {
    const bench = new Bench({ self: undefined }).step({ type: 'work', isWaiting: true });
    bench.hear(0, bench.proposal(A), bench.timeout(0, 0), bench.vote(0, 'prepare', A));
    bench.hear(1, bench.timeout(1, 0)).hear(2, bench.timeout(2, 0));
    bench.step({ type: 'peer-up', nodeId: nodeIdOf(0) });
    expect([...bench.alarms, ...bench.sent, ...bench.outcomes]).toEqual([]);
    const certificate = bench.certificate('commit', A);
    bench.hear(0, { type: 'certificate', certificate });
    expect(bench.told('fetch')).toHaveLength(1);
    expect(bench.judge(A).told('finalised')).toHaveLength(1);
    expect(bench.replica.status()).toMatchObject({ isVoting: false, height: 2 });
  });

  it('strangers are not listened to', () => {
    const bench = new Bench();
    const certificate = bench.certificate('commit', digest('c'));
    const message = { type: 'certificate', certificate } as const;
    bench.step({ type: 'message', from: 'stranger', message });
    bench.step({ type: 'peer-up', nodeId: 'stranger' });
    expect([...bench.outcomes.filter(({ type }) => type !== 'entered'), ...bench.sent]).toEqual([]);
  });
});
