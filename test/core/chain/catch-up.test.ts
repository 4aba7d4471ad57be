import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CATCH_UP_ALARM, CatchUp } from '../../../src/core/chain/catch-up.ts';
import { LIMITS } from '../../../src/core/chain/limits.ts';
import { openMessage } from '../../../src/core/chain/messages.ts';
import { SERVE_ALARM, Serving } from '../../../src/core/chain/serving.ts';
import { Turn } from '../../../src/core/chain/turn.ts';
import { type FetchedWindow, lastOf, windowIn } from '../../../src/core/chain/window.ts';
import { instant } from '../../../src/core/units.ts';
import { OPENING } from './support/fixtures.ts';

interface Want {
  readonly to: string;
  readonly from: number;
  readonly upTo: number;
}

const W = LIMITS.windowBlocks;
const now0 = instant(0);

/** One turn of the machine. @returns what it asked for, and when it wants to be woken. */
function pump(catchUp: CatchUp, now: number, tip: number, peers: readonly string[]) {
  const turn = new Turn(instant(now));
  const slow = catchUp.pump(turn, tip, new Set(peers));
  const ready = turn.build();
  const wants = ready.messages.map(({ to, protocol, body }): Want => {
    const { message } = openMessage(protocol, body, OPENING);
    if (message.type !== 'want') throw new Error(message.type);
    return { to, from: message.from, upTo: message.to };
  });
  const alarm = ready.alarms.find(({ key }) => key === CATCH_UP_ALARM);
  return { wants, alarm, slow };
}

const digestOf = (height: number, branch = 0): string =>
  `${branch}`.padStart(8, '0') + `${height}`.padStart(56, '0');

/** What of a block matters here: its place, and what it follows. */
const blockAt = (height: number, { bytes = 1, branch = 0, epoch = 0 } = {}) => ({
  block: {
    digest: digestOf(height, branch),
    bytes: new Uint8Array(bytes),
    header: {
      height,
      previous: Buffer.from(digestOf(height - 1, branch), 'hex'),
      custodians: new Uint8Array(32).fill(epoch),
    },
  },
});

type TestBlock = ReturnType<typeof blockAt>;

const windowOf = (blocks: readonly TestBlock[]): FetchedWindow => {
  const { digest, header } = blocks.at(-1)!.block;
  const certificate = { phase: 'commit', height: header.height, view: 0, digest };
  return { blocks, late: blocks.map(() => []), certificate } as unknown as FetchedWindow;
};

const blocksOf = (from: number, to: number): TestBlock[] =>
  Array.from({ length: to - from + 1 }, (_, at) => blockAt(from + at));

const windowAt = (from: number, to: number): FetchedWindow => windowOf(blocksOf(from, to));

describe('catching up', () => {
  it('asks several peers for windows, and for no more than it keeps', () => {
    const catchUp = new CatchUp();
    for (const peer of ['a', 'b']) catchUp.note(peer, 10_000);
    const { wants } = pump(catchUp, 0, 10, ['a', 'b']);
    expect(wants).toHaveLength(LIMITS.windowsAtOnce);
    expect(wants.slice(0, 3)).toEqual([
      { to: 'a', from: 11, upTo: 10 + W },
      { to: 'b', from: 11 + W, upTo: 10 + 2 * W },
      { to: 'a', from: 11 + 2 * W, upTo: 10 + 3 * W },
    ]);
    expect(pump(catchUp, 1, 10, ['a', 'b']).wants).toEqual([]);
  });

  it('asks nobody for what it has pruned', () => {
    const catchUp = new CatchUp();
    catchUp.note('a', 100, 50);
    expect(pump(catchUp, 0, 10, ['a']).wants).toEqual([]);
    expect(catchUp.isServed(11, new Set(['a']))).toBe(false);
    catchUp.note('b', 100, 11);
    expect(pump(catchUp, 1, 10, ['a', 'b']).wants[0]).toMatchObject({ to: 'b', from: 11 });
    // It prunes while it is being asked: that is no lie.
    catchUp.note('b', 100, 60);
    expect(catchUp.take('b', 11, undefined, now0)).toBeUndefined();
  });

  it('waits for no peer that claims much and sends nothing, once another has the block', () => {
    const catchUp = new CatchUp();
    catchUp.note('liar', 2 ** 40);
    const peers = ['liar', 'honest'];
    expect(pump(catchUp, 0, 10, peers).wants).toHaveLength(LIMITS.servingPerPeer);
    // It is asked again, since nobody else claims to have more.
    expect(pump(catchUp, 3000, 10, peers).wants).toHaveLength(LIMITS.servingPerPeer);
    catchUp.note('honest', 11);
    const { wants } = pump(catchUp, 3010, 10, peers);
    expect(wants[0]).toEqual({ to: 'honest', from: 11, upTo: 11 });
  });

  it('gives a peer the time that holds when it is asked (O24)', () => {
    const patience = { answerMs: 30_000 };
    const catchUp = new CatchUp(patience);
    for (const peer of ['a', 'b']) catchUp.note(peer, 1);
    expect(pump(catchUp, 0, 0, ['a', 'b']).wants).toHaveLength(1);
    patience.answerMs = 3000;
    expect(pump(catchUp, 29_999, 0, ['a', 'b']).wants).toEqual([]);
    expect(pump(catchUp, 30_000, 0, ['a', 'b']).wants).toHaveLength(1);
    expect(pump(catchUp, 33_000, 0, ['a', 'b']).wants).toHaveLength(1);
  });

  it('keeps so many bytes that wait for an earlier block', () => {
    const catchUp = new CatchUp();
    for (const peer of ['a', 'b']) catchUp.note(peer, 10_000);
    pump(catchUp, 0, 0, ['a', 'b']);
    const big = Array.from({ length: W }, (_, at) => blockAt(1 + W + at, { bytes: 256 * 1024 }));
    expect(catchUp.take('b', 1 + W, windowOf(big), now0)).toBeUndefined();
    // What was asked for before has run out; only the next block is asked for again.
    expect(pump(catchUp, 3000, 0, ['a', 'b']).wants).toMatchObject([{ from: 1, upTo: W }]);
    expect(pump(catchUp, 3001, 2 * W, ['a', 'b']).wants).toHaveLength(1);
  });

  it('asks for what was left out of an answer', () => {
    const catchUp = new CatchUp();
    catchUp.note('a', 20);
    pump(catchUp, 0, 0, ['a']);
    catchUp.take('a', 1, windowAt(1, 5), now0);
    expect(pump(catchUp, 1, 0, ['a']).wants).toEqual([{ to: 'a', from: 6, upTo: 20 }]);
  });

  it('takes a window that goes on to the next certificate', () => {
    const catchUp = new CatchUp();
    catchUp.note('a', 20);
    pump(catchUp, 0, 0, ['a']);
    catchUp.take('a', 1, windowAt(1, 30), now0);
    expect(lastOf(catchUp.next(25)!.window)).toBe(30);
    expect(pump(catchUp, 1, 0, ['a']).wants).toEqual([]);
    expect(catchUp.next(31)).toBeUndefined();
  });

  it('asks another when one is silent', () => {
    const catchUp = new CatchUp();
    catchUp.note('a', 5);
    const { alarm, wants } = pump(catchUp, 0, 0, ['a']);
    expect(wants.map(({ to }) => to)).toEqual(['a']);
    catchUp.note('b', 5);
    expect(pump(catchUp, alarm!.at!, 0, ['a', 'b']).wants.map(({ to }) => to)).toEqual(['b']);
  });

  it('believes no height of a peer that never answers, and names it', () => {
    const catchUp = new CatchUp();
    catchUp.note('liar', 2 ** 40);
    let now = 0;
    let asked = 0;
    const slow: string[] = [];
    for (let round = 0; round < 20; round += 1) {
      const turn = pump(catchUp, now, 0, ['liar']);
      asked += turn.wants.length;
      slow.push(...turn.slow);
      now = turn.alarm?.at ?? now;
    }
    expect(asked).toBeGreaterThan(0);
    expect(asked).toBeLessThanOrEqual(5 * LIMITS.windowsAtOnce);
    expect([catchUp.target, slow.includes('liar')]).toEqual([0, true]);
  });

  it('takes only what was asked for, and keeps nothing of a liar', () => {
    const catchUp = new CatchUp();
    expect(catchUp.take('a', 1, windowAt(1, 3), now0)).toBeUndefined();
    expect(catchUp.next(1)).toBeUndefined();
    for (const peer of ['a', 'b']) catchUp.note(peer, 2 * W);
    pump(catchUp, 0, 0, ['a', 'b']);
    catchUp.take('a', 1, windowAt(1, W), now0);
    catchUp.take('b', W + 1, windowAt(W + 1, 2 * W), now0);
    catchUp.punish('a', now0);
    expect([catchUp.next(1), catchUp.next(W)]).toEqual([undefined, undefined]);
    expect(catchUp.next(W + 1)?.peer).toBe('b');
    const again = new CatchUp();
    for (const peer of ['a', 'b']) again.note(peer, 2 * W);
    pump(again, 0, 0, ['a', 'b']);
    again.punish('a', now0);
    expect(pump(again, 1, 0, ['a', 'b']).wants).toEqual([{ to: 'b', from: 1, upTo: W }]);
  });

  const lies: readonly (readonly [string, FetchedWindow | undefined])[] = [
    ['it claims blocks that it does not have', undefined],
    ['it sends other blocks than those asked for', windowAt(2, 3)],
    ['its blocks leave gaps', windowOf([blockAt(1), blockAt(3)])],
    ['its blocks do not follow one another', windowOf([blockAt(1), blockAt(2, { branch: 1 })])],
    [
      'it goes on after the end of an epoch',
      windowOf([blockAt(1), blockAt(2, { epoch: 1 }), blockAt(3, { epoch: 1 })]),
    ],
    [
      'its certificate is of another block',
      { ...windowAt(1, 3), certificate: windowAt(1, 2).certificate },
    ],
  ];

  it.each(lies)('finds out that %s', (what, window) => {
    const catchUp = new CatchUp();
    catchUp.note('liar', 5);
    pump(catchUp, 0, 0, ['liar']);
    expect(catchUp.take('liar', 1, window, now0)).toBe(what);
    catchUp.note('liar', 5);
    catchUp.note('other', 5);
    expect(pump(catchUp, 1, 0, ['liar', 'other']).wants).toMatchObject([{ to: 'other' }]);
  });

  it('names whoever sends what cannot be read, if it was asked', () => {
    const catchUp = new CatchUp();
    expect(catchUp.unreadable('a', now0)).toBe(false);
    catchUp.note('a', 5);
    pump(catchUp, 0, 0, ['a']);
    expect(catchUp.unreadable('a', now0)).toBe(true);
  });

  it('waits for a peer to come when none is there', () => {
    const catchUp = new CatchUp();
    catchUp.note('a', 5);
    const { wants, alarm } = pump(catchUp, 0, 0, []);
    expect([wants, alarm?.at]).toEqual([[], 1000]);
    expect(pump(catchUp, 10, 5, []).alarm).toEqual({ key: CATCH_UP_ALARM, at: undefined });
  });

  it('comes to the target through loss, disorder and liars, by certificates anywhere', () => {
    const order = fc.array(
      fc.tuple(fc.nat(3), fc.constantFrom('lost', 'lie', 'sent'), fc.nat(70)),
      {
        maxLength: 40,
      },
    );
    const target = fc.integer({ min: 1, max: 600 });
    fc.assert(
      fc.property(target, order, fc.array(fc.nat(64)), (top, events, gaps) => {
        // The last one of all has a certificate, and no gap is longer than a window.
        const certified = new Set<number>([top]);
        let height = 0;
        for (let at = 0; height < top; at += 1) {
          height += 1 + ((gaps[at % Math.max(1, gaps.length)] ?? 63) % W);
          certified.add(height);
        }
        const catchUp = new CatchUp();
        let [now, tip] = [0, 0];
        const open: Want[] = [];
        // What the events leave undone, honest peers do in the end.
        const all = [...events, ...Array.from({ length: 900 }, () => [0, 'sent', 64] as const)];
        for (const [pick, event, cut] of all) {
          for (const peer of ['a', 'b', 'c']) catchUp.note(peer, top);
          open.push(...pump(catchUp, now, tip, ['a', 'b', 'c']).wants);
          const [want] = open.splice(pick % Math.max(1, open.length), 1);
          if (want !== undefined && event !== 'lost') {
            const some = blocksOf(want.from, Math.min(top, want.from + 2 * W)).map((opened) => {
              const certificate = certified.has(opened.block.header.height);
              return { block: opened as never, certificate: certificate ? opened : undefined };
            });
            const found = windowIn(some as never, 1 + Math.min(cut, want.upTo - want.from))!;
            const sound = windowOf(found.blocks as never);
            const lie = { ...sound, certificate: { ...sound.certificate, height: 0 } };
            const at = instant(now);
            catchUp.take(want.to, want.from, event === 'lie' ? lie : sound, at);
          }
          for (let next = catchUp.next(tip + 1); next !== undefined; ) {
            tip = lastOf(next.window);
            next = catchUp.next(tip + 1);
          }
          now += event === 'lost' || want === undefined ? 3000 : 1;
        }
        expect(tip).toBe(top);
      }),
      { numRuns: 60 },
    );
  });
});

describe('serving', () => {
  const window = { blocks: [new Uint8Array(400)], certificate: new Uint8Array(200) };

  it('reads windows, a few at a time for each peer', () => {
    const turn = new Turn(instant(1000));
    const serving = new Serving();
    const served = Array.from({ length: 6 }, () => serving.serve(turn, 'a', 5, 36));
    expect(served).toEqual([true, true, true, true, false, false]);
    expect(serving.serve(turn, 'b', 1, 3)).toBe(true);
    expect(turn.build().outcomes.at(0)).toEqual({ type: 'serve', to: 'a', from: 5, upTo: 36 });
    serving.rows(turn, 'a', 5, window);
    expect(serving.serve(turn, 'a', 5, 6)).toBe(true);
  });

  it('sends no more bytes a second than it may', () => {
    const serving = new Serving();
    const big = { ...window, blocks: [new Uint8Array(512 * 1024)] };
    let [now, sent] = [1000, 0];
    const end = now + 2000;
    while (now < end) {
      const turn = new Turn(instant(now));
      for (const peer of ['a', 'b']) serving.serve(turn, peer, 1, 1);
      serving.next(turn);
      const ready = turn.build();
      for (const outcome of ready.outcomes) {
        if (outcome.type !== 'serve') continue;
        sent += 512 * 1024;
        serving.rows(new Turn(instant(now)), 'a', 1, big);
        serving.rows(new Turn(instant(now)), 'b', 1, undefined);
      }
      now = ready.alarms.find(({ key }) => key === SERVE_ALARM)?.at ?? now + 1;
    }
    expect(sent).toBeGreaterThan(LIMITS.servedBytesPerSecond);
    expect(sent).toBeLessThan(2.5 * LIMITS.servedBytesPerSecond);
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
});
