import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CATCH_UP_ALARM, CatchUp } from '../../../src/core/chain/catch-up.ts';
import { LIMITS } from '../../../src/core/chain/limits.ts';
import { type FetchedBlock, openMessage } from '../../../src/core/chain/messages.ts';
import { Serving } from '../../../src/core/chain/serving.ts';
import { Turn } from '../../../src/core/chain/turn.ts';
import { instant } from '../../../src/core/units.ts';
import { OPENING } from './support/fixtures.ts';

interface Want {
  readonly to: string;
  readonly from: number;
  readonly upTo: number;
}

/** One turn of the machine. @returns what it asked for, and when it wants to be woken. */
function pump(catchUp: CatchUp, now: number, tip: number, peers: readonly string[]) {
  const turn = new Turn(instant(now));
  catchUp.pump(turn, tip, new Set(peers));
  const ready = turn.build();
  const wants = ready.messages.map(({ to, protocol, body }): Want => {
    const { message } = openMessage(protocol, body, OPENING);
    if (message.type !== 'want') throw new Error(message.type);
    return { to, from: message.from, upTo: message.to };
  });
  const alarm = ready.alarms.find(({ key }) => key === CATCH_UP_ALARM);
  return { wants, alarm };
}

const blockOf = (height: number, length: number): FetchedBlock => {
  const opened = { block: { header: { height } } };
  return { block: { length }, opened } as unknown as FetchedBlock;
};

/** Only the height of a block matters mostly. */
const blockAt = (height: number): FetchedBlock => blockOf(height, 1);

const blocksOf = (from: number, to: number): FetchedBlock[] =>
  Array.from({ length: to - from + 1 }, (_, at) => blockAt(from + at));

describe('catching up', () => {
  it('asks several peers for windows, and for no more than it keeps', () => {
    const catchUp = new CatchUp();
    for (const peer of ['a', 'b']) catchUp.note(peer, 1000);
    const { wants } = pump(catchUp, 0, 10, ['a', 'b']);
    expect(wants).toEqual([
      { to: 'a', from: 11, upTo: 42 },
      { to: 'b', from: 43, upTo: 74 },
      { to: 'a', from: 75, upTo: 106 },
      { to: 'b', from: 107, upTo: 138 },
    ]);
    expect(pump(catchUp, 1, 10, ['a', 'b']).wants).toEqual([]);
  });

  it('waits for no peer that claims much and sends nothing, once another has the block', () => {
    const catchUp = new CatchUp();
    catchUp.note('liar', 2 ** 40);
    const peers = ['liar', 'honest'];
    expect(pump(catchUp, 0, 10, peers).wants).toHaveLength(LIMITS.windowsAtOnce);
    // It is asked again, since nobody else claims to have more.
    expect(pump(catchUp, 3000, 10, peers).wants).toHaveLength(LIMITS.windowsAtOnce);
    catchUp.note('honest', 11);
    const { wants } = pump(catchUp, 3010, 10, peers);
    expect(wants[0]).toEqual({ to: 'honest', from: 11, upTo: 11 });
  });

  it('keeps so many bytes that wait for an earlier block', () => {
    const catchUp = new CatchUp();
    for (const peer of ['a', 'b']) catchUp.note(peer, 1000);
    pump(catchUp, 0, 0, ['a', 'b']);
    const heights = Array.from({ length: 17 }, (_, at) => 33 + at);
    catchUp.take(
      'b',
      heights.map((height) => blockOf(height, 512 * 1024)),
    );
    // What was asked for before has run out; only the next block is asked for again.
    expect(pump(catchUp, 3000, 0, ['a', 'b']).wants).toMatchObject([{ from: 1, upTo: 32 }]);
    catchUp.take('b', blocksOf(1, 32));
    catchUp.take('a', blocksOf(1, 32));
    expect(catchUp.next(50)).toBeUndefined();
    expect(pump(catchUp, 3001, 49, ['a', 'b']).wants).toHaveLength(4);
  });

  it('asks for what was left out of an answer', () => {
    const catchUp = new CatchUp();
    catchUp.note('a', 20);
    pump(catchUp, 0, 0, ['a']);
    catchUp.take('a', blocksOf(1, 5));
    expect(pump(catchUp, 1, 0, ['a']).wants).toEqual([{ to: 'a', from: 6, upTo: 20 }]);
  });

  it('waits with what names unknown keys, by the word of who was asked', () => {
    const catchUp = new CatchUp();
    for (const peer of ['a', 'b']) catchUp.note(peer, 64);
    // Nobody can hold up what is asked of others.
    catchUp.take('b', [], 3);
    const both = [
      { to: 'a', from: 1, upTo: 32 },
      { to: 'b', from: 33, upTo: 64 },
    ];
    expect(pump(catchUp, 0, 0, ['a', 'b']).wants).toEqual(both);
    catchUp.take('b', [], 3);
    catchUp.take('a', blocksOf(1, 8), 9);
    catchUp.take('b', [], 33);
    expect(pump(catchUp, 1, 0, ['a', 'b']).wants).toEqual([]);
    expect(pump(catchUp, 2, 8, ['a', 'b']).wants.map(({ from }) => from)).toEqual([9, 41]);
  });

  it('asks another when one is silent', () => {
    const catchUp = new CatchUp();
    catchUp.note('a', 5);
    const { alarm, wants } = pump(catchUp, 0, 0, ['a']);
    expect(wants.map(({ to }) => to)).toEqual(['a']);
    catchUp.note('b', 5);
    expect(pump(catchUp, alarm!.at!, 0, ['a', 'b']).wants.map(({ to }) => to)).toEqual(['b']);
  });

  it('believes no height of a peer that never answers', () => {
    const catchUp = new CatchUp();
    catchUp.note('liar', 2 ** 40);
    let now = 0;
    let asked = 0;
    for (let round = 0; round < 20; round += 1) {
      const { wants, alarm } = pump(catchUp, now, 0, ['liar']);
      asked += wants.length;
      now = alarm?.at ?? now;
    }
    expect(asked).toBeGreaterThan(0);
    expect(asked).toBeLessThanOrEqual(5 * LIMITS.windowsAtOnce);
    expect(catchUp.target).toBe(0);
  });

  it('takes only what was asked for, and keeps nothing of a liar', () => {
    const catchUp = new CatchUp();
    catchUp.take('a', blocksOf(1, 3));
    expect(catchUp.next(1)).toBeUndefined();
    for (const peer of ['a', 'b']) catchUp.note(peer, 64);
    pump(catchUp, 0, 0, ['a', 'b']);
    catchUp.take('a', [...blocksOf(1, 32), ...blocksOf(40, 41)]);
    catchUp.take('b', blocksOf(33, 64));
    catchUp.reject(1, instant(0));
    expect([catchUp.next(1), catchUp.next(32)]).toEqual([undefined, undefined]);
    expect(catchUp.next(33)?.peer).toBe('b');
    expect(pump(catchUp, 1, 0, ['a', 'b']).wants).toEqual([{ to: 'b', from: 1, upTo: 32 }]);
  });

  it('waits for a peer to come when none is there', () => {
    const catchUp = new CatchUp();
    catchUp.note('a', 5);
    const { wants, alarm } = pump(catchUp, 0, 0, []);
    expect([wants, alarm?.at]).toEqual([[], 1000]);
    expect(pump(catchUp, 10, 5, []).alarm).toEqual({ key: CATCH_UP_ALARM, at: undefined });
  });

  it('comes to the target through loss and disorder', () => {
    const order = fc.array(fc.tuple(fc.nat(3), fc.boolean(), fc.nat(31)), { maxLength: 40 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), order, (target, events) => {
        const catchUp = new CatchUp();
        for (const peer of ['a', 'b', 'c']) catchUp.note(peer, target);
        let [now, tip] = [0, 0];
        const open: Want[] = [];
        // What the events leave undone, honest peers do in the end.
        const all = [...events, ...Array.from({ length: 600 }, () => [0, false, 31] as const)];
        for (const [pick, isLost, cut] of all) {
          for (const peer of ['a', 'b', 'c']) catchUp.note(peer, target);
          open.push(...pump(catchUp, now, tip, ['a', 'b', 'c']).wants);
          const [want] = open.splice(pick % Math.max(1, open.length), 1);
          if (want !== undefined && !isLost) {
            const last = Math.min(want.upTo, want.from + cut);
            catchUp.take(want.to, blocksOf(want.from, last));
          }
          while (catchUp.next(tip + 1) !== undefined) tip += 1;
          now += isLost || want === undefined ? 3000 : 1;
        }
        expect(tip).toBe(target);
      }),
      { numRuns: 60 },
    );
  });
});

describe('serving', () => {
  const turn = new Turn(instant(0));

  it('reads bounded windows, a few at a time for each peer', () => {
    const serving = new Serving();
    const served = Array.from({ length: 6 }, () => serving.serve(turn, 'a', 5, 500));
    expect(served).toEqual([true, true, true, true, false, false]);
    expect(serving.serve(turn, 'b', 1, 3)).toBe(true);
    expect(turn.build().outcomes.at(0)).toEqual({ type: 'serve', to: 'a', from: 5, upTo: 36 });
    serving.rows(turn, 'a', []);
    expect(serving.serve(turn, 'a', 5, 6)).toBe(true);
  });

  it('sends a peer an undecided block not too often', () => {
    const serving = new Serving();
    const sent = [0, 100, 249, 250, 600, 10].map((now) => {
      const own = new Turn(instant(now));
      serving.candidate(own, 'a', new Uint8Array(9));
      return own.build().messages.length;
    });
    // The last one: a clock that was set back holds up nothing.
    expect(sent).toEqual([1, 0, 0, 1, 1, 1]);
  });

  it('sends as many blocks as fit into a message, and one at least', () => {
    const big = { block: new Uint8Array(400 * 1024), certificate: new Uint8Array(200) };
    const sizes = [3, 1].map((count) => {
      const own = new Turn(instant(0));
      new Serving().rows(
        own,
        'a',
        Array.from({ length: count }, () => big),
      );
      return own.build().messages.map(({ body }) => body.length);
    });
    expect(sizes.map((list) => list.map((size) => Math.floor(size / big.block.length)))).toEqual([
      [2],
      [1],
    ]);
    expect(sizes[0]![0]).toBeLessThan(LIMITS.messageBytes);
  });
});
