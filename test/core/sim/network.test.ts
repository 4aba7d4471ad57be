import { beforeEach, describe, expect, it } from 'vitest';
import { SimClock } from '../../../src/core/sim/clock.ts';
import { SimNetwork } from '../../../src/core/sim/network.ts';
import { SimRandom } from '../../../src/core/sim/random.ts';
import { instant } from '../../../src/core/units.ts';

describe('SimNetwork', () => {
  let clock: SimClock;
  let network: SimNetwork;
  let news: string[];
  const run = (ms: number): void => clock.runUntil(instant(clock.now() + ms));
  const send = (from: string, to: string, text: string): void =>
    network.send(from, { to, protocol: 'p', body: Buffer.from(text) });

  beforeEach(() => {
    clock = new SimClock(instant(0));
    const options = { minLatencyMs: 1, maxLatencyMs: 50, noticeMs: 100, dialTimeoutMs: 500 };
    network = new SimNetwork(options, { clock, random: new SimRandom('network') });
    news = [];
    for (const id of ['a', 'b']) {
      network.attach(id, {
        receive: (from, { body }) =>
          news.push(`${id} got ${Buffer.from(body).toString()} of ${from}`),
        peer: (other, isUp) => news.push(`${id} ${isUp ? 'up' : 'down'} ${other}`),
      });
    }
    network.dial('a', 'b', (isUp) => news.push(`dialled ${isUp}`));
    run(200);
  });

  it('connects both ends, and carries envelopes', () => {
    expect(news).toEqual(['dialled true', 'a up b', 'b up a']);
    send('b', 'a', 'x');
    run(100);
    expect(news.at(-1)).toBe('a got x of b');
    expect(network.isConnected('b', 'a')).toBe(true);
  });

  it('tells both ends of a cut after a while, drops what was under way, and fails dials', () => {
    news.length = 0;
    send('a', 'b', 'x');
    network.cut(new Map([['b', 1]]));
    expect(news).toEqual([]);
    run(200);
    expect(news.toSorted()).toEqual(['a down b', 'b down a']);
    send('a', 'b', 'y');
    network.dial('a', 'b', (isUp) => news.push(`dialled ${isUp}`));
    run(1000);
    expect(news.at(-1)).toBe('dialled false');
    expect(network.counts.dropped).toBe(1);
    network.heal();
    network.dial('b', 'a', () => {});
    run(200);
    expect(network.isConnected('a', 'b')).toBe(true);
  });

  it('tells nothing to a node that has stopped', () => {
    news.length = 0;
    network.detach('a');
    run(200);
    expect(news).toEqual(['b down a']);
  });

  it('loses and doubles at the rates that are set', () => {
    news.length = 0;
    network.lossRate = 0.3;
    network.doubleRate = 0.5;
    for (let i = 0; i < 1000; i += 1) send('a', 'b', `${i}`);
    run(1000);
    const { lost, doubled } = network.counts;
    expect(lost).toBeGreaterThan(220);
    expect(lost).toBeLessThan(380);
    expect(news).toHaveLength(1000 - lost + doubled);
    expect(doubled).toBeGreaterThan(250);
    // Some overtake others.
    const order = news.map((line) => Number(line.split(' ')[2]));
    expect(order.some((value, i) => i > 0 && value < order[i - 1]!)).toBe(true);
  });

  it('blocks one direction and not the other, with or without breaking the connection', () => {
    news.length = 0;
    const unblock = network.block([['a', 'b']], { breaks: false });
    send('a', 'b', 'x');
    send('b', 'a', 'y');
    run(200);
    expect(news).toEqual(['a got y of b']);
    expect(network.counts.blocked).toBe(1);
    unblock();
    unblock();
    send('a', 'b', 'z');
    run(200);
    expect(news.at(-1)).toBe('b got z of a');
    network.block([['b', 'a']], { breaks: true });
    run(200);
    expect(news.slice(2).toSorted()).toEqual(['a down b', 'b down a']);
  });

  it('ends a block when all faults that made it have ended', () => {
    const ends = [1, 2].map(() => network.block([['a', 'b']], { breaks: false }));
    news.length = 0;
    ends[0]!();
    send('a', 'b', 'x');
    run(200);
    expect(news).toEqual([]);
    ends[1]!();
    send('a', 'b', 'y');
    run(200);
    expect(news).toEqual(['b got y of a']);
  });
});

describe('SimNetwork with links', () => {
  const options = {
    minLatencyMs: 1,
    maxLatencyMs: 50,
    jitterMs: 100,
    noticeMs: 100,
    dialTimeoutMs: 500,
    isOrdered: true,
  };

  function make(name: string, lingerRate = 0) {
    const clock = new SimClock(instant(0));
    const random = new SimRandom(name);
    const network = new SimNetwork({ ...options, lingerRate }, { clock, random });
    const got: string[] = [];
    for (const id of ['a', 'b']) {
      network.attach(id, {
        receive: (_from, { body }) => got.push(Buffer.from(body).toString()),
        peer: () => {},
      });
    }
    network.dial('a', 'b', () => {});
    clock.runUntil(instant(1000));
    const send = (): void => {
      for (let i = 0; i < 50; i += 1) {
        network.send('a', { to: 'b', protocol: 'p', body: Buffer.from(`${i}`) });
      }
    };
    return { clock, network, got, send };
  }

  it('keeps the order of a direction, unless it is told not to', () => {
    const sent = Array.from({ length: 50 }, (_, i) => `${i}`);
    const { clock, network, got, send } = make('order');
    send();
    clock.runUntil(instant(5000));
    expect(got).toEqual(sent);
    network.reorderRate = 0.5;
    got.length = 0;
    send();
    clock.runUntil(instant(20_000));
    expect(got).not.toEqual(sent);
    expect(got.toSorted()).toEqual(sent.toSorted());
    expect(network.counts.reordered).toBeGreaterThan(10);
  });

  it('delivers after a crash what was sent before it, if it lingers', () => {
    for (const [rate, count] of [
      [0, 0],
      [1, 50],
    ] as const) {
      const { clock, network, got, send } = make('linger', rate);
      send();
      network.detach('a');
      clock.runUntil(instant(5000));
      expect(got).toHaveLength(count);
    }
  });
});
