import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256 } from '../../../src/core/crypto/hash.ts';
import { merkleProof, merkleRoot, verifyMerkle } from '../../../src/core/model/merkle.ts';
import { fromHex, toHex } from '../../helpers/vectors.ts';

/** The leaves and roots with which implementations of Certificate Transparency are tested. */
const LEAVES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657'];
const ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
];

const lists = fc.array(fc.uint8Array({ maxLength: 6 }), { minLength: 1, maxLength: 70 });
const hashOf = (...parts: Uint8Array[]): Uint8Array => sha256(Buffer.concat(parts));

/** Section 2.1 of the RFC, word for word. */
function definedRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 1) return hashOf(Uint8Array.of(0), leaves[0]!);
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)];
  return hashOf(Uint8Array.of(1), definedRoot(left), definedRoot(right));
}

test('roots are those of RFC 6962', () => {
  for (const [count, root] of ROOTS.entries()) {
    expect(toHex(merkleRoot(LEAVES.slice(0, count).map(fromHex))), String(count)).toBe(root);
  }
  fc.assert(
    fc.property(lists, (leaves) => {
      expect(toHex(merkleRoot(leaves))).toBe(toHex(definedRoot(leaves)));
    }),
  );
});

test('every leaf has a proof, which fits its own place only', () => {
  fc.assert(
    fc.property(
      lists,
      fc.nat(),
      fc.nat(),
      fc.uint8Array({ maxLength: 6 }),
      (leaves, a, b, leaf) => {
        const root = merkleRoot(leaves);
        const count = leaves.length;
        const index = a % count;
        const proof = merkleProof(leaves, index);
        expect(proof.length).toBeLessThanOrEqual(Math.ceil(Math.log2(count)));
        expect(verifyMerkle(root, leaves[index]!, { index, count }, proof)).toBe(true);
        const other = leaves[b % count]!;
        expect(verifyMerkle(root, other, { index, count }, proof)).toBe(
          toHex(other) === toHex(leaves[index]!),
        );
        if (toHex(leaf) !== toHex(leaves[index]!)) {
          expect(verifyMerkle(root, leaf, { index, count }, proof)).toBe(false);
        }
        expect(verifyMerkle(sha256(root), leaves[index]!, { index, count }, proof)).toBe(false);
        expect(verifyMerkle(root, leaves[index]!, { index, count }, [...proof, root])).toBe(false);
        if (count > 1) {
          const short = proof.slice(1);
          expect(verifyMerkle(root, leaves[index]!, { index, count }, short)).toBe(false);
        }
      },
    ),
  );
});

test('a node of the tree is no leaf of it', () => {
  const leaves = [1, 2, 3, 4].map((byte) => Uint8Array.of(byte));
  const [left, right] = [merkleRoot(leaves.slice(0, 2)), merkleRoot(leaves.slice(2))];
  const node = new Uint8Array(Buffer.concat([merkleRoot([leaves[0]!]), merkleRoot([leaves[1]!])]));
  const root = merkleRoot(leaves);
  expect(verifyMerkle(root, node, { index: 0, count: 2 }, [right])).toBe(false);
  expect(verifyMerkle(root, left, { index: 0, count: 2 }, [right])).toBe(false);
});

test('hostile places and proofs are false and nothing else', () => {
  const root = merkleRoot([Uint8Array.of(1)]);
  const leaf = Uint8Array.of(2);
  fc.assert(
    fc.property(
      fc.oneof(fc.integer(), fc.double()),
      fc.oneof(fc.integer(), fc.double()),
      fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 60 }),
      (index, count, proof) => !verifyMerkle(root, leaf, { index, count }, proof),
    ),
  );
  for (const index of [-1, 1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(verifyMerkle(root, Uint8Array.of(1), { index, count: 1 }, [])).toBe(false);
  }
});
