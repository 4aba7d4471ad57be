import fc from 'fast-check';
import type { CID } from 'multiformats/cid';
import { describe, expect, it } from 'vitest';
import { type Block, blockOf, keyOf, RAW } from '../../../src/core/kb/block.ts';
import { parseNode } from '../../../src/core/kb/reader.ts';
import { MIB } from '../../../src/core/units.ts';
import { chooser, Driver, type Holder } from './fetch-driver.ts';
import {
  blake3Hasher,
  bytesOf,
  directoryOf,
  fileOf,
  type Made,
  Objects,
  sha256Hasher,
} from './helpers.ts';

const holding = (dag: Made): Objects => {
  const objects = new Objects();
  objects.put(dag.objects);
  return objects;
};

/** Objects of a root that a store lacks. */
function lacks(store: Objects, root: CID): string[] {
  const missing: string[] = [];
  const stack = [root];
  const seen = new Set<string>();
  for (let cid = stack.pop(); cid !== undefined; cid = stack.pop()) {
    if (seen.has(keyOf(cid))) continue;
    seen.add(keyOf(cid));
    const bytes = store.get(cid);
    if (bytes === undefined) missing.push(cid.toString());
    else stack.push(...parseNode(cid, bytes).links.map((link) => link.cid));
  }
  return missing;
}

/** DAGs of all shapes: deep, wide, with repetitions, flat and sharded. */
function made(seed: number): Made {
  const choose = chooser(seed);
  const file = (): Made => {
    const kinds = [0, 1, 50, 700, 4_000, 12_000];
    const length = kinds[choose(kinds.length)]!;
    const content = choose(4) === 0 ? new Uint8Array(length) : bytesOf(length, choose(20) + 1);
    return fileOf(content, sha256Hasher, 16 + choose(200));
  };
  const directory = (depth: number): Made => {
    const children: Record<string, Made> = {};
    const count = choose(8);
    for (let i = 0; i < count; i += 1) {
      children[`entry ${i}`] = depth > 0 && choose(3) === 0 ? directory(depth - 1) : file();
    }
    return directoryOf(children, sha256Hasher);
  };
  return choose(3) === 0 ? file() : directory(3);
}

const small = { segmentBytes: 4000, batchBytes: 1500 };

describe('Fetch', () => {
  it('brings any DAG from any number of holders, in any order of events', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 5 }), fc.nat(), (shape, count, seed) => {
        const dag = made(shape);
        const store = new Objects();
        const holders: Record<string, Holder> = {};
        for (let i = 0; i < count; i += 1) holders[`h${i}`] = { objects: holding(dag) };
        const result = new Driver({ root: dag.root, ...small }, { store, holders, seed }).run();
        expect(result?.outcome).toBe('done');
        expect(result?.liars).toEqual([]);
        expect(lacks(store, dag.root)).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });

  it('goes on after a crash with what is missing, and asks for nothing twice', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(400), fc.nat(), (shape, steps, seed) => {
        const dag = made(shape);
        const store = new Objects();
        const holders = { a: { objects: holding(dag) }, b: { objects: holding(dag) } };
        new Driver({ root: dag.root, ...small }, { store, holders, seed }).run(steps);
        const before = store.size;
        const again = new Driver({ root: dag.root, ...small }, { store, holders, seed }).run();
        expect(again?.outcome).toBe('done');
        expect(lacks(store, dag.root)).toEqual([]);
        // Equal objects in other places may come again; a tree without them brings the rest only.
        const distinct = new Set(dag.objects.map(({ cid }) => keyOf(cid))).size;
        if (distinct === dag.objects.length) expect(again!.received).toBe(distinct - before);
      }),
      { numRuns: 50 },
    );
  });

  it('does not ask the network for what is there', () => {
    const dag = made(7);
    const store = holding(dag);
    const result = new Driver({ root: dag.root }, { store, holders: {} }).run();
    expect(result).toMatchObject({ outcome: 'done', requests: [], received: 0 });
  });

  it('asks only for what is new against an earlier version', () => {
    const files = Object.fromEntries(
      Array.from({ length: 50 }, (_, i) => [`f${i}`, fileOf(bytesOf(100, i + 1))]),
    );
    const before = directoryOf(files);
    const after = directoryOf({ ...files, f7: fileOf(bytesOf(100, 99)) });
    const store = holding(before);
    const have = parseNode(before.root, store.get(before.root)!).links.map(({ cid }) => cid);
    const holders = { a: { objects: holding(after) } };
    const result = new Driver({ root: after.root, have }, { store, holders }).run();
    expect(result).toMatchObject({ outcome: 'done', received: 2 });
    expect(lacks(store, after.root)).toEqual([]);
  });

  it('spreads a large root over the holders and stays in small memory', () => {
    // 1,024 leaves of 64 KiB by a scaled profile: 64 MiB in segments of 4 MiB.
    const dag = fileOf(bytesOf(64 * MIB), sha256Hasher, 64 * 1024);
    const objects = holding(dag);
    const holders = { a: { objects }, b: { objects }, c: { objects } };
    const store = new Objects();
    const options = { root: dag.root, segmentBytes: 4 * MIB, batchBytes: MIB };
    const result = new Driver(options, { store, holders }).run();
    expect(result?.outcome).toBe('done');
    expect(lacks(store, dag.root)).toEqual([]);
    expect(result!.received).toBe(dag.objects.length);
    expect(result!.maxStreams).toBe(3);
    expect(result!.requests.length).toBeGreaterThan(12);
    for (const nodeId of ['a', 'b', 'c']) {
      expect(result!.requests.filter((id) => id === nodeId).length).toBeGreaterThan(2);
    }
  });
});

describe('a holder that misbehaves', () => {
  const dag = fileOf(bytesOf(20_000), blake3Hasher, 100);
  const good = (): Holder => ({ objects: holding(dag) });
  const stranger = blockOf(RAW, bytesOf(100, 77), blake3Hasher);

  it.each<[string, NonNullable<Holder['tamper']>]>([
    ['sends an object that nobody asked for', (block, i) => (i === 20 ? stranger : block)],
    [
      'sends false bytes for a leaf',
      (block, i) => (i === 20 ? { ...block, bytes: bytesOf(100, 5) } : block),
    ],
    [
      'sends a leaf of another length',
      (block, i) => (i === 20 ? { ...block, bytes: bytesOf(99, 5) } : block),
    ],
    [
      'sends false bytes for the root',
      (block, i) => (i === 0 ? { ...block, bytes: Uint8Array.of(...block.bytes, 0) } : block),
    ],
    [
      'sends an object beyond the limit',
      (block, i) => (i === 9 ? { ...block, bytes: new Uint8Array(4 * MIB + 1) } : block),
    ],
  ])('%s: it is named, and another one goes on', (_what, tamper) => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const store = new Objects();
      const holders = { bad: { ...good(), tamper }, good: good() };
      const result = new Driver({ root: dag.root, ...small }, { store, holders, seed }).run();
      expect(result?.outcome).toBe('done');
      expect(result?.liars).toEqual(['bad']);
      expect(lacks(store, dag.root)).toEqual([]);
    }
  });

  it.each<[string, NonNullable<Holder['tamper']>]>([
    ['cuts', (block, i) => (i === 5 ? 'cut' : block)],
    ['stalls', (block, i) => (i === 5 ? 'stall' : block)],
    ['never sends anything', () => 'cut'],
  ])('%s: another one goes on, nobody is named', (_what, tamper) => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const store = new Objects();
      const holders = { weak: { ...good(), tamper }, good: good() };
      const result = new Driver({ root: dag.root, ...small }, { store, holders, seed }).run();
      expect(result?.outcome).toBe('done');
      expect(result?.liars).toEqual([]);
      expect(lacks(store, dag.root)).toEqual([]);
    }
  });

  it('cannot make a root look larger than it is', () => {
    const maxBytes = dag.objects.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const tamper = (block: Block, i: number) =>
      i > 5 ? { ...block, bytes: bytesOf(100, i) } : block;
    const store = new Objects();
    const holders = { bad: { ...good(), tamper }, worse: { ...good(), tamper }, good: good() };
    const result = new Driver({ root: dag.root, ...small, maxBytes }, { store, holders }).run();
    expect(result).toMatchObject({ outcome: 'done' });
    expect(result!.liars.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(['bad', 'worse']);
  });

  it('a stream that is cut again and again still gets through while it brings something', () => {
    const store = new Objects();
    const tamper = (block: Block, i: number) => (i === 3 ? 'cut' : block);
    const holders = { only: { ...good(), tamper } };
    const result = new Driver({ root: dag.root, ...small }, { store, holders }).run();
    expect(result?.outcome).toBe('done');
  });

  it('holders that lack different objects complete each other', () => {
    const one = holding(dag);
    const other = holding(dag);
    one.delete(dag.objects[150]!.cid);
    other.delete(dag.objects[20]!.cid);
    const store = new Objects();
    const holders = { one: { objects: one }, other: { objects: other } };
    const result = new Driver({ root: dag.root, ...small }, { store, holders }).run();
    expect(result?.outcome).toBe('done');
  });

  it('fails, and says why, when nobody can give all', () => {
    const partial = holding(dag);
    partial.delete(dag.objects[20]!.cid);
    const store = new Objects();
    const holders = { a: { objects: partial }, b: { objects: new Objects() } };
    const result = new Driver({ root: dag.root, ...small }, { store, holders }).run();
    expect(result?.outcome).toMatchObject({
      code: 'NOT_REACHABLE',
      details: { holders: { a: expect.any(String), b: expect.any(String) } },
    });
  });

  it('refuses a root that is larger than allowed before it fetches it', () => {
    const store = new Objects();
    const holders = { a: good() };
    const options = { root: dag.root, ...small, maxBytes: 10_000 };
    const result = new Driver(options, { store, holders }).run();
    expect(result?.outcome).toMatchObject({ code: 'TOO_LARGE' });
    expect(result!.received).toBe(1);
  });
});
