import type { MessageStream } from '@libp2p/interface';
import { describe, expect, it } from 'vitest';
import { coalesceWrites } from '../../../src/core/network/coalesce.ts';
import { release } from '../../../src/core/network/release.ts';
import { KIB } from '../../../src/core/units.ts';

type List = Exclude<Parameters<MessageStream['send']>[0], Uint8Array>;

/** What `send` needs of the lists that Noise makes: one piece is not copied, more are. */
const listOf = (...pieces: Uint8Array[]): List => {
  const subarray = () => (pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces));
  return { subarray, [Symbol.iterator]: () => pieces.values() } as unknown as List;
};

function recorder() {
  const sent: Uint8Array[] = [];
  const stream = { send: (data: Uint8Array) => sent.push(data) > 0 } as unknown as MessageStream;
  coalesceWrites(stream);
  return { stream, sent };
}

describe('coalesceWrites', () => {
  it('sends a list as one piece and gives the memory of its large pieces back', () => {
    const { stream, sent } = recorder();
    const pieces = [Uint8Array.of(1, 2), new Uint8Array(64 * KIB).fill(3), Uint8Array.of(4)];
    stream.send(listOf(...pieces));
    expect(sent).toHaveLength(1);
    expect(sent[0]).toHaveLength(64 * KIB + 3);
    expect([sent[0]!.at(1), sent[0]!.at(2), sent[0]!.at(-2), sent[0]!.at(-1)]).toEqual([
      2, 3, 3, 4,
    ]);
    expect(pieces.map(({ length }) => length)).toEqual([2, 0, 1]);
  });

  it('passes single arrays on, and keeps them', () => {
    const { stream, sent } = recorder();
    const alone = new Uint8Array(64 * KIB).fill(5);
    stream.send(alone);
    stream.send(listOf(alone));
    expect(sent.map(({ length }) => length)).toEqual([64 * KIB, 64 * KIB]);
    expect(sent[1]!.at(-1)).toBe(5);
  });
});

describe('release', () => {
  it('leaves alone what may share its memory', () => {
    const whole = new Uint8Array(64 * KIB);
    const view = whole.subarray(1);
    const small = new Uint8Array(KIB);
    for (const array of [view, small]) release(array);
    expect([whole.length, view.length, small.length]).toEqual([64 * KIB, 64 * KIB - 1, KIB]);
    release(whole);
    expect([whole.length, view.length]).toEqual([0, 0]);
  });
});
