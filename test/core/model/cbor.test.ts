import * as dagCbor from '@ipld/dag-cbor';
import * as fc from 'fast-check';
import { CID } from 'multiformats/cid';
import { expect, test } from 'vitest';
import { hasCode } from '../../../src/core/errors.ts';
import { CBOR_DEPTH_MAX, decode, encode, fieldBytes } from '../../../src/core/model/cbor.ts';
import { mutated, onlyAegisErrors } from '../../helpers/mutation.ts';
import { fromHex } from '../../helpers/vectors.ts';

const limits = { maxBytes: 4096 };
const cid = CID.parse('bafyr4iho5pouam4wtuubcs6g3wqcab53s2p6dn45eccvm56nk242t5jgle');

const { value: anyValue } = fc.letrec((tie) => ({
  leaf: fc.oneof(
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => (Object.is(n, -0) ? 0 : n)),
    fc.boolean(),
    fc.constant(null),
    fc.string(),
    fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed()),
    fc.uint8Array({ maxLength: 40 }),
    fc.constant(cid),
  ),
  value: fc.oneof(
    { maxDepth: 4 },
    tie('leaf'),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(
      fc.string({ maxLength: 8 }).filter((name) => name !== '__proto__'),
      tie('value'),
      { maxKeys: 5, noNullPrototype: true },
    ),
  ),
}));

test('there and back', () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      const bytes = encode(value);
      expect(encode(decode(bytes, { maxBytes: bytes.length }))).toEqual(bytes);
    }),
  );
});

test('what is accepted is the only encoding of its value', () => {
  const good = encode({ a: [1, -7, 300, 2.5, null, true], cid, text: 'x', z: new Uint8Array(4) });
  const check = (bytes: Uint8Array): void => {
    const verdict = onlyAegisErrors(() => expect(encode(decode(bytes, limits))).toEqual(bytes));
    expect(['accepted', 'refused']).toContain(verdict);
  };
  fc.assert(fc.property(mutated(good), check), { numRuns: 3000 });
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), check), { numRuns: 3000 });
});

test('reads what the codec of IPLD reads and would write again, as the same value', () => {
  const reference = (bytes: Uint8Array): unknown => {
    const value: unknown = dagCbor.decode(bytes);
    if (Buffer.compare(dagCbor.encode(value), bytes) !== 0) throw new Error('not canonical');
    return value;
  };
  const outcome = (read: () => unknown): unknown => {
    try {
      return { value: read() };
    } catch {
      return 'refused';
    }
  };
  const same = (bytes: Uint8Array): void => {
    expect(outcome(() => decode(bytes, limits))).toEqual(outcome(() => reference(bytes)));
  };
  const longText = { text: 'Straße '.repeat(20), big: 2n ** 63n, least: -(2n ** 60n) };
  const good = encode({ a: [1, -7, 70_000, 2 ** 40, -(2 ** 53), 1e300, 2.5, null], cid, longText });
  fc.assert(fc.property(mutated(good), same), { numRuns: 5000 });
  fc.assert(fc.property(fc.uint8Array({ maxLength: 12 }), same), { numRuns: 5000 });
  fc.assert(fc.property(anyValue, (value) => same(encode(value).slice(0, limits.maxBytes))));
  // A text may begin with what others take for a mark of the order of bytes, and drop.
  expect(decode(encode('\uFEFFä'), limits)).toBe('\uFEFFä');
});

test('the bytes of a field are the encoding of its value', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string(), { maxLength: 6 }), anyValue, (names, value) => {
      const map = Object.fromEntries(names.map((name, n) => [`${name}.`, n === 1 ? value : n]));
      for (const [name, item] of Object.entries(map)) {
        expect(fieldBytes(encode(map), name)).toEqual(encode(item));
      }
      expect(fieldBytes(encode(map), 'another')).toBeUndefined();
    }),
  );
});

test('other encodings of a value are refused', () => {
  const others = {
    'a long integer': '1805',
    'an indefinite array': '9f01ff',
    'an indefinite text': '7f6161ff',
    'a float that is an integer': 'fb3ff0000000000000',
    'a half float': 'f93e00',
    'not a number': 'fb7ff8000000000000',
    'an infinity': 'fb7ff0000000000000',
    'minus zero': 'fb8000000000000000',
    undefined: 'f7',
    'keys out of order': 'a2616201616101',
    'a key twice': 'a2616101616102',
    'a key that is a number': 'a10101',
    'text that is not UTF-8': '62c328',
    'a tag that is not a CID': 'c101',
    'a CID without its prefix': 'd82a4101',
    'a CID of rubbish': 'd82a4200ff',
    'two values': '0101',
    nothing: '',
    'a break': 'ff',
    'a reserved length': '1c',
  };
  for (const [what, bytes] of Object.entries(others)) {
    expect(() => decode(fromHex(bytes), limits), what).toThrow(
      expect.toSatisfy((error) => hasCode(error, 'BAD_ENCODING')) as Error,
    );
  }
});

test('a byte beyond the limit is too large', () => {
  const bytes = encode('x'.repeat(100));
  expect(decode(bytes, { maxBytes: bytes.length })).toBe('x'.repeat(100));
  expect(() => decode(bytes, { maxBytes: bytes.length - 1 })).toThrow(
    expect.toSatisfy((error) => hasCode(error, 'TOO_LARGE')) as Error,
  );
});

test('nesting has a limit, long before the stack has one', () => {
  const nested = (depth: number): Uint8Array => {
    const bytes = new Uint8Array(depth + 1).fill(0x81);
    bytes[depth] = 0;
    return bytes;
  };
  expect(onlyAegisErrors(() => decode(nested(CBOR_DEPTH_MAX), limits))).toBe('accepted');
  expect(onlyAegisErrors(() => decode(nested(CBOR_DEPTH_MAX + 1), limits))).toBe('refused');
  expect(() => decode(nested(1_000_000), { maxBytes: 2_000_000 })).toThrow('nested deeper');
  const tags = new Uint8Array(200).fill(0xc1);
  expect(onlyAegisErrors(() => decode(tags, limits))).toBe('refused');
});

test('a length that the bytes do not have is refused without allocating', () => {
  for (const head of [
    '9bffffffffffffffff',
    'bbffffffffffffffff',
    '5bffffffffffffffff',
    '9affffffff',
    '5affffffff',
    '7b0020000000000000',
    'bb0010000000000000',
  ]) {
    expect(() => decode(fromHex(`${head}00`), limits), head).toThrow('cut short');
  }
});

test('the key __proto__ is a field like any other and changes no prototype', () => {
  const value = decode(fromHex('a1695f5f70726f746f5f5fa16161f5'), limits) as object;
  expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  expect(Object.hasOwn(value, '__proto__')).toBe(true);
  expect('a' in value).toBe(false);
});

test('keys that have been read before are not taken for one another', () => {
  // Of one length, and more than are remembered, so that they share places.
  const keys = Array.from({ length: 3000 }, (_, n) => `key-${String(n).padStart(4, '0')}`);
  const strange = keys.map((key, n) => (n % 7 === 0 ? key.replace('k', 'é') : key));
  for (const key of [...strange, ...keys, ...strange]) {
    expect(decode(encode({ [key]: 1 }), { maxBytes: 64 })).toEqual({ [key]: 1 });
  }
});
