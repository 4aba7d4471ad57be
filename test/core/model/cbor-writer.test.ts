import * as dagCbor from '@ipld/dag-cbor';
import * as fc from 'fast-check';
import { CID } from 'multiformats/cid';
import { expect, test } from 'vitest';
import { writeCanonical } from '../../../src/core/model/cbor-writer.ts';

const cid = CID.parse('bafyr4iho5pouam4wtuubcs6g3wqcab53s2p6dn45eccvm56nk242t5jgle');
const number = fc.oneof(
  fc.maxSafeInteger(),
  fc
    .tuple(fc.constantFrom(0, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32), fc.boolean())
    .map(([n, isNegative]) => (isNegative ? -1 - n : n)),
);
const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'grapheme', minLength: 10, maxLength: 40 }),
  fc.nat(300).map((length) => 'x'.repeat(length)),
);
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 30 }),
  fc.nat(70_000).map((length) => new Uint8Array(length)),
);
const name = fc.oneof(
  fc.string({ maxLength: 3 }),
  fc.constantFrom('a', 'bb', 'aa', 'b', 'version'),
);
const { value: anyValue } = fc.letrec((tie) => ({
  leaf: fc.oneof(number, text, bytes, fc.boolean(), fc.constant(null), fc.constant(cid)),
  value: fc.oneof(
    { maxDepth: 4 },
    tie('leaf'),
    fc.array(tie('value'), { maxLength: 30 }),
    fc.dictionary(
      name.filter((key) => key !== '__proto__'),
      tie('value'),
      { maxKeys: 6 },
    ),
  ),
}));

test('writes what the codec of IPLD writes', () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      expect(Buffer.from(writeCanonical(value)!)).toEqual(Buffer.from(dagCbor.encode(value)));
    }),
    { numRuns: 500 },
  );
});

test('leaves to the library what it does not write, within anything', () => {
  let deep: unknown = 1;
  for (let at = 0; at < 40; at += 1) deep = [deep];
  const others = [0.5, -0, Number.NaN, 2 ** 60, 1n, undefined, '\ud800', 'x'.repeat(30) + '\udc00'];
  const objects = [new Map(), new Date(0), { ä: 1 }, () => 1, deep, new Uint16Array(1)];
  for (const other of [...others, ...objects]) {
    for (const value of [other, [other], { a: 1, b: other }]) {
      expect(writeCanonical(value)).toBeUndefined();
    }
  }
});

test('keeps nothing of a buffer that others share', () => {
  const written = writeCanonical(['text'])!;
  expect(written.buffer.byteLength).toBe(written.length);
});
