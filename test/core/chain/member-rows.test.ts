/** The roster on a disk: what is written comes back, and what is damaged is found. */
import { describe, expect, it } from 'vitest';
import { TABLES } from '../../../src/core/chain/rows.ts';
import type { StoredRow } from '../../../src/core/chain/types.ts';
import type { SignedIntent } from '../../../src/core/model/intent.ts';
import { createDuplicity } from '../../../src/core/model/statement.ts';
import type { Verified } from '../../../src/core/units.ts';
import { Owner } from '../../helpers/owner.ts';
import { TestCluster, type TestNode } from './support/cluster.ts';
import { admissionOf, departureOf, intentOf, statementOf } from './support/fixtures.ts';

/** A chain that has seen everything that a roster can hold. */
function setUp() {
  const cluster = new TestCluster({ custodians: 1, agents: 3 });
  const [node, ...agents] = cluster.nodes as [TestNode, TestNode, TestNode, TestNode];
  const decide = (...some: Verified<SignedIntent>[]) => {
    cluster.submit(node, ...some);
    cluster.run(1000);
  };
  const [leaver, fork, mover] = agents.map(({ member }) => member) as [Owner, Owner, Owner];
  const guest = new Owner(30);
  guest.rotate(['network']);
  decide(statementOf(node.member.rotate(['consensus', 'network']).bytes));
  decide(intentOf(node.member, 1, { version: 'a' }));
  decide(admissionOf(node.member, guest));
  decide(statementOf(guest.rotate(['identity', 'network', 'onion']).bytes), departureOf(leaver));
  const evidence = createDuplicity(fork.prepare(['network'], {}, 'a'), fork.prepare(['network']));
  decide(statementOf(evidence), statementOf(mover.rotate(['consensus']).bytes));
  decide(departureOf(mover));
  mover.rotate(['network']);
  decide(admissionOf(node.member, mover));
  decide(statementOf(node.member.rotate(['consensus']).bytes));
  return { cluster, node, guest, leaver, fork, mover };
}

const byNode = (a: { readonly nodeId: string }, b: { readonly nodeId: string }): number =>
  a.nodeId < b.nodeId ? -1 : 1;

describe('the members', () => {
  it('are after a restart what they were before', () => {
    const { cluster, node, guest, leaver, fork, mover } = setUp();
    const { roster } = node.chain;
    expect(roster.get(guest.nodeId)).toMatchObject({ status: 'member', keys: guest.state });
    expect(roster.onionKeysOf(guest.nodeId)).toHaveLength(2);
    expect(roster.get(leaver.nodeId)?.status).toBe('left');
    expect(roster.get(fork.nodeId)?.isFrozen).toBe(true);
    expect(roster.get(mover.nodeId)?.history).toHaveLength(3);
    const before = roster.all().toSorted(byNode);
    cluster.restart(node);
    expect(node.chain.roster.all().toSorted(byNode)).toEqual(before);
    expect(node.chain.roster.count).toBe(roster.count);
    // It goes on voting with the key that is in force.
    cluster.submit(node, intentOf(node.member, 2, { version: 'b' }));
    cluster.run(1000);
    expect(node.chain.nextSequence(node.nodeId)).toBe(3);
  });

  const damage: readonly [string, (rows: Map<string, StoredRow>, name: string) => void][] = [
    ['lost', (rows, name) => rows.delete(name)],
    [
      'changed',
      (rows, name) => {
        const row = rows.get(name)!;
        const value = new Uint8Array(row.value);
        value[value.length - 9]! ^= 1;
        rows.set(name, { ...row, value });
      },
    ],
  ];
  for (const [what, change] of damage) {
    it(`are not read when one of their rows is ${what}`, () => {
      const { cluster, node } = setUp();
      const whole = new Map(node.rows);
      const names = [...whole].flatMap(([name, { table }]) =>
        table === TABLES.members || table === TABLES.successions ? [name] : [],
      );
      expect(names.length).toBeGreaterThan(5);
      for (const name of names) {
        node.rows.clear();
        for (const [key, row] of whole) node.rows.set(key, row);
        change(node.rows, name);
        expect(() => cluster.boot(node), name).toThrow(/damaged/);
      }
    });
  }

  it('are not read when all of their rows are lost, or others are put beside them', () => {
    const { cluster, node } = setUp();
    const whole = new Map(node.rows);
    for (const [name, { table }] of whole) {
      if (table === TABLES.members || table === TABLES.successions) node.rows.delete(name);
    }
    expect(() => cluster.boot(node)).toThrow(/damaged/);
    const stranger = setUp();
    const [name, row] = [...stranger.node.rows].find(([, { table }]) => table === TABLES.members)!;
    for (const [key, value] of whole) node.rows.set(key, value);
    node.rows.set(`${name}x`, { ...row, key: `${row.key}x` });
    expect(() => cluster.boot(node)).toThrow(/damaged/);
  });
});
