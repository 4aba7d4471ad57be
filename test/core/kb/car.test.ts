import { CarReader, CarWriter } from '@ipld/car';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAegisError } from '../../../src/core/errors.ts';
import { type Block, blockOf, RAW } from '../../../src/core/kb/block.ts';
import { CarDecoder, encodeCarBlock, encodeCarHeader } from '../../../src/core/kb/car.ts';
import { LIMITS } from '../../../src/core/kb/limits.ts';
import { blake3Hasher, bytesOf, fileOf, sha256Hasher } from './helpers.ts';

const carOf = (blocks: readonly Block[]): Uint8Array =>
  Buffer.concat([encodeCarHeader([blocks[0]!.cid]), ...blocks.flatMap(encodeCarBlock)]);

const objects = [
  ...fileOf(bytesOf(2_500_000), blake3Hasher).objects,
  ...fileOf(bytesOf(0), sha256Hasher).objects,
  ...fileOf(bytesOf(5, 3), sha256Hasher).objects,
];

/** Cuts bytes at pseudo-random places. */
function* cut(bytes: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  let at = 0;
  for (let i = 0; at < bytes.length; i += 1) {
    const size = sizes[i % sizes.length]!;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

const texts = (blocks: readonly Block[]): string[] =>
  blocks.map(({ cid, bytes }) => `${cid.toString()} ${bytes.length} ${bytes.at(-1)}`);

describe('CAR', () => {
  it('is read by @ipld/car', async () => {
    const reader = await CarReader.fromBytes(carOf(objects));
    expect((await reader.getRoots()).map(String)).toEqual([objects[0]!.cid.toString()]);
    const read: Block[] = [];
    for await (const { cid, bytes } of reader.blocks()) read.push({ cid, bytes });
    expect(texts(read)).toEqual(texts(objects));
  });

  it('reads what @ipld/car writes', async () => {
    const { writer, out } = CarWriter.create([objects[1]!.cid]);
    const decoder = new CarDecoder();
    const read: Block[] = [];
    const reading = (async () => {
      for await (const chunk of out) read.push(...decoder.push(chunk));
    })();
    for (const block of objects) await writer.put(block);
    await writer.close();
    await reading;
    decoder.end();
    expect(decoder.roots?.map(String)).toEqual([objects[1]!.cid.toString()]);
    expect(texts(read)).toEqual(texts(objects));
  });

  it('gives the same objects however the bytes are cut', () => {
    const car = carOf(objects.slice(-2));
    const small = carOf([...objects.slice(-2), blockOf(RAW, bytesOf(300), sha256Hasher)]);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }), (sizes) => {
        const decoder = new CarDecoder();
        const read = [...cut(small, sizes)].flatMap((chunk) => decoder.push(chunk));
        decoder.end();
        expect(read).toHaveLength(3);
        expect(carOf(read).subarray(59)).toEqual(small.subarray(59));
      }),
      { numRuns: 100 },
    );
    expect(new CarDecoder().push(car)).toHaveLength(2);
  });

  it('does not copy what came in one piece', () => {
    const car = carOf(objects);
    const [first] = new CarDecoder().push(car);
    expect(first!.bytes.buffer).toBe(car.buffer);
  });

  it('refuses an object and a header beyond their limits before they have come', () => {
    const tooLarge = expect.objectContaining({ code: 'TOO_LARGE' });
    const headOf = (length: number): Uint8Array =>
      encodeCarBlock(blockOf(RAW, bytesOf(length), sha256Hasher))[0]!;
    const decoderOf = (maxBlockBytes?: number): CarDecoder => {
      const decoder = new CarDecoder(maxBlockBytes === undefined ? {} : { maxBlockBytes });
      decoder.push(encodeCarHeader([]));
      return decoder;
    };
    expect(() => decoderOf(1000).push(headOf(1000))).not.toThrow();
    expect(() => decoderOf(1000).push(headOf(2000))).toThrow(tooLarge);
    expect(() => decoderOf().push(headOf(LIMITS.blockBytes + 1024))).toThrow(tooLarge);
    const exact = decoderOf(1000);
    exact.push(headOf(1001));
    expect(() => exact.push(bytesOf(1001))).toThrow(tooLarge);
    // A length of 2 MiB where a header stands.
    expect(() => new CarDecoder().push(Uint8Array.of(0xff, 0xff, 0x7f))).toThrow(tooLarge);
    expect(() => new CarDecoder().push(new Uint8Array(9).fill(0xff))).toThrow(
      expect.objectContaining({ code: 'BAD_ENCODING' }),
    );
  });

  it('keeps failing, and holds nothing, after a failure', () => {
    const decoder = new CarDecoder();
    const bad = expect.objectContaining({ code: 'BAD_ENCODING' });
    expect(() => decoder.push(Uint8Array.of(0))).toThrow(bad);
    expect(() => decoder.push(encodeCarHeader([]))).toThrow(bad);
    expect(() => decoder.end()).toThrow(bad);
  });

  it('refuses to end inside a frame', () => {
    const car = carOf(objects);
    const decoder = new CarDecoder();
    decoder.push(car.subarray(0, -1));
    expect(() => decoder.end()).toThrow(expect.objectContaining({ code: 'BAD_ENCODING' }));
    expect(() => new CarDecoder().end()).toThrow();
  });

  it('throws nothing but AegisError, whatever comes', () => {
    const valid = carOf(objects.slice(-2));
    const mutated = fc
      .tuple(fc.nat(valid.length - 1), fc.nat(255), fc.nat(valid.length))
      .map(([at, byte, end]) => {
        const bytes = Uint8Array.from(valid.subarray(0, Math.max(end, 1)));
        bytes[at % bytes.length] = byte;
        return bytes;
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), mutated), (bytes) => {
        const decoder = new CarDecoder();
        try {
          decoder.push(bytes);
          decoder.end();
        } catch (error) {
          expect(isAegisError(error)).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
