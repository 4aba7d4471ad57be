import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AegisError } from '../../../src/core/errors.ts';
import { MessageGate, type MessageGateOptions } from '../../../src/core/node/message-gate.ts';
import type { Metrics } from '../../../src/core/ports.ts';

/** Messages are texts like `a:2`: a name, and how many signatures it carries. */
class World {
  readonly offered: string[] = [];
  readonly refused: string[] = [];
  readonly counts: string[] = [];
  readonly gate: MessageGate<string>;
  /** Signatures in the pool; each ends when it is told to. */
  readonly pool: { readonly what: string; end(verdict: boolean): void }[] = [];
  poolMax = 0;
  /** Whether all keys are known. */
  isLate = false;

  constructor(options: MessageGateOptions = {}) {
    const metrics: Metrics = {
      count: (name) => void this.counts.push(name),
      gauge: () => {},
      observe: () => {},
    };
    this.gate = new MessageGate<string>(options, {
      isAllowed: (from, protocol) => from !== 'agent' || protocol !== 'consensus',
      open: (_protocol, body) => {
        const text = new TextDecoder().decode(body);
        const isEarly = text.startsWith('early') && !this.isLate;
        if (text === 'nonsense') throw new AegisError('BAD_ENCODING', 'that is nonsense');
        const count = Number(text.split(':')[1]);
        const check = { author: 'alice', keyEpoch: 0, message: body, signature: new Uint8Array() };
        const author = text.startsWith('stranger') ? 'nobody' : 'alice';
        return {
          message: text,
          isEarly,
          checks: Array.from({ length: count }, () => ({ ...check, author })),
        };
      },
      keyOf: (nodeId) => (nodeId === 'alice' ? new Uint8Array(32) : undefined),
      verify: (_key, message) =>
        new Promise((resolve) => {
          const what = new TextDecoder().decode(message);
          const end = (verdict: boolean) => {
            this.pool.splice(this.pool.indexOf(job), 1);
            resolve(verdict);
          };
          const job = { what, end };
          this.pool.push(job);
          this.poolMax = Math.max(this.poolMax, this.pool.length);
        }),
      offer: (from, message) => void this.offered.push(`${from} ${message}`),
      refused: (from, error) => void this.refused.push(`${from} ${error.code}`),
      metrics,
    });
  }

  send(text: string, from = 'bob', protocol = 'chain'): void {
    this.gate.take({ from, protocol, body: new TextEncoder().encode(text) });
  }

  /** Ends what is in the pool, in the order that `pick` says, until nothing is left. */
  async drain(verdict: (what: string) => boolean, pick = (length: number) => length - 1) {
    for (let quiet = 0; quiet < 5; quiet += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      while (this.pool.length > 0) {
        quiet = 0;
        const job = this.pool[pick(this.pool.length)]!;
        job.end(verdict(job.what));
      }
    }
  }
}

test('what carries no signature passes at once', () => {
  const world = new World();
  world.send('vote:0');
  expect(world.offered).toEqual(['bob vote:0']);
});

test('one bad signature drops the whole message, and names who sent it', async () => {
  const world = new World();
  world.send('good:3');
  world.send('bad:3');
  world.send('stranger:1');
  world.send('nonsense');
  let seen = 0;
  await world.drain((what) => {
    if (what === 'bad:3') seen += 1;
    return what !== 'bad:3' || seen !== 2;
  });
  expect(world.offered).toEqual(['bob good:3']);
  const refused = ['bob BAD_ENCODING', 'bob BAD_SIGNATURE', 'bob BAD_SIGNATURE'];
  expect(world.refused.toSorted()).toEqual(refused);
  expect(world.counts).toEqual(Array(3).fill('aegis_chain_messages_refused_total'));
});

test('a lane keeps its order, and holds up no other lane', async () => {
  const world = new World();
  world.send('slow:1', 'bob', 'chain');
  world.send('vote:0', 'bob', 'consensus');
  world.send('vote:0', 'carol', 'chain');
  expect(world.offered).toEqual(['bob vote:0', 'carol vote:0']);
  world.send('after:0', 'bob', 'chain');
  expect(world.offered).toHaveLength(2);
  await world.drain(() => true);
  expect(world.offered.slice(2)).toEqual(['bob slow:1', 'bob after:0']);
  world.send('later:0', 'bob', 'chain');
  expect(world.offered.at(-1)).toBe('bob later:0');
});

test('in whatever order checks end, each lane comes in its own', async () => {
  const sent = fc.record({ from: fc.constantFrom('bob', 'carol'), checks: fc.nat({ max: 3 }) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(sent, { maxLength: 20 }),
      fc.infiniteStream(fc.nat()),
      async (all, picks) => {
        const world = new World();
        for (const [n, { from, checks }] of all.entries()) world.send(`${n}:${checks}`, from);
        await world.drain(
          () => true,
          (length) => picks.next().value! % length,
        );
        for (const from of ['bob', 'carol']) {
          const got = world.offered.filter((line) => line.startsWith(from));
          const want = all.flatMap((one, n) =>
            one.from === from ? [`${from} ${n}:${one.checks}`] : [],
          );
          expect(got).toEqual(want);
        }
      },
    ),
    { numRuns: 50 },
  );
});

test('what waits is bounded, in number and bytes, for each peer alone', async () => {
  const world = new World({ waitingMax: 3, waitingBytesMax: 100 });
  for (let n = 0; n < 5; n += 1) world.send(`${n}:1`);
  world.send('other:0', 'carol');
  await world.drain(() => true);
  expect(world.offered).toEqual(['carol other:0', 'bob 0:1', 'bob 1:1', 'bob 2:1']);
  expect(world.counts).toEqual(Array(2).fill('aegis_chain_messages_dropped_total'));

  const long = 'x'.repeat(60);
  world.send(`${long}:1`);
  world.send(`${long}:1`);
  await world.drain(() => true);
  expect(world.counts).toHaveLength(3);
});

test('so many signatures of a message are in the pool at a time, and no more', async () => {
  const world = new World({ checksAtOnce: 4 });
  world.send('block:19');
  await world.drain(() => true);
  expect(world.poolMax).toBe(4);
  expect(world.offered).toEqual(['bob block:19']);
});

test('a peer that floods has no more in the pool than others have', async () => {
  const world = new World({ checksAtOnce: 4 });
  for (let n = 0; n < 20; n += 1) world.send(`${n}:3`);
  world.send('honest:4', 'carol');
  // Two messages were begun before so many checks waited.
  expect(world.pool.map(({ what }) => what).filter((what) => what !== 'honest:4')).toHaveLength(6);
  await world.drain(() => true);
  const got = world.offered.filter((line) => line.startsWith('bob'));
  expect(got).toEqual(Array.from({ length: 20 }, (_, n) => `bob ${n}:3`));
});

test('nothing is decoded of a peer that has no part in a protocol', () => {
  const world = new World();
  world.send('nonsense', 'agent', 'consensus');
  expect(world.refused).toEqual(['agent DENIED']);
  world.send('vote:0', 'agent');
  expect(world.offered).toEqual(['agent vote:0']);
});

test('a peer that sends much that does not hold is not read for a while, others are', async () => {
  let now = 0;
  const world = new World({ badMax: 4, badMs: 1000, now: () => now });
  // Within the limit, and over long, nobody is cut off.
  for (let n = 0; n < 20; n += 1) {
    now += 400;
    world.send('nonsense');
  }
  world.send('a:0');
  expect(world.offered).toEqual(['bob a:0']);

  now += 2000;
  for (let n = 0; n < 2; n += 1) world.send('nonsense');
  for (let n = 0; n < 2; n += 1) world.send(`false${n}:1`);
  await world.drain((what) => !what.startsWith('false'));
  const refused = world.refused.length;
  for (const text of ['nonsense', 'b:0']) world.send(text);
  world.send('c:0', 'bob', 'consensus');
  world.send('d:0', 'carol');
  expect(world.refused).toHaveLength(refused);
  expect(world.offered.slice(1)).toEqual(['bob c:0', 'carol d:0']);
  expect(world.counts).toContain('aegis_chain_messages_dropped_total');

  now += 1001;
  world.send('e:0');
  expect(world.offered.at(-1)).toBe('bob e:0');
});

test('what came before its key is read again once keys have changed', async () => {
  const world = new World({ earlyMax: 2, earlyBytesMax: 40 });
  const texts = ['early a:0', 'early b:0', 'early c:0'];
  for (const text of texts) world.send(text);
  world.send('other:0');
  expect(world.refused).toEqual([]);
  world.offered.length = 0;
  world.gate.retry();
  // They are early still: the last two were kept, and are kept on.
  expect(world.offered).toEqual(['bob early b:0', 'bob early c:0']);
  world.isLate = true;
  world.offered.length = 0;
  world.gate.retry();
  expect(world.offered).toEqual(['bob early b:0', 'bob early c:0']);
  world.gate.retry();
  expect(world.offered).toHaveLength(2);
});

test('what is early is kept within its bytes, and nothing that is longer than all of them', () => {
  const world = new World({ earlyBytesMax: 30 });
  const long = `early ${'x'.repeat(40)}:0`;
  for (const text of [`early ${'a'.repeat(12)}:0`, `early ${'b'.repeat(12)}:0`, long]) {
    world.send(text);
  }
  world.offered.length = 0;
  world.isLate = true;
  world.gate.retry();
  expect(world.offered).toEqual([`bob early ${'b'.repeat(12)}:0`]);
});
