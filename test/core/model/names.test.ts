import { createHmac } from 'node:crypto';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { seal } from '../../../src/core/crypto/aead.ts';
import { sha256 } from '../../../src/core/crypto/hash.ts';
import { hasCode } from '../../../src/core/errors.ts';
import {
  Names,
  nameKeyOf,
  SEALED_NAME_BYTES_MAX,
  SEALED_RECORD_EXTRA_BYTES,
} from '../../../src/core/model/names.ts';
import { PATH_BYTES_MAX } from '../../../src/core/model/path.ts';
import { mutated } from '../../helpers/mutation.ts';
import { toHex } from '../../helpers/vectors.ts';

const key = new Uint8Array(32).fill(5);
const names = new Names(key);
const hmacOf = (text: string): string => createHmac('sha256', key).update(text).digest('hex');
const badEncoding = expect.toSatisfy((error) => hasCode(error, 'BAD_ENCODING')) as Error;

const part = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
  .filter((text) => !/[/\0]|^\.\.?$/.test(text));
const paths = fc.array(part, { minLength: 1, maxLength: 6 }).map((parts) => parts.join('/'));

test('keys of the state are what docs/proofs.md says', () => {
  fc.assert(
    fc.property(paths, (path) => {
      const dir = path.slice(0, Math.max(0, path.lastIndexOf('/')));
      const tag = hmacOf(`aegis/directory/1\0${dir}`).slice(0, 16);
      expect(names.tagOf(dir)).toBe(tag);
      expect(names.refKey(path)).toBe(tag + hmacOf(`aegis/ref/1\0${path}`).slice(0, 48));
      expect(names.markKey(path)).toBe(tag + hmacOf(`aegis/mark/1\0${path}`).slice(0, 48));
      expect(names.hmac(path)).toBe(hmacOf(path));
      // From what is remembered.
      expect(names.refKey(path)).toBe(new Names(key).refKey(path));
      expect(names.markKey(path)).not.toBe(names.refKey(path));
    }),
  );
});

test('the key of names follows from the genesis bytes', () => {
  const genesis = Buffer.from('the bytes of a genesis');
  const expected = createHmac('sha256', 'aegis/names/1').update(genesis).digest('hex');
  expect(toHex(nameKeyOf(genesis))).toBe(expected);
});

test('the directories around a path are those without the root, the innermost first', () => {
  expect(names.directories('a/b/c')).toEqual(['a/b', 'a']);
  expect(names.directories('a')).toEqual([]);
});

test('a sealed path opens, has one form, and only under its key', () => {
  fc.assert(
    fc.property(paths, (path) => {
      const sealed = names.seal(path);
      expect(sealed.length).toBe(24 + Buffer.byteLength(path) + 16);
      expect(names.seal(path)).toEqual(sealed);
      expect(names.open(sealed)).toBe(path);
      const fresh = new Names(key);
      expect(fresh.open(sealed)).toBe(path);
      expect(fresh.seal(path)).toEqual(sealed);
      expect(toHex(sealed.subarray(0, 24))).toBe(
        hmacOf(`aegis/name-nonce/1\0${path}`).slice(0, 48),
      );
      expect(() => new Names(new Uint8Array(32)).open(sealed)).toThrow(badEncoding);
    }),
  );
});

test('the encoding does not change with the program', () => {
  expect(toHex(names.seal('notes/plan.md'))).toBe(
    '2f97711da589b2f43ab5e7a42440ac69ba1717f5b57c8e4c1647540eb751' +
      'b310df4d44e96a96ad8d0299fffae89cb11aeefe42fa59',
  );
  expect(names.refKey('notes/plan.md')).toBe(
    '2a1edd74f81a4e2f545286fec213c6866a825993b40e32e405ad382d3902dac8',
  );
});

/** As any member could make it, who has the key. */
function sealedAs(text: string | Uint8Array, nonce: Uint8Array): Uint8Array {
  const sealKey = sha256(Buffer.concat([Buffer.from('aegis/name-key/1\0'), key]));
  return Buffer.concat([nonce, seal(sealKey, nonce, Buffer.from(text), new Uint8Array())]);
}

test('a path in another form is refused', () => {
  const nonceOf = (text: string): Uint8Array =>
    Buffer.from(hmacOf(`aegis/name-nonce/1\0${text}`).slice(0, 48), 'hex');
  expect(names.open(sealedAs('a/b', nonceOf('a/b')))).toBe('a/b');
  expect(() => names.open(sealedAs('a/b', new Uint8Array(24)))).toThrow(badEncoding);
  const long = 'x'.repeat(PATH_BYTES_MAX);
  expect(names.open(names.seal(long))).toBe(long);
  expect(names.seal(long)).toHaveLength(SEALED_NAME_BYTES_MAX);
  for (const text of ['', '..', 'a//b', '/a', 'a\0', `${long}x`]) {
    expect(() => names.open(sealedAs(text, nonceOf(text))), text).toThrow(badEncoding);
    // What could not be opened is not remembered as if it could.
    expect(() => names.seal(text), text).toThrow(
      expect.toSatisfy((error) => hasCode(error, 'BAD_REQUEST')) as Error,
    );
    expect(() => names.open(sealedAs(text, nonceOf(text))), text).toThrow(badEncoding);
  }
  const broken = Uint8Array.of(0xc3, 0x28);
  expect(() => names.open(sealedAs(broken, nonceOf('x')))).toThrow(badEncoding);
});

test('mutations and hostile bytes are refused', () => {
  const sealed = names.seal('notes/plan.md');
  fc.assert(
    fc.property(fc.oneof(mutated(sealed), fc.uint8Array({ maxLength: 80 })), (bad) => {
      fc.pre(Buffer.compare(bad, sealed) !== 0);
      expect(() => names.open(bad)).toThrow(badEncoding);
    }),
    { numRuns: 500 },
  );
});

test('what is remembered is bounded, and does not change an answer', () => {
  const long = 'x'.repeat(1000);
  const many = Array.from({ length: 5000 }, (_, at) => `${at}${long}`);
  const fresh = new Names(key);
  const first = fresh.refKey(many[0]!);
  for (const path of many) fresh.refKey(path);
  expect(fresh.refKey(many[0]!)).toBe(first);
  // Two MiB of names, and the tag of the root.
  expect(fresh.remembered).toBeLessThan(2100);
});

test('a record is encrypted in one way, and opened again', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (record) => {
      const sealed = names.sealRecord(record);
      expect(sealed).toHaveLength(record.length + SEALED_RECORD_EXTRA_BYTES);
      expect(names.openRecord(sealed)).toEqual(record);
      expect(new Names(key).sealRecord(record)).toEqual(sealed);
    }),
    { numRuns: 50 },
  );
  expect(toHex(names.sealRecord(Uint8Array.of(1, 2, 3)))).toBe(
    '45875e3ecf53519d40ffba7a3e243a74a2ffd8074363178348edbb46a3d135aec39241c695e32997148c89',
  );
});

test('a record in another form is refused', () => {
  const recordKey = sha256(Buffer.concat([Buffer.from('aegis/record-key/1\0'), key]));
  const nonce = new Uint8Array(24);
  const other = Buffer.concat([nonce, seal(recordKey, nonce, Buffer.from('x'), new Uint8Array())]);
  expect(() => names.openRecord(other)).toThrow(badEncoding);
  expect(() => names.openRecord(names.seal('a/b'))).toThrow(badEncoding);
  expect(() => names.openRecord(new Uint8Array(5))).toThrow(badEncoding);
  const sealed = names.sealRecord(Buffer.from('a record of some length'));
  fc.assert(
    fc.property(mutated(sealed), (bad) => {
      fc.pre(Buffer.compare(bad, sealed) !== 0);
      expect(() => names.openRecord(bad)).toThrow(badEncoding);
    }),
    { numRuns: 200 },
  );
});
