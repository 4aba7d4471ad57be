/** The loop: order of effects, durability before words, limits, full disk, stop. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { AegisError } from '../../../src/core/errors.ts';
import {
  type LogEntry,
  type Machine,
  type Ready,
  ReadyBuilder,
} from '../../../src/core/machine.ts';
import { Loop, type LoopOptions } from '../../../src/core/node/loop.ts';
import type { Clock, Log, Metrics } from '../../../src/core/ports.ts';
import { instant } from '../../../src/core/units.ts';

const quiet: Log = { write: () => {}, child: () => quiet };

/** Says what it is told to: each input is one Ready. */
class Script implements Machine<Ready> {
  step(input: Ready): Ready {
    return input;
  }
}

/** A world that writes down what happens, and commits when it is told to. */
class World {
  readonly events: string[] = [];
  readonly counts: string[] = [];
  readonly alarms: { at: number; wake: () => void }[] = [];
  readonly loop: Loop;
  now = 1000;
  /** Keys that machines can read and that are not durable. */
  readonly staged = new Set<string>();
  /** What the next commits do; empty: they succeed. */
  readonly failures: unknown[] = [];
  #commits: (() => void)[] = [];
  readonly #manual: boolean;

  constructor(options: LoopOptions & { manual?: boolean } = {}) {
    this.#manual = options.manual ?? false;
    const clock: Clock = {
      now: () => instant(this.now),
      wakeAt: (at, wake) => {
        const alarm = { at, wake };
        this.alarms.push(alarm);
        return () => void this.alarms.splice(this.alarms.indexOf(alarm), 1);
      },
    };
    const metrics: Metrics = {
      count: (name) => void this.counts.push(name),
      gauge: () => {},
      observe: () => {},
    };
    this.loop = new Loop(options, {
      clock,
      log: quiet,
      metrics,
      stage: (entries) => this.#stage(entries),
      commit: (entries) => this.#commit(entries),
      send: (envelope) => void this.events.push(`send ${envelope.to}`),
      tell: (machine, outcome) => void this.events.push(`tell ${machine} ${outcome.type}`),
      blocked: (error) => void this.events.push(`blocked ${error.code}`),
      fatal: (error) => void this.events.push(`fatal ${String(error)}`),
    });
    this.loop.register('one', new Script(), (key) => ready({ outcomes: [`alarm-${key}`] }));
  }

  #stage(entries: readonly LogEntry[]): () => void {
    for (const { key } of entries) this.staged.add(key);
    return () => {
      for (const { key } of entries) this.staged.delete(key);
    };
  }

  async #commit(entries: readonly LogEntry[]): Promise<void> {
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    this.events.push(`write ${entries.map((entry) => entry.key).join(',')}`);
    if (this.#manual) await new Promise<void>((resolve) => this.#commits.push(resolve));
    this.events.push('durable');
  }

  /** Ends the commit that is under way. */
  finishCommit(): void {
    const [first, ...rest] = this.#commits;
    this.#commits = rest;
    first?.();
  }

  /** Lets everything happen that can happen without us. */
  async settle(): Promise<void> {
    for (let i = 0; i < 5; i += 1) await new Promise((resolve) => setImmediate(resolve));
  }
}

interface Wanted {
  entries?: string[];
  messages?: string[];
  alarms?: [string, number | undefined][];
  outcomes?: string[];
}

function ready({ entries = [], messages = [], alarms = [], outcomes = [] }: Wanted): Ready {
  const builder = new ReadyBuilder();
  for (const key of entries) builder.persist('table', key, Uint8Array.of(1));
  for (const to of messages) builder.send(to, 'test', new Uint8Array());
  for (const [key, at] of alarms) builder.alarm(key, at === undefined ? at : instant(at));
  for (const type of outcomes) builder.tell({ type });
  return builder.build();
}

test('a batch is durable before anything of it is shown', async () => {
  const world = new World();
  world.loop.submit('one', ready({ entries: ['a'], messages: ['bob'], outcomes: ['done'] }));
  await world.settle();
  expect(world.events).toEqual(['write a', 'durable', 'send bob', 'tell one done']);
});

test('stepping goes on during a commit; later effects wait for their turn', async () => {
  const world = new World({ manual: true });
  world.loop.submit('one', ready({ entries: ['a'], messages: ['first'] }));
  await world.settle();
  world.loop.submit('one', ready({ messages: ['second'] }));
  world.loop.submit('one', ready({ entries: ['b'], messages: ['third'] }));
  await world.settle();
  expect(world.events).toEqual(['write a']);
  world.finishCommit();
  await world.settle();
  expect(world.events.slice(1)).toEqual(['durable', 'send first', 'write b']);
  world.finishCommit();
  await world.settle();
  expect(world.events.slice(4)).toEqual(['durable', 'send second', 'send third']);
});

test('what a step has given can be read before the next step, until the disk has it', async () => {
  const world = new World({ manual: true });
  const seen: string[][] = [];
  const reader: Machine<Ready> = {
    step: (input) => {
      seen.push([...world.staged]);
      return input;
    },
  };
  world.loop.register('reader', reader, () => ready({}));
  world.loop.submit('one', ready({ entries: ['a'] }));
  world.loop.submit('reader', ready({ entries: ['b'] }));
  world.loop.submit('reader', ready({}));
  await world.settle();
  expect(seen).toEqual([['a'], ['a', 'b']]);
  world.finishCommit();
  await world.settle();
  expect([...world.staged]).toEqual([]);
});

test('a machine that was registered first does not wait behind a flood of another', async () => {
  const world = new World();
  world.loop.register('bulk', new Script(), () => ready({}), 2);
  for (let n = 0; n < 6; n += 1) {
    world.loop.submit('bulk', ready({ entries: [`${n}`], messages: [`bulk ${n}`] }));
  }
  world.loop.submit('one', ready({ messages: ['vote'] }));
  await world.settle();
  expect(world.events.slice(0, 5)).toEqual([
    'write 0,1',
    'durable',
    'send vote',
    'send bulk 0',
    'send bulk 1',
  ]);
  expect(world.events.at(-1)).toBe('send bulk 5');
});

test('no message leaves before the entries of its own and earlier steps are durable', async () => {
  const step = fc.record({ writes: fc.boolean(), sends: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      const world = new World();
      for (const [i, { writes, sends }] of steps.entries()) {
        const wanted = { entries: writes ? [`${i}`] : [], messages: sends ? [`${i}`] : [] };
        world.loop.submit('one', ready(wanted));
        if (i % 3 === 0) await world.settle();
      }
      await world.loop.stop();
      const durable = new Set<string>();
      let written: string[] = [];
      for (const event of world.events) {
        const [what, keys] = event.split(' ');
        if (what === 'write') written = keys!.split(',');
        if (what === 'durable') for (const key of written) durable.add(key);
        if (what !== 'send') continue;
        for (const [i, { writes }] of steps.entries()) {
          if (writes && i <= Number(keys)) expect(durable).toContain(`${i}`);
        }
      }
      const sent = world.events.filter((event) => event.startsWith('send'));
      expect(sent).toHaveLength(steps.filter(({ sends }) => sends).length);
    }),
    { numRuns: 50 },
  );
});

test('what others make many of is refused beyond a number and a size, and counted', async () => {
  const world = new World({ queueLengthMax: 2, queueBytesMax: 10 });
  const offer = (sizeBytes: number, from = 'eve') =>
    world.loop.offer('one', ready({}), { from, sizeBytes });
  expect([offer(6), offer(5), offer(4), offer(0)]).toEqual([true, false, true, false]);
  // One that floods drowns only itself.
  expect(offer(10, 'bob')).toBe(true);
  expect(world.counts).toEqual(Array(2).fill('aegis_loop_dropped_inputs_total'));
  await world.settle();
  expect(offer(10)).toBe(true);
});

test('what the node itself has to say is never refused, however much others say', async () => {
  const world = new World({ queueLengthMax: 2, batchLengthMax: 3 });
  while (world.loop.offer('one', ready({}), { from: 'eve', sizeBytes: 1 }));
  for (let i = 0; i < 10; i += 1) world.loop.submit('one', ready({ outcomes: [`${i}`] }));
  await world.settle();
  expect(world.events).toHaveLength(10);
});

test('while the disk is full, what comes waits in the queue and nowhere else', async () => {
  const world = new World({ queueLengthMax: 5, uncommittedLengthMax: 3, batchLengthMax: 1 });
  for (let i = 0; i < 9; i += 1) world.failures.push(new AegisError('DISK_FULL', 'full'));
  const offered: boolean[] = [];
  for (let i = 0; i < 12; i += 1) {
    const origin = { from: 'eve', sizeBytes: 1 };
    offered.push(world.loop.offer('one', ready({ entries: [`${i}`] }), origin));
    await world.settle();
  }
  expect(offered.filter((taken) => taken)).toHaveLength(1 + 3 + 5);
  world.failures.length = 0;
  world.alarms.shift()!.wake();
  for (let i = 0; i < 10; i += 1) await world.settle();
  const written = world.events.filter((event) => event.startsWith('write'));
  expect(written.join().match(/\d+/g)).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8']);
});

test('what one turn says is bounded in bytes; the rest of the inputs waits', async () => {
  const world = new World({ uncommittedBytesMax: 5, manual: true });
  for (let i = 0; i < 12; i += 1) world.loop.submit('one', ready({ entries: [`${i}`] }));
  await world.settle();
  expect(world.events).toEqual(['write 0,1,2,3,4']);
  for (let i = 0; i < 3; i += 1) {
    world.finishCommit();
    await world.settle();
  }
  const written = world.events.filter((event) => event.startsWith('write'));
  expect(written).toEqual(['write 0,1,2,3,4', 'write 5,6,7,8,9', 'write 10,11']);
});

test('stop ends on a full disk, too; what is not durable is not shown', async () => {
  const world = new World();
  for (let i = 0; i < 9; i += 1) world.failures.push(new AegisError('DISK_FULL', 'full'));
  world.loop.submit('one', ready({ entries: ['a'], messages: ['bob'] }));
  await world.settle();
  world.loop.submit('one', ready({ entries: ['b'], messages: ['bob'] }));
  await world.loop.stop();
  expect(new Set(world.events)).toEqual(new Set(['blocked DISK_FULL']));
  expect(world.alarms).toEqual([]);
});

test('a full disk holds everything back, says so, and goes on when there is room', async () => {
  const world = new World();
  world.failures.push(new AegisError('DISK_FULL', 'full'));
  world.loop.submit('one', ready({ entries: ['a'], messages: ['bob'] }));
  await world.settle();
  expect(world.events).toEqual(['blocked DISK_FULL']);
  world.alarms.shift()!.wake();
  await world.settle();
  expect(world.events.slice(1)).toEqual(['write a', 'durable', 'send bob']);
});

test('any other failure of a commit is the end: nothing more is shown', async () => {
  const world = new World();
  world.failures.push(new Error('fsync failed'));
  world.loop.submit('one', ready({ entries: ['a'], messages: ['bob'] }));
  await world.settle();
  expect(world.events).toEqual(['fatal Error: fsync failed']);
  expect(world.loop.submit('one', ready({ messages: ['bob'] }))).toBe(false);
});

test('a machine that throws is the end, too', async () => {
  const world = new World();
  const broken: Machine<number> = {
    step() {
      throw new Error('broken');
    },
  };
  world.loop.register('broken', broken, () => 0);
  world.loop.submit('broken', 1);
  await world.settle();
  expect(world.events).toEqual(['fatal Error: broken']);
});

test('alarms are armed, replaced, cancelled, and come back as inputs', async () => {
  const world = new World();
  world.loop.submit('one', ready({ alarms: [['x', 2000]] }));
  await world.settle();
  world.loop.submit(
    'one',
    ready({
      alarms: [
        ['x', 3000],
        ['y', 4000],
      ],
    }),
  );
  await world.settle();
  expect(world.alarms.map(({ at }) => at)).toEqual([3000, 4000]);
  world.loop.submit('one', ready({ alarms: [['y', undefined]] }));
  await world.settle();
  expect(world.alarms.map(({ at }) => at)).toEqual([3000]);
  world.alarms[0]!.wake();
  await world.settle();
  expect(world.events).toEqual(['tell one alarm-x']);
});

test('what is due at once comes while the commit runs, and shows nothing before it', async () => {
  const world = new World({ manual: true });
  world.loop.submit('one', ready({ entries: ['a'], alarms: [['x', 2000]] }));
  await world.settle();
  world.loop.submit('one', ready({ entries: ['b'], alarms: [['x', 1000]] }));
  await world.settle();
  // It has been stepped: its outcome waits behind both commits.
  expect(world.events).toEqual(['write a']);
  world.finishCommit();
  await world.settle();
  world.finishCommit();
  await world.settle();
  expect(world.events).toEqual(['write a', 'durable', 'write b', 'durable', 'tell one alarm-x']);
  expect(world.alarms).toEqual([]);
});

test('stop lets out what was accepted and takes no more', async () => {
  const world = new World();
  world.loop.submit('one', ready({ entries: ['a'], messages: ['bob'], alarms: [['x', 9]] }));
  await world.loop.stop();
  expect(world.events).toEqual(['write a', 'durable', 'send bob']);
  expect(world.alarms).toEqual([]);
  expect(world.loop.submit('one', ready({}))).toBe(false);
});
