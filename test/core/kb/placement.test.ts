import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cidOf, RAW } from '../../../src/core/kb/block.ts';
import { type PlacementMember, placeHolders } from '../../../src/core/kb/placement.ts';
import { sha256Hasher } from './helpers.ts';

const rootOf = (name: number | string) => cidOf(RAW, Buffer.from(`${name}`), sha256Hasher);

const cluster = (count: number, zones: number): PlacementMember[] =>
  Array.from({ length: count }, (_, i) => ({
    nodeId: `node${i}`,
    weight: 100,
    zone: `zone${i % zones}`,
  }));

const memberList = fc
  .array(fc.record({ weight: fc.integer({ min: 0, max: 1000 }), zone: fc.nat(4) }), {
    maxLength: 12,
  })
  .map((list) =>
    list.map(({ weight, zone }, i) => ({ nodeId: `n${i}`, weight, zone: `z${zone}` })),
  );

describe('placeHolders', () => {
  it('names distinct members with a weight, as many as there can be, in as many zones', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        memberList,
        fc.integer({ min: 1, max: 5 }),
        (name, members, replicas) => {
          const holders = placeHolders(rootOf(name), members, replicas);
          const able = members.filter(({ weight }) => weight > 0);
          const zonesOf = (ids: readonly string[]): number =>
            new Set(ids.map((id) => members.find(({ nodeId }) => nodeId === id)!.zone)).size;
          expect(new Set(holders).size).toBe(Math.min(replicas, able.length));
          expect(holders.every((id) => able.some(({ nodeId }) => nodeId === id))).toBe(true);
          const zones = zonesOf(able.map(({ nodeId }) => nodeId));
          expect(zonesOf(holders)).toBe(Math.min(holders.length, zones));
        },
      ),
    );
  });

  it('does not depend on the order of the members', () => {
    fc.assert(
      fc.property(fc.nat(), memberList, (name, members) => {
        expect(placeHolders(rootOf(name), members.toReversed(), 3)).toEqual(
          placeHolders(rootOf(name), members, 3),
        );
      }),
    );
  });

  it('moves only the copies of a member that leaves', () => {
    const all = cluster(10, 10);
    const fewer = all.slice(1);
    for (let i = 0; i < 2000; i += 1) {
      const before = placeHolders(rootOf(i), all, 3);
      const after = placeHolders(rootOf(i), fewer, 3);
      for (const nodeId of before) if (nodeId !== 'node0') expect(after).toContain(nodeId);
    }
  });

  it('gives each member its share by weight', () => {
    const members = cluster(4, 4).map((m, i) => ({ ...m, weight: i === 0 ? 300 : 100 }));
    const counts = new Map<string, number>();
    const total = 6000;
    for (let i = 0; i < total; i += 1) {
      const [first] = placeHolders(rootOf(i), members, 1);
      counts.set(first!, (counts.get(first!) ?? 0) + 1);
    }
    expect(counts.get('node0')! / total).toBeGreaterThan(0.47);
    expect(counts.get('node0')! / total).toBeLessThan(0.53);
    for (const id of ['node1', 'node2', 'node3']) {
      expect(counts.get(id)! / total).toBeGreaterThan(0.14);
      expect(counts.get(id)! / total).toBeLessThan(0.2);
    }
  });

  it('is the same for ever', () => {
    expect(
      [1, 2, 3].map((i) => placeHolders(rootOf(i), cluster(6, 3), 3).join(' ')),
    ).toMatchInlineSnapshot(`
      [
        "node4 node3 node2",
        "node1 node0 node2",
        "node3 node5 node4",
      ]
    `);
  });
});
