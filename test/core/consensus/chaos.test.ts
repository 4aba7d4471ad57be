import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SimRandom } from '../../../src/core/sim/random.ts';
import { Cluster, type Node } from './support/cluster.ts';
import { WireChecker } from './support/wire-checker.ts';

/** Loses, delays, doubles, parts, and kills at every boundary of a step; then lets be. */
function torment(seed: string): { cluster: Cluster; checker: WireChecker } {
  const random = new SimRandom(`chaos ${seed}`);
  const cluster = new Cluster({
    custodians: random.between(1, 8),
    seed,
    fanout: random.chance(0.5) ? 'all' : 'leader',
    loss: random.fraction() * 0.15,
    latencyMsMax: random.pick([3, 30, 100])!,
    timing: { firstMs: 200, minMs: 100, maxMs: 2000, grownMaxMs: 4000, repeatMs: 300 },
  });
  cluster.doubled = random.fraction() * 0.2;
  const checker = new WireChecker();
  cluster.onSend = (envelope) => checker.see(envelope);
  let left = new Set<number>();
  cluster.filter = ({ from, to }) => left.has(from) === left.has(to);
  cluster.start();
  for (const node of cluster.nodes) node.work(random.chance(0.8));
  for (let round = 0; round < 30; round += 1) {
    const node = random.pick(cluster.nodes)!;
    const isParted = random.chance(0.3);
    left = new Set(cluster.nodes.filter(() => isParted && random.chance(0.4)).map((n) => n.index));
    if (random.chance(0.2)) node.work(random.chance(0.7));
    if (random.chance(0.3)) crashSoon(node, random);
    if (random.chance(0.7)) restart(cluster);
    cluster.run(random.between(1, 800));
  }
  return { cluster, checker };
}

/** With one of its next steps, before or after that has become durable. */
function crashSoon(node: Node, random: SimRandom): void {
  const when = random.pick(['before', 'after'] as const);
  let steps = random.between(1, 30);
  node.crashes = () => {
    steps -= 1;
    if (steps > 0) return undefined;
    node.crashes = undefined;
    return when;
  };
}

function restart(cluster: Cluster): void {
  for (const node of cluster.nodes) {
    if (node.isUp) continue;
    node.boot();
    node.connect();
  }
}

function heal(cluster: Cluster): void {
  cluster.filter = () => true;
  cluster.options = { ...cluster.options, loss: 0 };
  for (const node of cluster.nodes) {
    node.crashes = undefined;
    if (!node.isUp) node.boot();
  }
  for (const node of cluster.nodes) {
    node.connect();
    node.work(true);
  }
}

it('agrees whatever happens, and goes on when it is over', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e9 }), (seed) => {
      const { cluster, checker } = torment(String(seed));
      heal(cluster);
      const height = Math.max(...cluster.nodes.map(({ finals }) => finals.length)) + 3;
      expect(cluster.runTo(height, 600_000)).toBe(true);
      expect(checker.faults).toEqual([]);
      const chains = cluster.nodes.map(({ finals }) => finals.map(({ digest }) => digest));
      for (const chain of chains)
        expect(chain.slice(0, height)).toEqual(chains[0]!.slice(0, height));
      const accusations = cluster.nodes.flatMap(({ outcomes }) =>
        outcomes.filter(({ type }) =>
          ['evidence', 'bad-share', 'doubt', 'key-elsewhere'].includes(type),
        ),
      );
      expect(accusations).toEqual([]);
    }),
    { numRuns: 30, endOnFailure: true },
  );
}, 60_000);
