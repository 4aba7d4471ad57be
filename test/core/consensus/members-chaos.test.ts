import fc from 'fast-check';
import { expect, it } from 'vitest';
import { faultyMax } from '../../../src/core/consensus/quorum.ts';
import { SimRandom } from '../../../src/core/sim/random.ts';
import { Cluster, type Node } from './support/cluster.ts';
import { WireChecker } from './support/wire-checker.ts';

const NODES = 10;
const TIMING = { firstMs: 200, minMs: 100, maxMs: 2000, grownMaxMs: 4000, repeatMs: 300 };

/** Other custodians every few heights: any nodes, any number of them. */
function planOf(random: SimRandom): (height: number) => readonly number[] {
  const every = random.between(1, 4);
  const all = Array.from({ length: NODES }, (_, index) => index);
  const sets = Array.from({ length: 8 }, () => {
    const size = random.pick([1, 2, 3, 4, 5, 7, 8])!;
    return all.toSorted(() => random.fraction() - 0.5).slice(0, size);
  });
  return (height) => sets[Math.floor(height / every) % sets.length]!;
}

/** What signs for a height at which it is no custodian (E5). */
function strangersOf(cluster: Cluster): string[] {
  const found: string[] = [];
  const { onSend } = cluster;
  cluster.onSend = (envelope) => {
    onSend(envelope);
    const { from, message } = envelope;
    const isSigned = ['vote', 'timeout', 'proposal'].includes(message.type);
    if (!isSigned || !('height' in message)) return;
    const members = cluster.options.membersAt!(message.height);
    if (!members.includes(from)) found.push(`${from} ${message.type} ${message.height}`);
  };
  return found;
}

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

function start(seed: string, random: SimRandom): Cluster {
  const cluster = new Cluster({
    custodians: NODES,
    membersAt: planOf(random),
    announceMs: random.pick([50, 500, 2000])!,
    seed,
    loss: random.fraction() * 0.15,
    latencyMsMax: random.pick([3, 30])!,
    timing: TIMING,
    ...(random.chance(0.3) ? { fanout: random.pick(['all', 'leader'] as const) } : {}),
  });
  cluster.doubled = random.fraction() * 0.2;
  return cluster;
}

function torment(cluster: Cluster, random: SimRandom): void {
  for (const node of cluster.nodes) node.work(true);
  for (let round = 0; round < 20; round += 1) {
    const isParted = random.chance(0.3);
    const left = new Set(cluster.nodes.filter(() => isParted && random.chance(0.4)));
    const isLeft = (index: number): boolean => left.has(cluster.nodes[index]!);
    cluster.isLinked = (from, to) => isLeft(from) === isLeft(to);
    if (random.chance(0.4)) crashSoon(random.pick(cluster.nodes)!, random);
    for (const node of cluster.nodes) {
      if (node.isUp || random.chance(0.3)) continue;
      node.boot();
      node.connect();
    }
    cluster.run(random.between(1, 800));
  }
}

function heal(cluster: Cluster): void {
  cluster.isLinked = () => true;
  cluster.options = { ...cluster.options, loss: 0 };
  for (const node of cluster.nodes) {
    node.crashes = undefined;
    if (!node.isUp) node.boot();
  }
  for (const node of cluster.nodes) node.connect();
}

it('E5: whoever the custodians are, they agree, and go on when it is over', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e9 }), (seed) => {
      const random = new SimRandom(`members ${seed}`);
      const cluster = start(String(seed), random);
      const checker = new WireChecker();
      cluster.onSend = (envelope) => checker.see(envelope);
      const strangers = strangersOf(cluster);
      cluster.start();
      torment(cluster, random);
      heal(cluster);
      const height = Math.max(...cluster.nodes.map((node) => node.height)) + 12;
      expect(cluster.runTo(height, 600_000)).toBe(true);
      expect([checker.faults, strangers]).toEqual([[], []]);
      const chains = cluster.nodes.map(({ finals }) => finals.map(({ digest }) => digest));
      for (const chain of chains) {
        expect(chain.slice(0, height)).toEqual(chains[0]!.slice(0, height));
      }
      const accusations = cluster.nodes.flatMap(({ outcomes }) =>
        outcomes.filter(({ type }) =>
          ['evidence', 'bad-share', 'doubt', 'key-elsewhere'].includes(type),
        ),
      );
      expect(accusations).toEqual([]);
    }),
    { numRuns: 25, endOnFailure: true },
  );
}, 60_000);

it('E5: goes on while f of each set are down, though the others lose much', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e9 }), (seed) => {
      const random = new SimRandom(`down ${seed}`);
      // Four at a time of six: one of them, always the same, is never there.
      const [down, ...others] = [0, 1, 2, 3, 4, 5].toSorted(() => random.fraction() - 0.5);
      const sets = Array.from({ length: 5 }, () => [
        down!,
        ...others.toSorted(() => random.fraction() - 0.5).slice(0, 3),
      ]);
      const cluster = new Cluster({
        custodians: 6,
        membersAt: (height) => sets[Math.floor(height / 2) % sets.length]!,
        announceMs: 5000,
        seed: `${seed}`,
        loss: 0.2,
        timing: TIMING,
      });
      expect(faultyMax(4)).toBe(1);
      cluster.isLinked = (from, to) => from !== down && to !== down;
      cluster.start();
      for (const node of cluster.nodes) node.work(true);
      const up = cluster.nodes.filter(({ index }) => index !== down);
      expect(cluster.runTo(15, 600_000, up)).toBe(true);
    }),
    { numRuns: 10, endOnFailure: true },
  );
}, 60_000);
