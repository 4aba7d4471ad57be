import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KbStore } from '../../../src/core/kb/store.ts';
import { VersionGraph } from '../../../src/core/kb/versions.ts';
import type { LogEntry } from '../../../src/core/machine.ts';
import { MemoryRows } from '../../../src/core/memory-rows.ts';
import type { SignedVersion } from '../../../src/core/model/version.ts';
import type { Verified } from '../../../src/core/units.ts';
import { authors, versionOf } from './authors.ts';
import { chooser } from './fetch-driver.ts';

type Signed = Verified<SignedVersion>;
const [ana, bea] = authors as [(typeof authors)[0], (typeof authors)[0]];

const follow = (author: typeof ana, sequence: number, path: string, ...parents: Signed[]): Signed =>
  versionOf(author, {
    path,
    sequence,
    parents: parents.map(({ cid }) => cid),
    generation: Math.max(0, ...parents.map(({ version }) => version.generation)) + 1,
  });

/** A history as honest nodes make it: each version follows heads that its author could see. */
function history(seed: number, count: number): Signed[] {
  const choose = chooser(seed);
  const graph = new VersionGraph();
  const all: Signed[] = [];
  for (let i = 0; i < count; i += 1) {
    const author = authors[choose(4)]!;
    const path = `p${choose(3)}`;
    const heads = graph.heads(path).filter(() => choose(3) > 0) as Signed[];
    const next = follow(author, graph.nextSequence(author.nodeId), path, ...heads);
    graph.add(next);
    all.push(next);
  }
  return all;
}

const shuffled = <T>(items: readonly T[], seed: number): T[] => {
  const choose = chooser(seed);
  const out = [...items];
  for (let i = out.length - 1; i > 0; i -= 1) {
    const j = choose(i + 1);
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
};

/** The graph as its rows describe it. */
function reopened(entries: readonly LogEntry[]): VersionGraph {
  return new VersionGraph({}, new KbStore(new MemoryRows(entries)));
}

const compare = (a: string, b: string): number => (a < b ? -1 : 1);

const stateOf = (graph: VersionGraph): string =>
  JSON.stringify([
    [...graph.vector()].map(([author, sequence]) => `${author} ${sequence}`).toSorted(compare),
    ['p0', 'p1', 'p2'].map((path) => graph.heads(path).map(({ cidText }) => cidText)),
    graph.list().map(({ path, shown, others }) => [path, shown.cidText, others]),
  ]);

describe('VersionGraph', () => {
  it('is the same graph in whatever order versions come, each any number of times', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 25 }), (seed, order, count) => {
        const versions = history(seed, count);
        const straight = new VersionGraph();
        for (const version of versions) expect(straight.add(version).status).toBe('added');
        const store = new KbStore();
        const mixed = new VersionGraph({}, store);
        let added = 0;
        for (const version of shuffled([...versions, ...versions], order)) {
          added += mixed.add(version).added.length;
        }
        expect(added).toBe(count);
        expect(mixed.orphans).toBe(0);
        expect(stateOf(mixed)).toBe(stateOf(straight));
        expect(stateOf(reopened(store.take()))).toBe(stateOf(straight));
      }),
      { numRuns: 40 },
    );
  });

  it('pages bring a node that knows some of it to all of it, without orphans', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(25), fc.integer({ min: 1, max: 7 }), (seed, known, maxCount) => {
        const versions = history(seed, 25);
        const full = new VersionGraph();
        for (const version of versions) full.add(version);
        const behind = new VersionGraph();
        for (const version of versions.slice(0, known)) behind.add(version);
        for (let isMore = true; isMore; ) {
          const page = full.after(behind.vector(), { maxCount, maxBytes: 100_000 });
          expect(page.versions.length).toBeLessThanOrEqual(maxCount);
          if (page.isMore) expect(page.versions.length).toBeGreaterThan(0);
          for (const version of page.versions) {
            expect(behind.add(version as Signed).status).toBe('added');
          }
          isMore = page.isMore;
        }
        expect(stateOf(behind)).toBe(stateOf(full));
      }),
      { numRuns: 40 },
    );
  });

  it('shows the greatest of generation, time and CID, and keeps the other heads', () => {
    const graph = new VersionGraph();
    const first = versionOf(ana, { path: 'a', sequence: 1, time: 5 });
    const later = versionOf(bea, { path: 'a', sequence: 1, time: 6 });
    graph.add(first);
    graph.add(later);
    expect(graph.shown('a')?.cidText).toBe(later.cidText);
    expect(graph.heads('a')).toHaveLength(2);
    const over = follow(ana, 2, 'a', first);
    graph.add(over);
    expect(graph.heads('a').map(({ cidText }) => cidText)).toEqual([over.cidText, later.cidText]);
    const merge = follow(bea, 2, 'a', over, later);
    graph.add(merge);
    expect(graph.heads('a')).toEqual([merge]);
    expect(graph.log('a')).toEqual([merge, over, later, first]);
    expect(graph.list()).toEqual([{ path: 'a', shown: merge, others: 0 }]);
  });

  it('lists by prefix, in the order of bytes, without what is deleted', () => {
    const graph = new VersionGraph();
    const paths = ['b', 'a/z', 'a/é', 'a/a', 'c'];
    for (const [i, path] of paths.entries()) graph.add(versionOf(ana, { path, sequence: i + 1 }));
    const c = graph.shown('c') as Signed;
    const gone = versionOf(ana, { path: 'c', sequence: 6, parents: [c.cid], deleted: true });
    graph.add(gone);
    expect(graph.list().map(({ path }) => path)).toEqual(['a/a', 'a/z', 'a/é', 'b']);
    expect(graph.list('a/').map(({ path }) => path)).toEqual(['a/a', 'a/z', 'a/é']);
    expect(graph.paths).toBe(4);
    expect(graph.size).toBe(6);
  });

  it('refuses a generation that its parents do not allow, and parents of another path', () => {
    const graph = new VersionGraph();
    const first = versionOf(ana, { path: 'a', sequence: 1 });
    graph.add(first);
    const bad = expect.objectContaining({ code: 'BAD_DATA' });
    const high = versionOf(ana, { path: 'a', sequence: 2, generation: 3, parents: [first.cid] });
    expect(() => graph.add(high)).toThrow(bad);
    const alone = versionOf(ana, { path: 'a', sequence: 2, generation: 2 });
    expect(() => graph.add(alone)).toThrow(bad);
    const strange = versionOf(ana, { path: 'b', sequence: 2, parents: [first.cid] });
    expect(() => graph.add(strange)).toThrow(bad);
    // The same, when it had to wait for its parent first.
    const waiting = new VersionGraph();
    expect(waiting.add(high).status).toBe('orphan');
    expect(waiting.add(first).added).toEqual([first]);
    expect(waiting.size).toBe(1);
    expect(waiting.orphans).toBe(0);
  });

  it('keeps both versions of an author that equivocates, and says so', () => {
    const graph = new VersionGraph();
    const one = versionOf(ana, { path: 'a', sequence: 1 });
    const other = versionOf(ana, { path: 'b', sequence: 1 });
    expect(graph.add(one).equivocations).toEqual([]);
    const { equivocations } = graph.add(other);
    expect(equivocations).toMatchObject([{ author: ana.nodeId, sequence: 1 }]);
    expect(equivocations[0]!.versions).toHaveLength(2);
    expect(graph.size).toBe(2);
    expect(graph.nextSequence(ana.nodeId)).toBe(2);
  });

  it('bounds what waits, in all and by author', () => {
    const graph = new VersionGraph({ maxOrphans: 5, maxOrphansPerAuthor: 3 });
    const gaps = (author: typeof ana) =>
      [3, 5, 7, 9].map((sequence) => versionOf(author, { path: 'a', sequence }));
    expect(gaps(ana).map((version) => graph.add(version).status)).toEqual([
      'orphan',
      'orphan',
      'orphan',
      'dropped',
    ]);
    expect(graph.add(gaps(ana)[0]!).status).toBe('known');
    for (const version of gaps(bea)) graph.add(version);
    expect(graph.orphans).toBe(5);
  });

  it('refuses more versions than it may keep', () => {
    const graph = new VersionGraph({ maxVersions: 1 });
    graph.add(versionOf(ana, { path: 'a', sequence: 1 }));
    const busy = expect.objectContaining({ code: 'BUSY' });
    expect(() => graph.add(versionOf(bea, { path: 'a', sequence: 1 }))).toThrow(busy);
  });
});

describe('what one author can do', () => {
  it('is bounded in number and bytes; others still have room', () => {
    const graph = new VersionGraph({ maxVersionsPerAuthor: 3, maxBytesPerAuthor: 1e6 });
    for (let i = 1; i <= 3; i += 1) graph.add(versionOf(ana, { path: 'a', sequence: i }));
    const more = versionOf(ana, { path: 'a', sequence: 4 });
    expect(() => graph.add(more)).toThrow(expect.objectContaining({ code: 'BUSY' }));
    expect(graph.add(versionOf(bea, { path: 'b', sequence: 1 })).status).toBe('added');
    const small = new VersionGraph({ maxBytesPerAuthor: more.bytes.length + 1 });
    small.add(versionOf(ana, { path: 'a', sequence: 1 }));
    small.add(versionOf(ana, { path: 'a', sequence: 2 }));
    const third = versionOf(ana, { path: 'a', sequence: 3 });
    expect(() => small.add(third)).toThrow(expect.objectContaining({ code: 'BUSY' }));
  });

  it('does not slow down a path: the shown head is right among thousands', () => {
    const graph = new VersionGraph();
    const all: Signed[] = [];
    for (let i = 1; i <= 600; i += 1) {
      const version = versionOf(ana, { path: 'a', sequence: i, time: (i * 7919) % 601 });
      all.push(version);
      graph.add(version);
      if (i % 100 === 0) expect(graph.shown('a')).toBe(graph.heads('a')[0]);
    }
    // Whoever follows the shown head with a smaller generation gives way to the next one.
    const [first, second] = graph.heads('a') as [Signed, Signed];
    const parents = [first.cid];
    graph.add(versionOf(bea, { path: 'a', sequence: 1, parents, generation: 1, time: 0 }));
    expect(graph.shown('a')).toBe(second);
    expect(graph.list().map(({ others }) => others)).toEqual([599]);
  });
});
