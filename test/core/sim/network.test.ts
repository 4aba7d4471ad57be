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
});
