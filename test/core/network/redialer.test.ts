import { describe, expect, it } from 'vitest';
import { AegisError } from '../../../src/core/errors.ts';
import { Redialer } from '../../../src/core/network/redialer.ts';
import type { Clock } from '../../../src/core/ports.ts';
import { instant } from '../../../src/core/units.ts';
import { memoryLog } from './cluster.ts';

/** Peers that are where the test says, on virtual time. */
class World {
  readonly waiting = new Set<string>();
  readonly addresses = new Map<string, string[]>();
  /** Who answers at an address. */
  readonly answers = new Map<string, string>();
  readonly dials: string[] = [];
  readonly asked: string[] = [];
  readonly redialer: Redialer;
  now = 0;
  #wake: { at: number; call: () => void } | undefined;

  constructor() {
    const clock: Clock = {
      now: () => instant(this.now),
      wakeAt: (at, call) => {
        const wake = { at, call };
        this.#wake = wake;
        return () => {
          if (this.#wake === wake) this.#wake = undefined;
        };
      },
    };
    this.redialer = new Redialer({
      log: memoryLog(),
      clock,
      unreplaced: () => [...this.waiting],
      addressesOf: (nodeId) => this.addresses.get(nodeId) ?? [],
      redial: async (address) => {
        this.dials.push(address);
        const nodeId = this.answers.get(address);
        if (nodeId === undefined) throw new AegisError('DIAL_FAILED', 'nobody there');
        this.waiting.delete(nodeId);
        return nodeId;
      },
      ask: async (nodeId) => {
        this.asked.push(nodeId);
        throw new AegisError('NOT_REACHABLE', 'gone');
      },
    });
  }

  get isIdle(): boolean {
    return this.#wake === undefined;
  }

  /** Lets what has begun come to its end, then goes on to the next alarm. */
  async pass(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    const wake = this.#wake;
    if (wake === undefined) return;
    this.#wake = undefined;
    this.now = wake.at;
    wake.call();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('Redialer', () => {
  it('tries the addresses of a peer until it answers there itself', async () => {
    const world = new World();
    world.waiting.add('b');
    world.addresses.set('b', ['/1', '/2', '/2', '/3', '/4']);
    world.answers.set('/2', 'somebody else').set('/3', 'b');
    world.redialer.start();
    await world.pass();
    expect(world.dials).toEqual(['/1', '/2', '/3']);
    expect(world.asked).toEqual([]);
    await world.pass();
    expect(world.isIdle).toBe(true);
  });

  it('asks whom it cannot dial, again and again with growing pauses', async () => {
    const world = new World();
    world.waiting.add('b');
    world.redialer.start();
    const times: number[] = [];
    while (world.now < 60_000) {
      const before = world.asked.length;
      await world.pass();
      if (world.asked.length > before) times.push(world.now);
    }
    expect(times.length).toBeGreaterThan(5);
    expect(times.length).toBeLessThan(20);
    const pauses = times.slice(1).map((time, at) => time - times[at]!);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(10_250);
    expect(pauses.at(-1)).toBeGreaterThan(pauses[0]!);
    world.waiting.clear();
    await world.pass();
    expect(world.isIdle).toBe(true);
  });

  it('dials few at once, and all in the end', async () => {
    const world = new World();
    for (let i = 0; i < 40; i += 1) {
      world.waiting.add(`n${i}`);
      world.addresses.set(`n${i}`, [`/${i}`]);
      world.answers.set(`/${i}`, `n${i}`);
    }
    world.redialer.start();
    expect(world.dials.length).toBeLessThanOrEqual(8);
    for (let i = 0; i < 100 && world.waiting.size > 0; i += 1) await world.pass();
    expect(new Set(world.dials).size).toBe(40);
  });

  it('does for a peer what it asks for itself, once a second', async () => {
    const world = new World();
    world.answers.set('/1', 'b');
    for (let i = 0; i < 5; i += 1) await world.redialer.asked('b', ['/1']);
    expect(world.dials).toEqual(['/1']);
    world.now += 1000;
    await world.redialer.asked('b', ['/1']);
    expect(world.dials).toEqual(['/1', '/1']);
  });

  it('is silent when it has stopped', async () => {
    const world = new World();
    world.waiting.add('b');
    world.addresses.set('b', ['/1']);
    world.redialer.stop();
    world.redialer.start();
    await world.pass();
    await world.redialer.asked('b', ['/1']);
    expect([world.dials, world.asked, world.isIdle]).toEqual([[], [], true]);
  });
});
