import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KbStore } from '../../../src/core/kb/store.ts';
import { compareShown, VersionGraph } from '../../../src/core/kb/versions.ts';
import { MemoryRows } from '../../../src/core/memory-rows.ts';
import type { SignedVersion } from '../../../src/core/model/version.ts';
import type { Verified } from '../../../src/core/units.ts';
import { authors, versionOf } from './authors.ts';
import { chooser } from './fetch-driver.ts';

type Signed = Verified<SignedVersion>;
const [ana, bea] = authors as [(typeof authors)[0], (typeof authors)[0]];

/** Versions of one path that follow any of those before, by authors that keep no rule of time. */
function tangle(seed: number, count: number): Signed[] {
  const choose = chooser(seed);
  const all: Signed[] = [];
  for (let i = 0; i < count; i += 1) {
    const parents = all.filter(() => choose(4) === 0).slice(0, 3);
    const most = Math.max(0, ...parents.map(({ version }) => version.generation)) + 1;
    const generation = 1 + choose(most);
    const fields = { path: 'p', sequence: i + 1, generation, time: choose(9) };
    all.push(versionOf(ana, { ...fields, parents: parents.map(({ cid }) => cid) }));
  }
  return all;
}

function graphOf(versions: readonly Signed[]): { graph: VersionGraph; store: KbStore } {
  const store = new KbStore();
  const graph = new VersionGraph({}, store);
  for (const version of versions) graph.add(version);
  return { graph, store };
}

const names = (versions: Iterable<SignedVersion>): string[] =>
  [...versions].map(({ cidText }) => cidText);

describe('the history of a path', () => {
  it('has each version once, of those in reach the greatest first, and comes in pages', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 20 }), (seed, count) => {
        const all = tangle(seed, count);
        const { graph } = graphOf(all);
        const log = graph.log('p');
        expect(names(log).toSorted()).toEqual(names(all).toSorted());
        expect(names(graph.heads('p'))).toEqual(names(graph.heads('p').toSorted(shownFirst)));
        expect(log[0]).toEqual(graph.shown('p'));
        const pages: string[] = [];
        for (let page = graph.log('p', { limit: 3 }); page.length > 0; ) {
          pages.push(...names(page));
          page = graph.log('p', { limit: 3, before: pages.at(-1)! });
        }
        expect(pages).toEqual(names(log));
      }),
      { numRuns: 30 },
    );
  });

  it('is told in the order of what is shown when authors keep the rules', () => {
    const all: Signed[] = [];
    for (let i = 1; i <= 12; i += 1) {
      const parents = all.slice(-2).map(({ cid }) => cid);
      all.push(versionOf(ana, { path: 'p', sequence: i, parents, generation: i, time: i }));
    }
    expect(names(graphOf(all).graph.log('p'))).toEqual(names(all.toReversed()));
  });
});

const shownFirst = (a: SignedVersion, b: SignedVersion): number => compareShown(b, a);

describe('versions that are taken out', () => {
  it('leave a graph as if they and what follows them had never come', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 16 }), fc.nat(), (seed, count, which) => {
        const all = tangle(seed, count);
        const { graph, store } = graphOf(all);
        const victim = all[which % count]!;
        const removed = graph.remove('p', ({ cidText }) => cidText === victim.cidText);
        const gone = new Set(names(removed));
        expect(gone.has(victim.cidText)).toBe(true);
        const left = all.filter(({ cidText }) => !gone.has(cidText));
        for (const { version } of left) {
          expect(version.parents.some((parent) => gone.has(parent.toString()))).toBe(false);
        }
        const heads = left.filter(({ cidText }) => {
          return left.every(({ version }) => !version.parents.map(String).includes(cidText));
        });
        const again = new VersionGraph({}, new KbStore(new MemoryRows(store.take())));
        for (const one of [graph, again]) {
          expect(names(one.heads('p')).toSorted()).toEqual(names(heads).toSorted());
          expect(one.size).toBe(left.length);
          expect(one.paths).toBe(left.length === 0 ? 0 : 1);
          expect(names(one.author(ana.nodeId).between(1, count))).toEqual(names(left));
        }
      }),
      { numRuns: 30 },
    );
  });

  it('keep their sequence, while later ones are there: nobody signs one twice', () => {
    const one = versionOf(ana, { path: 'a', sequence: 1 });
    const two = versionOf(ana, { path: 'b', sequence: 2 });
    const { graph } = graphOf([one, two, versionOf(bea, { path: 'c', sequence: 1 })]);
    graph.remove('a', () => true);
    expect(graph.nextSequence(ana.nodeId)).toBe(3);
    const { versions } = graph.after(new Map(), { maxCount: 64, maxBytes: 1e6 });
    expect(names(versions)).toContain(two.cidText);
    graph.remove('b', () => true);
    expect(graph.nextSequence(ana.nodeId)).toBe(1);
    expect(graph.add(one).status).toBe('added');
  });
});
