/** Parts and manifests of snapshots, and where two states differ: pure, and with hostile bytes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DivergenceWalk } from '../../../src/core/chain/divergence-walk.ts';
import { LIMITS } from '../../../src/core/chain/limits.ts';
import { TABLES } from '../../../src/core/chain/rows.ts';
import { arePartsOf, cutsOf, pagesOf, partOf } from '../../../src/core/chain/snapshot.ts';
import { StateTree } from '../../../src/core/chain/state-tree.ts';
import { Turn } from '../../../src/core/chain/turn.ts';
import { sha256Hex } from '../../../src/core/crypto/hash.ts';
import { instant } from '../../../src/core/units.ts';

/** Some keys share long beginnings, as those of one directory do. */
const key = fc.oneof(
  fc.nat(300).map((n) => sha256Hex(Buffer.from(`${n}`))),
  fc.nat(60).map((n) => `${'ab'.repeat(8)}${sha256Hex(Buffer.from(`${n}`)).slice(16)}`),
);
const row = fc.record({ key, value: fc.uint8Array({ maxLength: 30 }) });
const rows = fc.uniqueArray(row, { selector: (one) => one.key, maxLength: 60 });
const bytesMax = fc.integer({ min: 1, max: 800 });

describe('parts of a state', () => {
  it('are small, verify alone, and give the state again', () => {
    fc.assert(
      fc.property(rows, bytesMax, (all, max) => {
        const tree = StateTree.of(all);
        const cuts = tree.cut(max);
        expect(arePartsOf(tree.root, cuts)).toBe(true);
        const parts = cuts.map((cut) => {
          const leaves = tree.leaves(cut.prefix);
          const bytes = leaves.reduce((sum, { value }) => sum + value.length + 40, 0);
          expect(leaves.length === 1 || bytes <= max).toBe(true);
          return partOf(cut, leaves)!;
        });
        const again = StateTree.assemble(parts);
        expect([again.root, again.size, again.weight]).toEqual([tree.root, tree.size, tree.weight]);
        expect(again.leaves()).toEqual(tree.leaves());
        // It is as good as any other.
        const change = [{ key: 'cd'.repeat(32), value: new Uint8Array(3) }];
        expect(again.update(change).root).toEqual(tree.update(change).root);
      }),
    );
  });

  it('that are changed, left out, doubled or in another order are found out', () => {
    fc.assert(
      fc.property(
        rows.filter((all) => all.length > 3),
        fc.nat(),
        fc.nat(4),
        (all, pick, how) => {
          const tree = StateTree.of(all);
          const cuts = tree.cut(100);
          fc.pre(cuts.length > 1);
          const at = pick % cuts.length;
          const other = { prefix: cuts[at]!.prefix, hash: new Uint8Array(32).fill(7) };
          const wrong = [
            cuts.with(at, other),
            cuts.toSpliced(at, 1),
            cuts.toSpliced(at, 0, cuts[at]!),
            cuts.toReversed(),
            cuts.with(at, { ...cuts[at]!, prefix: `${cuts[at]!.prefix}0` }),
          ][how]!;
          expect(arePartsOf(tree.root, wrong)).toBe(false);
          const leaves = tree.leaves(cuts[at]!.prefix);
          const [first] = leaves;
          const spoilt = [
            leaves.slice(1),
            [...leaves, { key: 'ff'.repeat(32), value: new Uint8Array(1) }],
            leaves.with(0, { ...first!, value: new Uint8Array(31) }),
            leaves.with(0, { ...first!, key: 'ff'.repeat(32) }),
            [first!, ...leaves],
          ][how]!;
          expect(partOf(cuts[at]!, spoilt)).toBeUndefined();
        },
      ),
    );
  });

  it('and rows fit into messages, however much there is', () => {
    const value = new Uint8Array(2000);
    const many = Array.from({ length: 600 }, (_, n) => ({
      key: sha256Hex(value.with(0, n)),
      value,
    }));
    const tree = StateTree.of(
      many.map((one, n) => ({ ...one, key: sha256Hex(Buffer.from(`${n}`)) })),
    );
    expect(cutsOf(tree).length).toBeGreaterThan(4);
    const table = TABLES.successions;
    const pages = pagesOf(many.map((one, n) => ({ table, key: `${n}`, value: one.value })));
    expect(pages.flat()).toHaveLength(600);
    for (const page of pages) {
      const bytes = page.reduce((sum, one) => sum + one.value.length, 0);
      expect(bytes).toBeLessThanOrEqual(LIMITS.partBytes);
    }
  });
});

describe('the walk to where two states differ', () => {
  const change = fc.record({
    key,
    value: fc.option(fc.uint8Array({ maxLength: 9 }), { nil: undefined }),
  });
  const changes = fc.uniqueArray(change, {
    selector: (one) => one.key,
    minLength: 1,
    maxLength: 5,
  });

  it('ends at the first key that differs, and with no false answer', () => {
    fc.assert(
      fc.property(rows, changes, (all, some) => {
        const theirs = StateTree.of(all);
        const ours = theirs.update(some);
        fc.pre(!Buffer.from(ours.root).equals(Buffer.from(theirs.root)));
        const walk = new DivergenceWalk(7, ours, theirs.root);
        for (let step = 0; ; step += 1) {
          expect(step).toBeLessThan(600);
          const turn = new Turn(instant(step * 5000));
          walk.pump(turn, new Set(['a', 'b']));
          const to = turn.build().messages[0]?.to;
          if (to === undefined) throw new Error('nobody is asked');
          const prefix = walk.prefix;
          // One of them lies.
          const lie = { type: 'leaf' as const, key: 'ee'.repeat(32), value: new Uint8Array(99) };
          const answer = walk.take(to, prefix, to === 'a' ? lie : theirs.node(prefix));
          if (to === 'a') {
            expect(answer.type).toBe('lie');
            continue;
          }
          if (answer.type !== 'found') continue;
          const keys = new Set([...ours.leaves(), ...theirs.leaves()].map((leaf) => leaf.key));
          const differs = (one: string): boolean =>
            Buffer.compare(
              ours.get(one) ?? Buffer.from('none'),
              theirs.get(one) ?? Buffer.from('none'),
            ) !== 0;
          const first = [...keys].toSorted().find(differs);
          expect(answer.difference.key).toBe(first);
          return;
        }
      }),
    );
  });
});
