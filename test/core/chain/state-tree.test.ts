import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { verifyStateProof } from '../../../src/core/chain/state-proof.ts';
import { type StateChange, StateTree } from '../../../src/core/chain/state-tree.ts';
import { sha256, sha256Hex } from '../../../src/core/crypto/hash.ts';

/** Keys that share long beginnings, so that paths fork late. */
const keys = fc
  .tuple(fc.constantFrom(0, 1, 7, 31, 62, 63), fc.constantFrom('0', '1', '8', 'f'))
  .map(([at, digit]) => `${'0'.repeat(at)}${digit}`.padEnd(64, '0'));
const anyKey = fc.oneof(
  keys,
  fc.nat(200).map((n) => sha256Hex(Buffer.from(`${n}`))),
);
const value = fc.uint8Array({ minLength: 0, maxLength: 40 });
const change = fc.record({ key: anyKey, value: fc.option(value, { nil: undefined }) });
const batch = fc.uniqueArray(change, { selector: ({ key }) => key, maxLength: 20 });
const batches = fc.array(batch, { maxLength: 6 });

/** The root by its definition: no sharing, no batches, no shortcuts. */
function naiveRoot(rows: readonly (readonly [string, Uint8Array])[], depth = 0): Uint8Array {
  if (rows.length === 0) return new Uint8Array(32);
  const [first] = rows;
  if (rows.length === 1) {
    const domain = Buffer.from('aegis/state-leaf/1\0');
    return sha256(Buffer.concat([domain, Buffer.from(first![0], 'hex'), sha256(first![1])]));
  }
  const bit = (key: string): number =>
    (Buffer.from(key, 'hex')[depth >> 3]! >> (7 - (depth & 7))) & 1;
  const side = (which: number): Uint8Array =>
    naiveRoot(
      rows.filter(([key]) => bit(key) === which),
      depth + 1,
    );
  // A subtree that holds one leaf is that leaf; with more, both sides are hashed.
  return sha256(Buffer.concat([Buffer.from('aegis/state-node/1\0'), side(0), side(1)]));
}

function applyAll(all: readonly (readonly StateChange[])[]): {
  tree: StateTree;
  model: Map<string, Uint8Array>;
} {
  let tree = StateTree.empty;
  const model = new Map<string, Uint8Array>();
  for (const changes of all) {
    tree = tree.update(changes);
    for (const { key, value: next } of changes) {
      if (next === undefined) model.delete(key);
      else model.set(key, next);
    }
  }
  return { tree, model };
}

describe('the state tree', () => {
  it('holds what a map holds', () => {
    fc.assert(
      fc.property(batches, anyKey, (all, other) => {
        const { tree, model } = applyAll(all);
        for (const key of [...model.keys(), other]) expect(tree.get(key)).toEqual(model.get(key));
        expect(tree.size).toBe(model.size);
      }),
    );
  });

  it('has the root of its definition, whatever the way to it', () => {
    fc.assert(
      fc.property(batches, (all) => {
        const { tree, model } = applyAll(all);
        expect(tree.root).toEqual(naiveRoot([...model]));
        const rows = [...model].map(([key, bytes]) => ({ key, value: bytes }));
        expect(StateTree.of(rows).root).toEqual(tree.root);
        expect(StateTree.of(rows.toReversed()).root).toEqual(tree.root);
      }),
    );
  });

  it('does not change when another is made of it', () => {
    fc.assert(
      fc.property(batches, batch, (all, more) => {
        const { tree, model } = applyAll(all);
        const before = tree.root;
        tree.update(more);
        expect(tree.root).toEqual(before);
        for (const [key, bytes] of model) expect(tree.get(key)).toEqual(bytes);
      }),
    );
  });

  it('shares what an update does not touch', () => {
    const rows = Array.from({ length: 64 }, (_, n) => ({
      key: sha256Hex(Buffer.from(`${n}`)),
      value: Uint8Array.of(n),
    }));
    const tree = StateTree.of(rows);
    expect(tree.update([]).root).toEqual(tree.root);
    expect(tree.update(rows.map(({ key }) => ({ key, value: undefined }))).root).toEqual(
      StateTree.empty.root,
    );
  });

  test('a key of another form is a mistake of the programmer', () => {
    for (const key of ['', 'ab', 'A'.repeat(64), 'g'.repeat(64)]) {
      expect(() => StateTree.of([{ key, value: new Uint8Array() }])).toThrow('hex of 32 bytes');
    }
    const twice = { key: 'a'.repeat(64), value: new Uint8Array() };
    expect(() => StateTree.of([twice, twice])).toThrow('changes once');
  });
});

describe('proofs', () => {
  it('show what is there and what is not', () => {
    fc.assert(
      fc.property(batches, anyKey, (all, other) => {
        const { tree, model } = applyAll(all);
        const { root } = tree;
        for (const key of [...model.keys(), other]) {
          expect(verifyStateProof(root, key, model.get(key), tree.prove(key))).toBe(true);
        }
      }),
    );
  });

  it('show nothing else', () => {
    fc.assert(
      fc.property(batches, anyKey, value, (all, key, claimed) => {
        const { tree, model } = applyAll(all);
        const real = model.get(key);
        const proof = tree.prove(key);
        const isReal = real !== undefined && Buffer.compare(real, claimed) === 0;
        expect(verifyStateProof(tree.root, key, claimed, proof)).toBe(isReal);
        if (real !== undefined) {
          expect(verifyStateProof(tree.root, key, undefined, proof)).toBe(false);
        }
      }),
    );
  });

  it('are of one key, one root and whole', () => {
    fc.assert(
      fc.property(batches, batch, anyKey, anyKey, (all, more, key, other) => {
        const { tree, model } = applyAll([...all, [{ key, value: Uint8Array.of(1) }]]);
        const proof = tree.prove(key);
        const mine = model.get(key);
        const next = tree.update(more);
        const isSame = Buffer.compare(next.root, tree.root) === 0;
        expect(verifyStateProof(next.root, key, mine, proof)).toBe(isSame);
        if (other !== key) {
          const theirs = model.get(other);
          const fits = verifyStateProof(tree.root, other, undefined, proof);
          expect(fits && theirs !== undefined).toBe(false);
        }
        const { length } = proof.siblings;
        for (const at of new Set([0, length >> 1, length - 1])) {
          if (length === 0) break;
          const siblings = proof.siblings.toSpliced(at, 1);
          expect(verifyStateProof(tree.root, key, mine, { siblings })).toBe(false);
        }
        const long = [...proof.siblings, new Uint8Array(32)];
        expect(verifyStateProof(tree.root, key, mine, { siblings: long })).toBe(false);
      }),
      { numRuns: 40 },
    );
  });

  it('that are hostile are refused without an error', () => {
    const bytes = fc.uint8Array({ maxLength: 40 });
    const other = fc.record({ key: fc.oneof(fc.string(), anyKey), valueHash: bytes });
    const hostile = fc.record(
      { siblings: fc.array(bytes, { maxLength: 300 }), other },
      { requiredKeys: ['siblings'] },
    );
    const tree = StateTree.of([
      { key: '0'.repeat(64), value: Uint8Array.of(1) },
      { key: 'f'.repeat(64), value: Uint8Array.of(2) },
    ]);
    fc.assert(
      fc.property(hostile, fc.oneof(fc.string(), anyKey), (proof, key) => {
        expect(verifyStateProof(tree.root, key, Uint8Array.of(9), proof)).toBe(false);
      }),
    );
  });
});
