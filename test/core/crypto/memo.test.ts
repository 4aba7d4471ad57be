import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Memo } from '../../../src/core/crypto/memo.ts';

const MAX = 4;

test('it answers as if it computed anew, keeps the last ones asked for, and no more', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9), { maxLength: 60 }), (asked) => {
      const memo = new Memo<{ byte: number }>(MAX);
      const computed: number[] = [];
      // Most recent last, as a plain list says it.
      let recent: number[] = [];
      for (const byte of asked) {
        const before = computed.length;
        const found = memo.get(Uint8Array.of(byte, 200), ([first]) => {
          computed.push(first!);
          return { byte: first! };
        });
        expect(found).toEqual({ byte });
        expect(computed.length === before).toBe(recent.includes(byte));
        recent = [...recent.filter((one) => one !== byte), byte].slice(-MAX);
        expect(memo.size).toBe(recent.length);
      }
    }),
  );
});

test('what has no answer is not kept', () => {
  const memo = new Memo<object>(MAX);
  expect(memo.get(Uint8Array.of(1), () => undefined)).toBeUndefined();
  expect(memo.size).toBe(0);
  const answer = {};
  expect(memo.get(Uint8Array.of(1), () => answer)).toBe(answer);
});

test('bytes are told apart by their values, and from what lies around them', () => {
  const memo = new Memo<Uint8Array>(MAX);
  const whole = Uint8Array.of(1, 255, 3, 1, 255, 3);
  const first = memo.get(whole.subarray(0, 3), (bytes) => bytes);
  expect(memo.get(whole.subarray(3), (bytes) => bytes)).toBe(first);
  expect(memo.get(whole.subarray(1, 4), (bytes) => bytes)).not.toBe(first);
});
