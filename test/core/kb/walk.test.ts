import { encode as encodePb } from '@ipld/dag-pb';
import fc from 'fast-check';
import type { CID } from 'multiformats/cid';
import { describe, expect, it } from 'vitest';
import { type Block, blockOf, DAG_PB, keyOf } from '../../../src/core/kb/block.ts';
import { CarDecoder } from '../../../src/core/kb/car.ts';
import { LIMITS } from '../../../src/core/kb/limits.ts';
import { LocalScan } from '../../../src/core/kb/local-scan.ts';
import { isNode, parseNode } from '../../../src/core/kb/reader.ts';
import { skipListOf, skipsOf } from '../../../src/core/kb/request.ts';
import { segmentsOf } from '../../../src/core/kb/segments.ts';
import { Serving } from '../../../src/core/kb/serve.ts';
import { comparePaths, type TreePath, type TreeRange } from '../../../src/core/kb/tree-range.ts';
import { encodeUnixfs, UNIXFS_TYPE } from '../../../src/core/kb/unixfs-data.ts';
import { DagWalk, type WalkOptions } from '../../../src/core/kb/walk.ts';
import { bytesOf, directoryOf, fileOf, type Made, Objects, sha256Hasher } from './helpers.ts';

const leaves = (length: number, seed: number) => fileOf(bytesOf(length, seed), sha256Hasher, 40);
const zeros = fileOf(new Uint8Array(400), sha256Hasher, 40);

/** Two levels of directories with files of many leaves, and repetitions of both. */
const dag = directoryOf({
  a: directoryOf({ one: leaves(500, 1), two: leaves(30, 2), three: leaves(500, 1) }),
  b: leaves(1000, 3),
  c: zeros,
  d: directoryOf({}),
  e: directoryOf({ one: leaves(500, 1), zeros }),
});
const objects = new Objects();
objects.put(dag.objects);

interface Place {
  readonly cid: CID;
  readonly path: TreePath;
}

/** The walk by its definition, recursively. */
function* naive(cid: CID, path: TreePath = []): Generator<Place> {
  yield { cid, path };
  if (!isNode(cid)) return;
  const { links } = parseNode(cid, objects.get(cid)!);
  const seen = new Set<string>();
  for (const [i, link] of links.entries()) {
    if (!seen.has(keyOf(link.cid))) yield* naive(link.cid, [...path, i]);
    seen.add(keyOf(link.cid));
  }
}

const all = [...naive(dag.root)];
const textOf = (places: readonly Place[]): string[] =>
  places.map(({ cid, path }) => `${path.join('.')} ${cid.toString()}`);

function walked(
  options: Omit<WalkOptions, 'root'> = {},
  made: Made = dag,
  from = objects,
): Place[] {
  const walk = new DagWalk({ root: made.root, ...options });
  const places: Place[] = [];
  for (let step = walk.next(); step !== undefined; step = walk.next()) {
    if (step.wanted) places.push(step);
    walk.give(from.get(step.cid)!);
  }
  return places;
}

const inRange = ({ path }: Place, { from, to }: TreeRange): boolean =>
  comparePaths(from, path) <= 0 && (to === undefined || comparePaths(path, to) < 0);

/** Sorted, disjoint ranges between places of the DAG. */
const rangeLists = fc
  .uniqueArray(fc.nat(all.length - 1), { minLength: 1, maxLength: 9 })
  .map((picks): TreeRange[] => {
    const paths = picks.toSorted((a, b) => a - b).map((i) => all[i]!.path);
    const ranges: TreeRange[] = [];
    for (let i = 0; i < paths.length; i += 2) ranges.push({ from: paths[i]!, to: paths[i + 1] });
    return ranges;
  });

describe('DagWalk', () => {
  it('goes depth first, each of equal links of a node once', () => {
    expect(textOf(walked())).toEqual(textOf(all));
  });

  it('brings exactly what its ranges hold', () => {
    fc.assert(
      fc.property(rangeLists, (ranges) => {
        const expected = all.filter((place) => ranges.some((range) => inRange(place, range)));
        expect(textOf(walked({ ranges }))).toEqual(textOf(expected));
      }),
    );
  });

  it('begins in the middle when the nodes above are known', () => {
    for (const { path } of all) {
      const ancestors = path.map((_, level) => {
        const { cid } = all.find((place) => comparePaths(place.path, path.slice(0, level)) === 0)!;
        return parseNode(cid, objects.get(cid)!);
      });
      const ranges = [{ from: path, to: undefined }];
      const expected = all.filter((place) => comparePaths(path, place.path) <= 0);
      expect(textOf(walked({ ranges, ancestors }))).toEqual(textOf(expected));
    }
  });

  it('leaves out what is on the skip list, with all below it', () => {
    const { links } = parseNode(dag.root, objects.get(dag.root)!);
    const skips = skipsOf(skipListOf([links[1]!.cid, links[4]!.cid]));
    const expected = all.filter(({ path }) => path[0] !== 1 && path[0] !== 4);
    expect(textOf(walked({ skips }))).toEqual(textOf(expected));
    expect(walked({ skips: (cid) => cid.equals(dag.root) })).toEqual([]);
  });

  it('refuses a DAG that is deeper than allowed', () => {
    let deep: Made = leaves(10, 1);
    for (let i = 0; i <= LIMITS.depth; i += 1) deep = directoryOf({ x: deep });
    const from = new Objects();
    from.put(deep.objects);
    const tooLarge = expect.objectContaining({ code: 'TOO_LARGE' });
    expect(() => walked({}, deep, from)).toThrow(tooLarge);
  });

  it('ends on a small DAG that unfolds without end', () => {
    // Every level links twice to the level below, by nodes that differ: 2^40 places, 80 objects.
    let level: Made[] = [leaves(10, 1), leaves(10, 2)];
    const from = new Objects();
    from.put(level.flatMap((made) => made.objects));
    for (let i = 0; i < 40; i += 1) {
      const [x, y] = level as [Made, Made];
      level = [directoryOf({ x, y }), directoryOf({ x: y, y: x })].map((made) => {
        from.put(made.blocks);
        return { ...made, objects: [] };
      });
    }
    const tooLarge = expect.objectContaining({ code: 'TOO_LARGE' });
    expect(() => walked({ maxBlocks: 10_000 }, level[0], from)).toThrow(tooLarge);
  });

  it('refuses a child that is not what its parent says', () => {
    const bad = expect.objectContaining({ code: 'BAD_DATA' });
    const child = leaves(10, 1);
    const fileOver = (cid: CID, size: number): Block => {
      const data = encodeUnixfs({ type: UNIXFS_TYPE.file, blockSizes: [size], fileSize: size });
      const link = { Name: '', Tsize: size, Hash: cid };
      return blockOf(DAG_PB, encodePb({ Data: data, Links: [link] }), sha256Hasher);
    };
    const directory = directoryOf({ child });
    for (const [root, below] of [
      [fileOver(child.root, 11), child],
      [fileOver(directory.root, 10), directory],
    ] as const) {
      const from = new Objects();
      from.put([root, ...below.objects]);
      expect(() => walked({}, { ...child, root: root.cid }, from)).toThrow(bad);
    }
  });
});

describe('Serving', () => {
  const serve = (
    maxBytes: number,
    from = objects,
    ranges: TreeRange[] = [{ from: [], to: undefined }],
  ) => {
    const serving = new Serving({ root: dag.root, ranges, skip: new Uint8Array(), maxBytes });
    const car = new CarDecoder();
    const blocks: Block[] = [];
    for (let wants = serving.wants(); wants.length > 0; wants = serving.wants()) {
      expect(wants.length).toBeLessThanOrEqual(64);
      for (const chunk of serving.give(wants.map((cid) => from.get(cid)))) {
        blocks.push(...car.push(chunk));
      }
    }
    car.end();
    return { blocks, roots: car.roots!, serving };
  };

  it('sends a CAR in the order of the walk', () => {
    const { blocks, roots, serving } = serve(1e9);
    expect(blocks.map(({ cid }) => cid.toString())).toEqual(all.map(({ cid }) => cid.toString()));
    expect(roots.map(String)).toEqual([dag.root.toString()]);
    expect(serving.sentBlocks).toBe(all.length);
  });

  it('sends only the ranges, and stops at the bytes that were asked for', () => {
    fc.assert(
      fc.property(rangeLists, fc.integer({ min: 1, max: 3000 }), (ranges, maxBytes) => {
        const expected = all.filter((place) => ranges.some((range) => inRange(place, range)));
        const { blocks } = serve(maxBytes, objects, ranges);
        const bytes = blocks.reduce((sum, block) => sum + block.bytes.length, 0);
        const last = blocks.at(-1)!.bytes.length;
        expect(bytes - last).toBeLessThan(maxBytes);
        if (bytes < maxBytes) expect(blocks).toHaveLength(expected.length);
        expect(blocks.map(({ cid }) => cid.toString())).toEqual(
          expected.slice(0, blocks.length).map(({ cid }) => cid.toString()),
        );
      }),
    );
  });

  it('ends at an object that it lacks, and names no root that it lacks', () => {
    const partial = new Objects();
    partial.put(dag.objects);
    partial.delete(all[7]!.cid);
    expect(serve(1e9, partial).blocks).toHaveLength(7);
    expect(serve(1e9, new Objects())).toMatchObject({ blocks: [], roots: [] });
  });
});

describe('LocalScan', () => {
  it('finds exactly what is missing', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(all.length - 1), { maxLength: 20 }), (picks) => {
        const store = new Objects();
        store.put(dag.objects);
        for (const i of picks) store.delete(all[i]!.cid);
        const scan = new LocalScan({ root: dag.root });
        for (let look = scan.look(); look !== undefined; look = scan.look()) {
          scan.looked({
            nodes: look.nodes.map((cid) => store.get(cid)),
            leaves: look.leaves.map((cid) => store.get(cid) !== undefined),
          });
        }
        const covered = all.filter((place) => scan.missing.some((part) => inRange(place, part)));
        const gone = all.filter(({ cid }) => store.get(cid) === undefined);
        for (const place of gone) expect(textOf(covered)).toContain(textOf([place])[0]);
        // Beyond those, only what lies below a missing node.
        for (const { path } of covered) {
          const isBelow = gone.some(
            (place) => comparePaths(place.path, path.slice(0, place.path.length)) === 0,
          );
          expect(isBelow).toBe(true);
        }
      }),
    );
  });
});

describe('segmentsOf', () => {
  it('cuts a part into pieces that follow each other and cover it', () => {
    const root = parseNode(dag.root, objects.get(dag.root)!);
    const inner = parseNode(root.links[0]!.cid, objects.get(root.links[0]!.cid)!);
    const parts = [
      { from: [0], to: undefined, ancestors: [root] },
      { from: [0, 1], to: undefined, ancestors: [root, inner] },
      { from: [0, 1], to: [2], ancestors: [root, inner] },
      { from: [1], to: [4, 1, 3], ancestors: [root] },
      { from: [], to: undefined, ancestors: [] },
    ];
    for (const part of parts) {
      for (const size of [1, 600, 1e9]) {
        const segments = segmentsOf(part, size);
        expect(segments[0]!.from).toEqual(part.from);
        expect(segments.at(-1)!.to).toEqual(part.to);
        for (const [i, segment] of segments.entries()) {
          expect(segment.ancestors).toHaveLength(segment.from.length);
          if (i > 0) expect(segments[i - 1]!.to).toEqual(segment.from);
        }
        if (size === 1e9) expect(segments).toHaveLength(1);
      }
    }
  });
});
