import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { basesOf, type Followed } from '../../../../src/core/kb/merge/bases.ts';
import { MERGE_LIMITS } from '../../../../src/core/kb/merge/limits.ts';

/** What each follows, those before it only. */
type History = ReadonlyMap<string, readonly string[]>;

class Graph {
  readonly #versions = new Map<string, Followed>();

  constructor(history: History, generationOf?: (n: number) => number) {
    for (const [cid, parents] of history) {
      const above = parents.map((parent) => this.#versions.get(parent)!.version.generation);
      const generation = generationOf?.(this.#versions.size) ?? 1 + Math.max(0, ...above);
      this.#versions.set(cid, { version: { generation, parents } });
    }
  }

  get(cid: string): Followed | undefined {
    return this.#versions.get(cid);
  }
}

function ancestorsOf(history: History, cids: readonly string[]): Set<string> {
  const found = new Set(cids);
  for (const cid of found) for (const parent of history.get(cid)!) found.add(parent);
  return found;
}

/** The same by its definition, slowly. */
function model(history: History, a: readonly string[], b: readonly string[]): string[] {
  const [ofA, ofB] = [ancestorsOf(history, a), ancestorsOf(history, b)];
  const common = [...ofA].filter((cid) => ofB.has(cid));
  const isBase = (cid: string): boolean =>
    !common.some((other) => other !== cid && ancestorsOf(history, [other]).has(cid));
  return common.filter(isBase).toSorted();
}

const nameOf = (n: number): string => `v${String(n).padStart(2, '0')}`;
const histories = fc
  .array(fc.array(fc.nat(30), { maxLength: 3 }), { minLength: 1, maxLength: 20 })
  .map((list) => {
    const parentsOf = (nats: readonly number[], n: number): string[] =>
      n === 0 ? [] : [...new Set(nats.map((nat) => nameOf(nat % n)))].toSorted();
    return new Map(list.map((nats, n) => [nameOf(n), parentsOf(nats, n)]));
  });
const sides = fc.tuple(
  ...Array.from({ length: 2 }, () => fc.array(fc.nat(30), { minLength: 1, maxLength: 2 })),
);

describe('basesOf', () => {
  it('finds those that the definition names', () => {
    fc.assert(
      fc.property(histories, sides, (history, picks) => {
        const [a, b] = picks.map((nats) => nats.map((nat) => nameOf(nat % history.size)));
        expect(basesOf(new Graph(history), a!, b!)).toEqual(model(history, a!, b!));
        expect(basesOf(new Graph(history), b!, a!)).toEqual(model(history, a!, b!));
      }),
      { numRuns: 1000 },
    );
  });

  it('finds nothing but what both follow, whatever generations their authors chose', () => {
    const generations = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 20, maxLength: 20 });
    fc.assert(
      fc.property(histories, sides, generations, (history, picks, chosen) => {
        const [a, b] = picks.map((nats) => nats.map((nat) => nameOf(nat % history.size)));
        const graph = new Graph(history, (n) => chosen[n]!);
        const bases = basesOf(graph, a!, b!);
        const both = ancestorsOf(history, b!);
        const common = [...ancestorsOf(history, a!)].filter((cid) => both.has(cid));
        expect(common).toEqual(expect.arrayContaining(bases));
        expect(basesOf(graph, b!, a!)).toEqual(bases);
      }),
    );
  });

  it('finds both of a criss-cross', () => {
    const crossed = new Map([
      ['root', []],
      ['a', ['root']],
      ['b', ['root']],
      ['x', ['a', 'b']],
      ['y', ['a', 'b']],
    ]);
    expect(basesOf(new Graph(crossed), ['x'], ['y'])).toEqual(['a', 'b']);
  });

  it('finds none beyond its limit, and looks no further than the base', () => {
    let asked = 0;
    const chain = {
      get: (cid: string): Followed => {
        asked += 1;
        const [side, count] = cid.split(' ');
        const n = Number(count);
        const parents = n === 0 ? [] : [n === 1 ? 'root 0' : `${side} ${n - 1}`];
        return { version: { generation: n + 1, parents } };
      },
    };
    expect(basesOf(chain, ['a 100'], ['b 100'])).toEqual(['root 0']);
    expect(asked).toBe(201);
    expect(basesOf(chain, [`a ${MERGE_LIMITS.ancestors}`], ['b 3'])).toEqual([]);
  });
});
