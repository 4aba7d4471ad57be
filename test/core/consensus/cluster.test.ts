import { describe, expect, it } from 'vitest';
import { Cluster, type ClusterOptions } from './support/cluster.ts';

/** All replicas hold the same blocks, each following the one before. */
function expectAgreement(cluster: Cluster): void {
  const longest = cluster.nodes
    .map(({ finals }) => finals.map(({ digest }) => digest))
    .toSorted((a, b) => b.length - a.length)[0]!;
  for (const { finals } of cluster.nodes) {
    expect(finals.map(({ digest }) => digest)).toEqual(longest.slice(0, finals.length));
  }
}

function busy(options: ClusterOptions): Cluster {
  const cluster = new Cluster(options);
  cluster.start();
  for (const node of cluster.nodes) node.work(true);
  return cluster;
}

const sizes = [1, 2, 3, 4, 6, 7, 10].flatMap((custodians) =>
  (['all', 'leader'] as const).map((fanout) => ({ custodians, fanout })),
);

describe.each(sizes)('$custodians custodians, votes to $fanout', (options) => {
  it('finalise block after block in view 0', () => {
    const cluster = busy(options);
    expect(cluster.runTo(20)).toBe(true);
    expectAgreement(cluster);
    const views = cluster.nodes.flatMap(({ finals }) => finals.map((f) => f.certificate.view));
    expect(new Set(views)).toEqual(new Set([0]));
  });

  it('go on while messages are lost', () => {
    const cluster = busy({ ...options, loss: 0.15 });
    expect(cluster.runTo(10)).toBe(true);
    expectAgreement(cluster);
  });
});

it('f may be gone', () => {
  const cluster = busy({ custodians: 7 });
  cluster.runTo(3);
  cluster.nodes[2]!.crash();
  cluster.nodes[5]!.crash();
  expect(cluster.runTo(40)).toBe(true);
  expectAgreement(cluster);
});

it('is idle when there is no work', () => {
  const cluster = busy({ custodians: 4 });
  cluster.runTo(3);
  for (const node of cluster.nodes) node.work(false);
  cluster.run(30_000);
  expect(cluster.waiting).toBe(0);
  expect(new Set(cluster.nodes.map(({ replica }) => replica.status().phase))).toEqual(
    new Set(['idle']),
  );
});
