/**
 * Final blocks without consensus: made by whoever leads, executed, and kept as rows. For tests of
 * what blocks do, not of how they come to be.
 */

import { type ExecutedBlock, judge } from '../../../../src/core/chain/block-rules.ts';
import { Candidates } from '../../../../src/core/chain/candidates.ts';
import { FinalViews } from '../../../../src/core/chain/final-views.ts';
import { Ledger } from '../../../../src/core/chain/ledger.ts';
import type { Mempool } from '../../../../src/core/chain/mempool.ts';
import { sortRows } from '../../../../src/core/chain/rows.ts';
import { Turn } from '../../../../src/core/chain/turn.ts';
import type { ChainGenesis, StoredRow } from '../../../../src/core/chain/types.ts';
import { LeaderSchedule } from '../../../../src/core/consensus/schedule.ts';
import type { Change } from '../../../../src/core/model/change.ts';
import type { SignedIntent } from '../../../../src/core/model/intent.ts';
import type { ProposedChange } from '../../../../src/core/model/proposed-change.ts';
import { StubKeyring } from '../../../../src/core/sim/stub-scheme.ts';
import { instant } from '../../../../src/core/units.ts';
import {
  approvalOf,
  CLUSTER_ID,
  changesOf,
  genesisOf,
  intentOf,
  type Member,
  type Move,
  proposalOf,
} from './fixtures.ts';

class Views extends FinalViews {}

export class Blocks {
  readonly genesis: ChainGenesis;
  readonly rows = new Map<string, StoredRow>();
  /** Of the next block; at least a millisecond later than the last. */
  time = 1_000_000;
  ledger: Ledger;
  leaders: LeaderSchedule;

  constructor(members: readonly Member[], custodians: number, protocol?: number) {
    const genesis = genesisOf(members, custodians);
    this.genesis = { ...genesis, protocol: protocol ?? genesis.protocol };
    this.ledger = this.restart();
    this.leaders = new LeaderSchedule({
      clusterId: CLUSTER_ID,
      custodians,
      epochHeights: 1_000_000,
    });
  }

  get views(): FinalViews {
    return new Views(CLUSTER_ID, this.ledger);
  }

  /** One final block of just these. Throws if it is not valid. */
  add(...intents: readonly SignedIntent[]): ExecutedBlock {
    const { ledger, leaders } = this;
    const seeds = new StubKeyring('blocks').seeds(0);
    const mempool = { takeAll: () => [...intents], get: () => undefined };
    const context = { clusterId: CLUSTER_ID, ledger, leaders, seeds };
    const candidates = new Candidates(context, mempool as unknown as Mempool);
    const leader = ledger.custodians.nodeIds[leaders.leaderOf(ledger.tip.height + 1, 0)]!;
    const built = candidates.build(0, leader, instant(this.time));
    if (typeof built === 'string') throw new Error(built);
    // As whoever gets it judges it.
    const judgement = judge(context, candidates.block(built.digest)!, intents);
    if (!judgement.isValid) throw new Error(judgement.why);
    const { executed } = judgement;
    const { height } = executed.block.header;
    const turn = new Turn(instant(this.time));
    ledger.advance(turn, executed, {
      phase: 'commit',
      height,
      view: 0,
      digest: built.digest,
      signers: [0],
      signature: new Uint8Array(96),
    });
    for (const { table, key, value } of turn.build().entries) {
      if (value === undefined) this.rows.delete(`${table} ${key}`);
      else this.rows.set(`${table} ${key}`, { table, key, value });
    }
    this.leaders = executed.leaders;
    this.time += 1;
    return executed;
  }

  /** What became of each of the block's intents: the result, or why it was refused. */
  outcomes(...intents: readonly SignedIntent[]): string[] {
    return this.add(...intents).receipts.map(({ result, reason }) => reason ?? result);
  }

  /** The next intent of an author. */
  intent(author: Member, ...moves: readonly Move[]): SignedIntent {
    return intentOf(author, this.ledger.sequenceOf(author.nodeId) + 1, ...moves);
  }

  /** The next intent of an author, of any changes. */
  changes(author: Member, ...changes: readonly Change[]): SignedIntent {
    return changesOf(author, this.ledger.sequenceOf(author.nodeId) + 1, ...changes);
  }

  /** Decides a proposal: all of these approve it, in one block. */
  decide(
    approvers: readonly Member[],
    changes: readonly ProposedChange[],
    options: Parameters<typeof proposalOf>[2] = {},
  ): string {
    const [proposer, ...others] = approvers as [Member, ...Member[]];
    const proposal = proposalOf(proposer, changes, { createdAt: this.time, ...options });
    this.add(proposal, ...others.map((one) => approvalOf(one, proposal)));
    return proposal.digest;
  }

  /** Blocks in which nothing happens, up to a height. */
  idle(author: Member, upTo: number): void {
    while (this.ledger.tip.height < upTo) this.add(this.intent(author));
  }

  /** The chain as it is after a restart, from its rows. */
  restart(): Ledger {
    const options = { clusterId: CLUSTER_ID, genesis: this.genesis };
    return Ledger.recover(options, sortRows(this.rows.values())).ledger;
  }
}
