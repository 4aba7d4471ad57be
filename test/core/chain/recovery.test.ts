import { describe, expect, it } from 'vitest';
import { restoreSets } from '../../../src/core/chain/custodian-periods.ts';
import { Ledger } from '../../../src/core/chain/ledger.ts';
import { sortRows, TABLES } from '../../../src/core/chain/rows.ts';
import type { StoredRow } from '../../../src/core/chain/types.ts';
import { type CustodianSet, CustodianSets } from '../../../src/core/consensus/custodian-sets.ts';
import type { SignedIntent } from '../../../src/core/model/intent.ts';
import { Blocks } from './support/blocks.ts';
import {
  CLUSTER_ID,
  type Member,
  membersOf,
  readinessOf,
  statementOf,
} from './support/fixtures.ts';

/** A chain in which everything of the registers has been used. */
function setUp() {
  const members = membersOf(5);
  const blocks = new Blocks(members, 3);
  const [a, b, c, d, e] = members as [Member, Member, Member, Member, Member];
  const sets: CustodianSet[] = [];
  const note = (): void => {
    sets[blocks.ledger.tip.height + 1] = blocks.ledger.custodians;
  };
  note();
  const decide = (...args: Parameters<Blocks['decide']>): void => {
    blocks.decide(...args);
    note();
  };
  const add = (...intents: readonly SignedIntent[]): void => {
    blocks.add(...intents);
    note();
  };
  decide([a, b, c], [{ op: 'namespace', path: 'x', owners: [d.nodeId], writers: [] }]);
  add(blocks.intent(d, { path: 'x/1', version: 'a' }));
  decide([a, b, c], [{ op: 'add', nodeId: d.nodeId }]);
  add(statementOf(b.rotate(['consensus']).bytes));
  add(statementOf(c.rotate(['identity']).bytes), readinessOf(a, 2));
  decide(
    [a, b, d],
    [
      { op: 'remove', nodeId: b.nodeId },
      { op: 'add', nodeId: e.nodeId },
      { op: 'quota', nodeId: b.nodeId, changesPerHour: 1, bytesPerHour: null, paths: 2 },
      { op: 'parameter', name: 'snapshotHeights', value: 9 },
    ],
  );
  decide([a], [{ op: 'parameter', name: 'openWrites', value: 0 }]);
  add(blocks.intent(a));
  return { blocks, sets, members };
}

const recover = ({ genesis }: Blocks, rows: Iterable<StoredRow>) =>
  Ledger.recover({ clusterId: CLUSTER_ID, genesis }, sortRows(rows));

describe('after a restart', () => {
  const { blocks, sets } = setUp();

  it('everything is as it was before', () => {
    const { ledger, entries } = recover(blocks, blocks.rows.values());
    const { registers, roster, custodians, handovers, tree, tip } = blocks.ledger;
    expect(ledger.tree.root).toEqual(tree.root);
    expect(ledger.tip).toEqual(tip);
    for (const name of ['namespaces', 'quotas', 'proposals'] as const) {
      expect(ledger.registers[name]).toEqual(registers[name]);
    }
    expect(ledger.registers.parameters).toEqual(registers.parameters);
    expect(ledger.registers.protocol).toEqual(registers.protocol);
    expect(ledger.custodians.custodians).toEqual(custodians.custodians);
    expect(ledger.handovers).toEqual(handovers);
    expect(ledger.roster.members().map(({ nodeId, role }) => [nodeId, role])).toEqual(
      roster.members().map(({ nodeId, role }) => [nodeId, role]),
    );
    const first = new CustodianSets(sets[1]!);
    restoreSets(first, ledger, entries);
    for (let height = 1; height <= tip.height + 1; height += 1) {
      expect(first.at(height)?.custodians).toEqual(sets[height]!.custodians);
    }
    expect(first.knownTo).toBe(tip.height + 1);
  });

  it('E1: the hand-overs lead from the custodians of the genesis to those of now', () => {
    const { handovers } = blocks.ledger;
    // d came; b got another consensus key; b went and e came.
    expect(handovers.map(({ height }) => height)).toEqual([3, 4, 6]);
    for (const { height, custodians } of handovers) {
      const keyed = custodians.map(({ nodeId, consensusKey }) => [nodeId, consensusKey]);
      expect(keyed).toEqual(
        sets[height + 1]!.custodians.map(({ nodeId, consensusKey }) => [nodeId, consensusKey]),
      );
    }
  });
});

describe('damage', () => {
  const { blocks } = setUp();
  const rows = [...blocks.rows.values()];
  const of = (table: string): StoredRow[] => rows.filter((row) => row.table === table);

  it('of any leaf, of a hand-over or of an entry is found', () => {
    const damaged: Iterable<StoredRow>[] = [
      ...of(TABLES.state).map((gone) => rows.filter((row) => row !== gone)),
      ...of(TABLES.state).map((changed) =>
        rows.map((row) =>
          row === changed ? { ...row, value: Buffer.concat([row.value, new Uint8Array(1)]) } : row,
        ),
      ),
      rows.filter(({ table }) => table !== TABLES.handovers),
      rows.filter((row) => row !== of(TABLES.handovers).at(-1)),
      rows.filter((row) => row !== of(TABLES.successions)[0]),
    ];
    for (const some of damaged) {
      expect(() => recover(blocks, some)).toThrow(
        expect.objectContaining({ code: 'STORE_DAMAGED' }),
      );
    }
  });
});
