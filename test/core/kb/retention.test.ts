import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Retention, retained, ruleOf } from '../../../src/core/kb/retention.ts';
import { compareShown, VersionGraph } from '../../../src/core/kb/versions.ts';
import { encodeMerge, openMerge } from '../../../src/core/model/merge.ts';
import type { SignedVersion } from '../../../src/core/model/version.ts';
import type { Verified } from '../../../src/core/units.ts';
import { authors, contentOf, versionOf } from './authors.ts';

const [ana] = authors as [(typeof authors)[0]];
const NOW = 100_000;

type Signed = Verified<SignedVersion>;

/** A history of one path: each version says after which earlier ones it comes, and when. */
function graphOf(plan: readonly { follows: readonly number[]; time: number; deleted: boolean }[]) {
  const graph = new VersionGraph();
  const all: Signed[] = [];
  for (const [n, { follows, time, deleted }] of plan.entries()) {
    const parents = [...new Set(follows.filter((at) => at < n))].map((at) => all[at]!);
    const version = versionOf(ana, {
      path: 'p',
      sequence: n + 1,
      parents: parents.map(({ cid }) => cid),
      generation: Math.max(0, ...parents.map((one) => one.version.generation)) + 1,
      time: Math.max(time, ...parents.map((one) => one.version.time)),
      ...(deleted ? { deleted } : {}),
    });
    all.push(version);
    graph.add(version);
  }
  return { graph, all };
}

const plans = fc.array(
  fc.record({
    follows: fc.array(fc.nat(11), { maxLength: 3 }),
    time: fc.nat(NOW),
    deleted: fc.boolean(),
  }),
  { minLength: 1, maxLength: 12 },
);
const retentions: fc.Arbitrary<Retention> = fc.record({
  keepLast: fc.option(fc.nat(5), { nil: undefined }),
  keepForMs: fc.option(fc.nat(NOW), { nil: undefined }),
});

/** W30 read word by word, on the whole history at once. */
function isKept(all: readonly Signed[], version: Signed, { keepLast, keepForMs }: Retention) {
  const follows = (one: Signed, other: Signed): boolean =>
    one.version.parents.some((parent) => parent.equals(other.cid));
  const followers = (of: Signed): Signed[] => all.filter((one) => follows(one, of));
  if (keepLast === undefined && keepForMs === undefined) return true;
  if (followers(version).length === 0) return true;
  const behind = all
    .filter((one) => followers(one).length > 0 && one.version.deleted !== true)
    .toSorted((a, b) => compareShown(b, a));
  const isLast = keepLast !== undefined && behind.indexOf(version) < keepLast;
  const since = Math.min(...followers(version).map((one) => one.version.time));
  return isLast || (keepForMs !== undefined && NOW - since < keepForMs);
}

test('versions keep their content as the rule says', () => {
  fc.assert(
    fc.property(plans, retentions, (plan, retention) => {
      const { graph, all } = graphOf(plan);
      const told = [...retained(graph.history('p'), retention, NOW)];
      expect(told).toHaveLength(all.length);
      for (const { version, rule } of told) {
        if (version.version.deleted === true) continue;
        const kept = isKept(all, version as Signed, retention);
        expect([version.cidText, rule !== undefined]).toEqual([version.cidText, kept]);
        expect(ruleOf(graph, version, retention, NOW)).toBe(rule);
      }
    }),
  );
});

test('what a merge with conflicts has set aside stays, and what a clean one took in may go', () => {
  for (const isClean of [true, false]) {
    const { graph, all } = graphOf([
      { follows: [], time: 1, deleted: false },
      { follows: [0], time: 2, deleted: false },
      { follows: [0], time: 3, deleted: false },
    ]);
    const parents = all.slice(1);
    const merge = openMerge(
      encodeMerge({
        path: 'p',
        root: all[2]!.version.root,
        sizeBytes: 10,
        parents: parents.map(({ cid }) => cid),
        generation: 3,
        time: 3,
        conflicts: isClean ? [] : [{ at: '', ours: contentOf('a'), theirs: contentOf('b') }],
      }),
    );
    graph.add(merge);
    const rules = [...retained(graph.history('p'), { keepLast: 0 }, NOW)];
    expect(rules.map(({ rule }) => rule)).toEqual([
      'head',
      ...parents.map(() => (isClean ? undefined : 'conflict')),
      undefined,
    ]);
  }
});
