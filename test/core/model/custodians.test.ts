import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256 } from '../../../src/core/crypto/hash.ts';
import { hasCode } from '../../../src/core/errors.ts';
import { decode, encode } from '../../../src/core/model/cbor.ts';
import {
  CUSTODIANS_MAX,
  type CustodianEntry,
  custodianPairs,
  custodiansDigest,
  readCustodians,
} from '../../../src/core/model/custodians.ts';
import { nodeIdOf } from '../../../src/core/model/identity.ts';
import { toHex } from '../../helpers/vectors.ts';

const entryOf = (number: number): CustodianEntry => ({
  nodeId: nodeIdOf(Buffer.from(String(number))),
  consensusKey: new Uint8Array(48).fill(number),
});
const sorted = (numbers: Iterable<number>): CustodianEntry[] =>
  [...numbers].map(entryOf).toSorted((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
const entries = fc
  .uniqueArray(fc.nat(1000), { minLength: 1, maxLength: 40 })
  .map((numbers) => sorted(numbers));
const badEncoding = expect.toSatisfy((error) => hasCode(error, 'BAD_ENCODING')) as Error;

test('a list is read as it was written', () => {
  fc.assert(
    fc.property(entries, (list) => {
      const bytes = encode(custodianPairs(list));
      expect(readCustodians(decode(bytes, { maxBytes: 100_000 }))).toEqual(list);
      const pairs = list.map(({ nodeId, consensusKey }) => [nodeId, consensusKey]);
      expect(custodiansDigest(list)).toEqual(sha256(encode(['aegis/custodians/1', pairs])));
    }),
  );
});

test('the digest does not change with the program', () => {
  expect(toHex(custodiansDigest(sorted([1, 2, 3])))).toBe(
    '3e2a337678407d747c7c4541edad6d63907751d7a49778477f28a17afcf29e86',
  );
});

test('there are 1 to 256, ascending, each once', () => {
  const most = custodianPairs(sorted(Array.from({ length: CUSTODIANS_MAX }, (_, at) => at)));
  expect(readCustodians(most)).toHaveLength(CUSTODIANS_MAX);
  const [a, b] = most as [(typeof most)[0], (typeof most)[0]];
  const wrong: unknown[] = [
    ...[undefined, null, 1, {}, []],
    ...[[[]], [1], [null], [[a[0]]], [[...a, 1]], [[a[1], a[0]]]],
    [b, a],
    [a, a],
    [['somebody', a[1]]],
    [[a[0], new Uint8Array(47)]],
    [[a[0], 'key']],
    [...most, ['aegis1zzzz', a[1]]],
  ];
  for (const [at, value] of wrong.entries()) {
    expect(() => readCustodians(value), `${at}`).toThrow(badEncoding);
  }
  // Whoever writes one out of order has made a mistake that must not travel.
  expect(() => custodiansDigest([entryOf(1), entryOf(1)])).toThrow('in the order');
  expect(() => custodiansDigest([])).toThrow('1 to 256');
});
