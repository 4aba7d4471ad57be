/**
 * A node that has executed every block and one that came by the state at some height are the same:
 * whatever the history, both execute what follows to equal roots, receipts and answers. What is in
 * memory alone would show here.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ExecutedBlock } from '../../../src/core/chain/block-rules.ts';
import { restoreSets } from '../../../src/core/chain/custodian-periods.ts';
import { setOf } from '../../../src/core/chain/execution.ts';
import { FinalViews } from '../../../src/core/chain/final-views.ts';
import { Ledger } from '../../../src/core/chain/ledger.ts';
import { custodiansIn, firstMembers } from '../../../src/core/chain/roster.ts';
import { sortRows, TABLES } from '../../../src/core/chain/rows.ts';
import { cutsOf, partOf } from '../../../src/core/chain/snapshot.ts';
import { StateTree } from '../../../src/core/chain/state-tree.ts';
import { CustodianSets } from '../../../src/core/consensus/custodian-sets.ts';
import type { SignedIntent } from '../../../src/core/model/intent.ts';
import type { ProposedChange } from '../../../src/core/model/proposed-change.ts';
import { HOUR, MINUTE } from '../../../src/core/units.ts';
import { Owner } from '../../helpers/owner.ts';
import { Blocks } from './support/blocks.ts';
import {
  admissionOf,
  approvalOf,
  CLUSTER_ID,
  departureOf,
  type Member,
  membersOf,
  proposalOf,
  readinessOf,
  statementOf,
} from './support/fixtures.ts';

class Views extends FinalViews {}

const PATHS = ['a', 'a/b', 'a/b/c', 'ab', 'x/1', 'x/2'];

/** One thing that somebody does; numbers are taken modulo what there is. */
const step = fc.record({
  what: fc.constantFrom(
    'write',
    'write',
    'delete',
    'erase',
    'anchor',
    'grant',
    'revoke',
    'propose',
    'approve',
    'approve',
    'ready',
    'rotate',
    'admit',
    'leave',
  ),
  who: fc.nat(11),
  which: fc.nat(1000),
  /** How long it takes until the block after it. */
  later: fc.constantFrom(1, MINUTE, HOUR),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const WRITE: Step = { what: 'write', who: 0, which: 0, later: 1 };
/** It has failed: the successor of the guest was the identity key of another member. */
const ROTATED_GUEST: Step[] = [
  { ...WRITE, what: 'admit' },
  { ...WRITE, what: 'rotate', who: 6, which: 105 },
  { ...WRITE, who: 6 },
];

/** A history that goes on as it is told, as far as that is possible. */
class History {
  readonly blocks: Blocks;
  readonly members: Member[];
  readonly #proposals: SignedIntent[] = [];
  #guests = 0;

  constructor(protocol: number) {
    this.members = membersOf(6);
    this.blocks = new Blocks(this.members, 3, protocol);
  }

  /** What was in the block, and what became of it. */
  take(done: Step): Pick<ExecutedBlock, 'intents' | 'receipts'> {
    const { blocks, members } = this;
    const author = members[done.who % members.length]!;
    const made = this.#make(author, done);
    const { roster } = blocks.ledger;
    const fits = made.filter(
      ({ statement }) => statement !== undefined || roster.isMember(author.nodeId),
    );
    const custodian = members.find(({ nodeId }) => roster.get(nodeId)?.role === 'custodian')!;
    const all = fits.length > 0 ? fits : [blocks.changes(custodian)];
    blocks.time += done.later;
    return blocks.add(...all);
  }

  #make(author: Member, { what, which }: Step): SignedIntent[] {
    const { blocks, members } = this;
    const path = PATHS[which % PATHS.length]!;
    const other = members[which % members.length]!;
    const { nodeId } = other;
    const heads = blocks.ledger.ref(path)?.heads.map(({ version }) => version) ?? [];
    const generation = (blocks.ledger.ref(path)?.generation ?? 0) + 1;
    const right = which % 2 === 0 ? 'owner' : 'writer';
    switch (what) {
      case 'write':
        return [blocks.intent(author, { path, version: `${which}`, generation })];
      case 'delete': {
        const [moved] = blocks.intent(author, { path, version: `d${which}` }).intent.changes;
        const change = { ...moved!, parents: heads, generation, deleted: true };
        return [blocks.changes(author, change)];
      }
      case 'erase':
        return [blocks.changes(author, { op: 'erase', path })];
      case 'anchor': {
        const label = `l${which % 3}`;
        const digest = new Uint8Array(32).fill(which % 256);
        const last = blocks.views.anchor(author.nodeId, label);
        const previous = last === undefined ? {} : { previous: last.digest };
        return [blocks.changes(author, { op: 'anchor', label, digest, ...previous })];
      }
      case 'grant':
        return [blocks.changes(author, { op: 'grant', path, nodeId, right })];
      case 'revoke':
        return [blocks.changes(author, { op: 'revoke', path, nodeId })];
      case 'propose': {
        const at = which % 4 === 0 ? blocks.ledger.tip.height + 4 : 0;
        const times = { at, createdAt: blocks.time, expiresAt: blocks.time + 3 * HOUR };
        const made = proposalOf(author, [this.#change(which, other)], times);
        this.#proposals.push(made);
        return [made];
      }
      case 'approve': {
        const made = this.#proposals.at(-1 - (which % 3));
        const custodians = members.filter(
          (one) => blocks.ledger.roster.get(one.nodeId)?.role === 'custodian',
        );
        const approvers = which % 4 === 0 ? [author] : custodians;
        return made === undefined ? [] : approvers.map((one) => approvalOf(one, made, which));
      }
      case 'ready':
        return [readinessOf(author, 1 + (which % 2), blocks.time)];
      case 'rotate':
        if (blocks.ledger.roster.get(author.nodeId)?.status !== 'member') return [];
        return [statementOf(author.rotate([which % 2 === 0 ? 'consensus' : 'identity']).bytes)];
      case 'admit': {
        if (this.#guests >= 3) return [admissionOf(author, other)];
        this.#guests += 1;
        // Whoever is admitted may rotate any key, so a guest shares none with the others.
        const guest = new Owner(members.length + 1);
        members.push(guest);
        return [admissionOf(author, guest)];
      }
      default: {
        const { admission } = blocks.ledger.roster.get(author.nodeId) ?? {};
        return [departureOf(author, admission)];
      }
    }
  }

  #change(which: number, { nodeId }: Member): ProposedChange {
    const path = PATHS[which % PATHS.length]!;
    const all: readonly ProposedChange[] = [
      { op: 'add', nodeId },
      { op: 'remove', nodeId },
      { op: 'expel', nodeId },
      { op: 'zone', nodeId, zone: `z${which}` },
      { op: 'weight', nodeId, storageWeight: which },
      { op: 'parameter', name: 'openWrites', value: which % 2 },
      { op: 'parameter', name: 'agentPaths', value: which % 4 },
      { op: 'quota', nodeId, changesPerHour: which % 3, bytesPerHour: null, paths: null },
      { op: 'namespace', path, owners: [nodeId], writers: [] },
      { op: 'protocol', version: 2 },
    ];
    return all[which % all.length]!;
  }
}

/** What travels in a snapshot, and nothing else, in orders of its own. */
function copyOf({ blocks }: History): Blocks {
  const { ledger, genesis } = blocks;
  const kept: readonly string[] = [
    TABLES.meta,
    TABLES.handovers,
    TABLES.members,
    TABLES.successions,
  ];
  const rows = [...blocks.rows.values()].filter(({ table }) => kept.includes(table)).toReversed();
  const parts = cutsOf(ledger.tree).map((cut) => partOf(cut, ledger.tree.leaves(cut.prefix))!);
  const options = { clusterId: CLUSTER_ID, genesis };
  const found = Ledger.recover(options, sortRows(rows), StateTree.assemble(parts));
  const first = setOf(custodiansIn(firstMembers(genesis.members)));
  restoreSets(new CustodianSets(first), found.ledger, found.entries);
  const copy = Object.create(Blocks.prototype) as Blocks;
  return Object.assign(copy, {
    ...{ genesis, rows: new Map(), time: blocks.time },
    ...{ ledger: found.ledger, leaders: blocks.leaders },
  });
}

/** What a node answers, apart from the order of what has none. */
function answersOf(ledger: Ledger, members: readonly Member[]) {
  const views = new Views(CLUSTER_ID, ledger);
  const { registers, roster } = ledger;
  return {
    root: Buffer.from(ledger.tree.root).toString('hex'),
    tip: views.height,
    custodians: views.custodians().custodians,
    handovers: views.handovers(),
    parameters: views.parameters(),
    protocol: { ...views.protocol(), ready: views.protocol().ready.toSorted() },
    proposals: views.proposals().toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    namespaces: views.namespaces(),
    quotas: [...registers.quotas.values()].toSorted((a, b) => (a.nodeId < b.nodeId ? -1 : 1)),
    members: members.map(({ nodeId }) => {
      const { hasLeaf: _, ...member } = roster.get(nodeId) ?? {};
      return {
        member: JSON.parse(JSON.stringify(member)) as unknown,
        usage: views.usage(nodeId),
        anchors: views.anchors(nodeId),
        may: PATHS.map((path) => [
          views.mayWrite(nodeId, path),
          views.mayGrant(nodeId, path),
          views.mayErase(nodeId, path),
        ]),
      };
    }),
    refs: PATHS.map((path) => ledger.ref(path)),
  };
}

describe('executing all, or beginning with a snapshot', () => {
  it('comes to the same, whatever the history', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(1, 2),
        fc.array(step, { minLength: 4, maxLength: 40 }),
        fc.array(step, { minLength: 4, maxLength: 20 }),
        (protocol, before, after) => {
          const history = new History(protocol);
          for (const one of before) history.take(one);
          const copy = copyOf(history);
          const { ledger } = history.blocks;
          expect(answersOf(copy.ledger, history.members)).toEqual(
            answersOf(ledger, history.members),
          );
          for (const one of after) {
            const { intents, receipts } = history.take(one);
            copy.time = history.blocks.time - 1;
            expect(copy.add(...intents).receipts).toEqual(receipts);
            expect(copy.ledger.tip.digest).toBe(ledger.tip.digest);
          }
          expect(answersOf(copy.ledger, history.members)).toEqual(
            answersOf(ledger, history.members),
          );
        },
      ),
      // A guest goes on with the identity key that it has rotated to.
      { numRuns: 26, examples: [[1, ROTATED_GUEST, [{ ...WRITE, who: 6 }]]] },
    );
  });
});
