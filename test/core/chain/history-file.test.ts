import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeFrame,
  encodeFrame,
  FRAME_BYTES_MAX,
  FrameSplitter,
  type HistoryFrame,
} from '../../../src/core/chain/history-file.ts';
import { LIMITS } from '../../../src/core/chain/limits.ts';
import { encode } from '../../../src/core/model/cbor.ts';

const blob = (max: number) => fc.uint8Array({ maxLength: max });
const height = fc.integer({ min: 1, max: 2 ** 40 });
const clusterId = fc.string({ maxLength: 20 });
const hexKey = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => {
  return Buffer.from(bytes).toString('hex');
});

const blocks: fc.Arbitrary<HistoryFrame> = fc.oneof(
  fc.record({ type: fc.constant('handover' as const), handover: blob(40) }),
  fc.record({
    type: fc.constant('window' as const),
    blocks: fc.array(blob(60), { maxLength: 5 }),
    certificate: blob(40),
  }),
);
const state: fc.Arbitrary<HistoryFrame> = fc.oneof(
  fc.record({ type: fc.constant('manifest' as const), manifest: blob(40) }),
  fc.record({
    type: fc.constant('page' as const),
    index: fc.nat(LIMITS.snapshotPages),
    rows: fc.array(
      fc.record({
        table: fc.constantFrom('chain/handovers', 'chain/members'),
        key: fc.string({ minLength: 1, maxLength: 9 }),
        value: blob(30),
      }),
      { maxLength: 4 },
    ),
  }),
  fc.record({
    type: fc.constant('part' as const),
    prefix: fc.array(fc.constantFrom('0', '1'), { maxLength: 9 }).map((bits) => bits.join('')),
    leaves: fc.array(fc.record({ key: hexKey, value: blob(30) }), { maxLength: 4 }),
  }),
);

const file: fc.Arbitrary<HistoryFrame[]> = fc.oneof(
  fc
    .tuple(clusterId, height, fc.nat(1000), fc.array(blocks, { maxLength: 6 }))
    .map(([id, from, more, frames]): HistoryFrame[] => [
      { type: 'history', clusterId: id, from, to: from + more },
      ...frames,
      { type: 'end', frames: frames.length },
    ]),
  fc
    .tuple(clusterId, height, fc.array(state, { maxLength: 6 }))
    .map(([id, at, frames]): HistoryFrame[] => [
      { type: 'snapshot', clusterId: id, height: at },
      ...frames,
      { type: 'end', frames: frames.length },
    ]),
);

const bytesOf = (frames: readonly HistoryFrame[]): Buffer => Buffer.concat(frames.map(encodeFrame));

function read(bytes: Uint8Array, piece = 7): HistoryFrame[] {
  const splitter = new FrameSplitter();
  const frames: HistoryFrame[] = [];
  for (let at = 0; at < bytes.length; at += piece) {
    frames.push(...splitter.push(bytes.subarray(at, at + piece)));
  }
  splitter.end();
  return frames;
}

test('a file is read as it was written, in pieces of any size', () => {
  fc.assert(
    fc.property(file, fc.integer({ min: 1, max: 500 }), (frames, piece) => {
      expect(read(bytesOf(frames), piece)).toEqual(frames);
    }),
  );
});

test('a file that was cut, or goes on, is never taken for a whole one', () => {
  fc.assert(
    fc.property(
      file,
      fc.nat(),
      fc.uint8Array({ minLength: 4, maxLength: 9 }),
      (frames, n, more) => {
        const bytes = bytesOf(frames);
        const cut = bytes.subarray(0, n % bytes.length);
        expect(() => read(cut)).toThrow('the history file');
        expect(() => read(Buffer.concat([bytes, more]))).toThrow('the history file');
      },
    ),
  );
});

test('whatever is in a file, it is frames or an error of this house', () => {
  fc.assert(
    fc.property(file, fc.nat(), fc.nat(7), (frames, n, bit) => {
      const bytes = bytesOf(frames);
      const at = n % bytes.length;
      bytes[at] = bytes[at]! ^ (1 << bit);
      try {
        for (const frame of read(bytes)) encodeFrame(frame);
      } catch (error) {
        expect(error).toMatchObject({ code: expect.stringMatching(/^(BAD_ENCODING|TOO_LARGE)$/) });
      }
    }),
    { numRuns: 300 },
  );
});

test('frames out of place are refused', () => {
  const head: HistoryFrame = { type: 'history', clusterId: 'c', from: 1, to: 2 };
  const window: HistoryFrame = { type: 'window', blocks: [], certificate: new Uint8Array() };
  const part: HistoryFrame = { type: 'part', prefix: '', leaves: [] };
  const end = (frames: number): HistoryFrame => ({ type: 'end', frames });
  expect(() => read(bytesOf([window, end(1)]))).toThrow('is none');
  expect(() => read(bytesOf([head, head, end(1)]))).toThrow('is none');
  expect(() => read(bytesOf([head, part, end(1)]))).toThrow('two kinds');
  expect(() => read(bytesOf([head, window, end(2)]))).toThrow('lacks records');
  expect(() => read(bytesOf([head, window]))).toThrow('ends too early');
  expect(() => read(bytesOf([head, end(0), end(0)]))).toThrow('after its end');
  expect(() => decodeFrame(encode(['history', 'c', 1, 2]))).toThrow('does not belong');
  expect(() => decodeFrame(encode(['aegis/history/1', 'c', 2, 1]))).toThrow('before it begins');
  expect(() => decodeFrame(encode(['aegis/history/1', 'c'.repeat(65), 1, 2]))).toThrow('cluster');
});

test('a frame has a limit, and so has what is in it', () => {
  const frame = Buffer.alloc(4);
  frame.writeUInt32BE(FRAME_BYTES_MAX + 1);
  expect(() => [...new FrameSplitter().push(frame)]).toThrow(`more than ${FRAME_BYTES_MAX} bytes`);
  const windowOf = (count: number, size: number, certificate: number) =>
    encode([
      'window',
      Array.from({ length: count }, () => new Uint8Array(size)),
      new Uint8Array(certificate),
    ]);
  expect(decodeFrame(windowOf(LIMITS.windowBlocks, 1, 512))).toMatchObject({ type: 'window' });
  expect(() => decodeFrame(windowOf(LIMITS.windowBlocks + 1, 1, 1))).toThrow('more than');
  expect(() => decodeFrame(windowOf(1, LIMITS.blockBytes + 1, 1))).toThrow('more than');
  expect(() => decodeFrame(windowOf(1, 1, 513))).toThrow('more than 512');
  const handover = (size: number) => encode(['handover', new Uint8Array(size)]);
  expect(decodeFrame(handover(65_536))).toMatchObject({ type: 'handover' });
  expect(() => decodeFrame(handover(65_537))).toThrow('more than 65536');
  const manifest = encode(['manifest', new Uint8Array(LIMITS.messageBytes + 1)]);
  expect(() => decodeFrame(manifest)).toThrow('more than');
});
