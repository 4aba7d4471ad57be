/** W40: a tree whose leaves lie on the disk is the same tree. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LastStates } from '../../../src/core/chain/divergence-walk.ts';
import type { Ledger } from '../../../src/core/chain/ledger.ts';
import { LIMITS } from '../../../src/core/chain/limits.ts';
import { TABLES } from '../../../src/core/chain/rows.ts';
import { Serving } from '../../../src/core/chain/serving.ts';
import { SnapshotOffers } from '../../../src/core/chain/snapshot-offers.ts';
import { bitsOf } from '../../../src/core/chain/state-hash.ts';
import { StateStore } from '../../../src/core/chain/state-store.ts';
import { type StateChange, StateTree } from '../../../src/core/chain/state-tree.ts';
import { Turn } from '../../../src/core/chain/turn.ts';
import { sha256Hex } from '../../../src/core/crypto/hash.ts';
import { MemoryRows } from '../../../src/core/memory-rows.ts';
import { StagedRows } from '../../../src/core/staged-rows.ts';
import { instant } from '../../../src/core/units.ts';

const TAGS = ['a', 'b', 'c'].map((name) => sha256Hex(Buffer.from(name)).slice(0, 16));
const hashed = fc.nat(60).map((n) => sha256Hex(Buffer.from(`${n}`)));
/** Of directories, which share 64 bits, of things that share none, and that fork late. */
const key = fc.oneof(
  hashed,
  fc.tuple(fc.constantFrom(...TAGS), hashed).map(([tag, rest]) => tag + rest.slice(16)),
  fc.constantFrom(0, 1, 31, 62, 63).map((at) => `${'0'.repeat(at)}8`.padEnd(64, '0')),
);
const value = fc.uint8Array({ maxLength: 12 });
const change = fc.record({ key, value: fc.option(value, { nil: undefined, freq: 3 }) });
const batch = fc.uniqueArray(change, { selector: (one) => one.key, maxLength: 30 });
const command = fc.record({
  /** Of what is made upon the latest tree, and comes to nothing. */
  idle: batch,
  changes: batch,
  /** One of several blocks of one step: what is persisted is not in the rows yet. */
  isWithin: fc.boolean(),
  isHeld: fc.boolean(),
});
const commands = fc.array(command, { maxLength: 6 });
const asks = fc.array(key, { maxLength: 2 });
const shapes = fc.record({
  bucketLeaves: fc.constantFrom(1, 2, 5, 32),
  cacheBytes: fc.constantFrom(0, 3000, 1e6),
});

const entriesOf = (changes: readonly StateChange[]) =>
  changes.map((one) => ({ table: TABLES.state, ...one }));

function expectSame(tree: StateTree, model: StateTree, asked: readonly string[]): void {
  expect([tree.size, tree.weight, tree.root]).toEqual([model.size, model.weight, model.root]);
  expect(tree.leaves()).toEqual(model.leaves());
  expect(tree.cut(200)).toEqual(model.cut(200));
  for (const one of asked) {
    expect(tree.get(one)).toEqual(model.get(one));
    expect(tree.prove(one)).toEqual(model.prove(one));
    for (const max of [0, 3]) {
      expect(tree.under(one.slice(0, 16), max)).toEqual(model.under(one.slice(0, 16), max));
      expect(tree.proveUnder(one.slice(0, 16), max)).toEqual(
        model.proveUnder(one.slice(0, 16), max),
      );
    }
    for (const depth of [1, 3, 64, 66, 255]) {
      const prefix = bitsOf(one, 0, depth);
      expect(tree.node(prefix)).toEqual(model.node(prefix));
      expect(tree.leaves(prefix)).toEqual(model.leaves(prefix));
      expect(tree.weightUnder(prefix)).toBe(model.weightUnder(prefix));
    }
  }
}

describe('a tree over rows', () => {
  test('is the tree of its leaves, however it came to them, and stays so when it is old', () => {
    fc.assert(
      fc.property(batch, commands, shapes, asks, (first, steps, shape, asked) => {
        const disk = new MemoryRows(entriesOf(first));
        const rows = new StagedRows(disk);
        let model = StateTree.empty.update(first);
        let tree = StateTree.open(new StateStore(rows, shape));
        expectSame(tree, model, asked);
        const held: { tree: StateTree; model: StateTree }[] = [];
        let persisted: ReturnType<typeof entriesOf> = [];
        const endStep = (): void => {
          const landed = rows.stage(persisted);
          tree.begin();
          disk.apply(persisted);
          landed();
          persisted = [];
        };
        for (const { idle, changes, isWithin, isHeld } of steps) {
          held.push({ tree: tree.update(idle), model: model.update(idle) });
          if (isHeld) held.push({ tree, model });
          const next = tree.update(changes);
          next.settle();
          persisted.push(...entriesOf(changes));
          [tree, model] = [next, model.update(changes)];
          expectSame(tree, model, asked);
          if (!isWithin) endStep();
        }
        endStep();
        for (const one of [...held, { tree, model }]) expectSame(one.tree, one.model, asked);
        const again = StateTree.open(new StateStore(rows, shape));
        expectSame(again, model, asked);
      }),
      { numRuns: 60 },
    );
  });

  test('takes the place of another, which can still be read', () => {
    fc.assert(
      fc.property(batch, batch, shapes, asks, (before, after, shape, asked) => {
        const rows = new MemoryRows(entriesOf(before));
        const tree = StateTree.open(new StateStore(rows, shape));
        const other = StateTree.of(StateTree.empty.update(after).leaves());
        const differences = [...tree.differences(other)];
        const model = StateTree.empty.update(before);
        expect(model.update(differences).root).toEqual(other.root);
        for (const one of differences) {
          expect([one.before, one.value]).toEqual([model.get(one.key), other.get(one.key)]);
          expect(one.before).not.toEqual(one.value);
        }
        other.replace(tree, differences);
        rows.apply(entriesOf(differences));
        other.begin();
        expectSame(other, StateTree.empty.update(after), asked);
        expectSame(tree, model, asked);
      }),
      { numRuns: 50 },
    );
  });

  test('holds few leaves in memory, and says how much an old one holds', () => {
    const rows = new MemoryRows();
    let tree = StateTree.open(new StateStore(rows, { cacheBytes: 0 }));
    const first = tree;
    const all = Array.from({ length: 500 }, (_, n) => ({
      key: sha256Hex(Buffer.from(`${n}`)),
      value: new Uint8Array(100).fill(n),
    }));
    for (const changes of [all, all.map((one) => ({ ...one, value: Uint8Array.of(1) }))]) {
      tree = tree.update(changes);
      tree.settle();
      rows.apply(entriesOf(changes));
      tree.begin();
    }
    expect(first.heldBytes).toBeGreaterThan(500 * 164);
    expect(tree.heldBytes).toBe(0);
    expect([first.size, first.leaves()]).toEqual([0, []]);
    expect(tree.get(all[7]!.key)).toEqual(Uint8Array.of(1));
  });

  test('tells of leaves that are not those of its hash', () => {
    const keys = Array.from({ length: 100 }, (_, n) => sha256Hex(Buffer.from(`${n}`)));
    const all = keys.map((one) => ({ key: one, value: Uint8Array.of(1) }));
    const faults: readonly StateChange[] = [
      { key: keys[5]!, value: undefined },
      { key: keys[5]!, value: Uint8Array.of(2) },
      { key: `${keys[5]!.slice(0, 62)}00`, value: Uint8Array.of(1) },
    ];
    for (const fault of faults) {
      const rows = new MemoryRows(entriesOf(all));
      const tree = StateTree.open(new StateStore(rows));
      rows.apply(entriesOf([fault]));
      expect(() => tree.get(keys[5]!)).toThrow(expect.objectContaining({ code: 'STORE_DAMAGED' }));
      expect(() => tree.update([{ key: keys[5]!, value: undefined }])).toThrow(
        expect.objectContaining({ code: 'STORE_DAMAGED' }),
      );
    }
  });

  test('settles only upon the latest one', () => {
    const tree = StateTree.open(new StateStore(new MemoryRows()));
    const one = { key: 'a'.repeat(64), value: Uint8Array.of(1) };
    const [a, b] = [tree.update([one]), tree.update([one])];
    a.settle();
    expect(() => b.settle()).toThrow('made of the latest');
  });
});

describe('what old states hold', () => {
  /** Blocks that write the same leaves anew, each of `bytes`. */
  const grow = (leaves: number, bytes: number) => {
    const rows = new MemoryRows();
    let tree = StateTree.open(new StateStore(rows, { cacheBytes: 0 }));
    const keys = Array.from({ length: leaves }, (_, n) => sha256Hex(Buffer.from(`${n}`)));
    return (height: number): StateTree => {
      const all = keys.map((one) => ({ key: one, value: new Uint8Array(bytes).fill(height) }));
      tree = tree.update(all);
      tree.settle();
      rows.apply(entriesOf(all));
      tree.begin();
      return tree;
    };
  };

  test('is bounded by bytes for the last ones, of which there are so many', () => {
    let states = new LastStates();
    const small = grow(1, 10);
    for (let at = 1; at <= LIMITS.lastStates + 5; at += 1) states.add(at, small(at));
    expect([states.node(5, ''), states.node(6, '')?.type]).toEqual([undefined, 'leaf']);
    states = new LastStates();
    const large = grow(8, LIMITS.leafBytes);
    const [first, upTo] = [100, 100 + 2 * (LIMITS.lastStateBytes / LIMITS.leafBytes / 8)];
    for (let at = first; at <= upTo; at += 1) states.add(at, large(at));
    expect(states.node(first, '')).toBeUndefined();
    expect(states.node(upTo - 10, '')?.type).toBe('inner');
  });

  test('is bounded by bytes for snapshots that are offered', () => {
    const offers = new SnapshotOffers(() => undefined);
    const write = grow(8, LIMITS.leafBytes);
    const tip = { height: 0, digest: '', headerBytes: new Uint8Array(1) };
    const add = (height: number, tree: StateTree): void =>
      offers.add(
        {
          ...{ tip: { ...tip, height }, tree, handovers: [], provenRows: [] },
          certificate: {
            ...{ phase: 'commit', height, view: 0, digest: '00'.repeat(32) },
            ...{ signers: [0], signature: new Uint8Array(96) },
          },
        } as unknown as Ledger,
        new Uint8Array(1),
      );
    add(1, write(1));
    const perBlock = 8 * LIMITS.leafBytes;
    const share = Math.ceil(LIMITS.offerBytes / LIMITS.offers / perBlock);
    const costly = Array.from({ length: share + 1 }, (_, n) => {
      write(2 + n);
      offers.moved();
      return offers.isCostly;
    });
    expect([costly[0], costly.at(-1)]).toEqual([false, true]);
    const next = share + 3;
    add(next, write(next));
    expect(offers.isCostly).toBe(false);
    const asked = (height: number): boolean => {
      const turn = new Turn(instant(0));
      const wanted = { type: 'snapshot-want', height, checkpoint: undefined } as const;
      offers.answer(turn, new Serving(), 'a', wanted);
      return turn.build().messages[0]!.body.length > 100;
    };
    expect([asked(1), asked(next)]).toEqual([true, true]);
    for (let n = 0; n < 2 * share; n += 1) write(next + 1 + n);
    offers.moved();
    expect([asked(1), asked(next)]).toEqual([false, true]);
  });
});
