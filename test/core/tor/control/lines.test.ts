import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hasCode } from '../../../../src/core/errors.ts';
import { LineFramer } from '../../../../src/core/tor/control/lines.ts';

/** `bytes` in pieces that end at `cuts`. */
function pieces(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted(
    (a, b) => a - b,
  );
  return ends.map((end, i) => bytes.subarray(i === 0 ? 0 : ends[i - 1], end));
}

const linesOf = (framer: LineFramer, all: readonly Uint8Array[]): string[] =>
  all.flatMap((piece) => framer.push(piece));

/** Mostly line ends and letters, so that lines there are. */
const hostileBytes = fc
  .array(fc.oneof(fc.constantFrom(10, 13, 65), fc.integer({ min: 0, max: 255 })), {
    maxLength: 400,
  })
  .map((bytes) => Uint8Array.from(bytes));

test('lines are the same, however the bytes come', () => {
  fc.assert(
    fc.property(hostileBytes, fc.array(fc.nat(), { maxLength: 20 }), (bytes, cuts) => {
      const [whole, cut] = [new LineFramer(1000), new LineFramer(1000)];
      const lines = linesOf(cut, pieces(bytes, cuts));
      expect(lines).toEqual(linesOf(whole, [bytes]));
      const text = Buffer.from(bytes).toString('latin1');
      expect(lines).toEqual(
        text
          .split('\n')
          .slice(0, -1)
          .map((line) => line.replace(/\r$/, '')),
      );
      expect(cut.waiting).toBe(text.length - (text.lastIndexOf('\n') + 1));
    }),
  );
});

test('a line is as long as it may be, its CR and LF apart', () => {
  const line = (length: number, end: string) => Buffer.from(`${'x'.repeat(length)}${end}`);
  for (const end of ['\n', '\r\n']) {
    expect(new LineFramer(8).push(line(8, end))).toEqual(['x'.repeat(8)]);
    expect(() => new LineFramer(8).push(line(9, end))).toThrow('more than 8 bytes');
  }
});

test('whatever comes, no more is kept than one line may have', () => {
  fc.assert(
    fc.property(hostileBytes, fc.array(fc.nat(), { maxLength: 20 }), (bytes, cuts) => {
      const framer = new LineFramer(16);
      for (const piece of pieces(bytes, cuts)) {
        try {
          for (const line of framer.push(piece)) expect(line.length).toBeLessThanOrEqual(16);
        } catch (error) {
          expect(hasCode(error, 'TOO_LARGE')).toBe(true);
          expect(framer.waiting).toBe(0);
        }
        // The CR of an end that has not come.
        expect(framer.waiting).toBeLessThanOrEqual(17);
      }
    }),
  );
});

test('one line in many small pieces is kept once', () => {
  const framer = new LineFramer(60_000);
  for (let i = 0; i < 50_000; i += 1) framer.push(Uint8Array.of(120));
  expect(framer.push(Buffer.from('\r\nrest'))).toEqual(['x'.repeat(50_000)]);
  expect(framer.waiting).toBe(4);
});
