/**
 * The replica of this node, and what it begins with at the height after the last final block: the
 * custodians there, and their leaders. It carries out nothing that the replica asks for.
 */
import type { ReplicaOptions } from '../consensus/contract.ts';
import type { CustodianSet, CustodianSets } from '../consensus/custodian-sets.ts';
import { Replica, type ReplicaInput, type Standing } from '../consensus/replica.ts';
import { LeaderSchedule, type Leaders } from '../consensus/schedule.ts';
import type { Certificate } from '../consensus/types.ts';
import type { Ledger } from './ledger.ts';
import { META, type SortedRows, TABLES } from './rows.ts';
import type { Turn } from './turn.ts';
import type { ChainDeps, ChainOptions } from './types.ts';

export interface SeatDeps extends Pick<ChainDeps, 'scheme' | 'sets'> {
  readonly ledger: Pick<Ledger, 'tip' | 'custodians'>;
}

/** How a height begins, other than after a block that the replica has made final. */
export interface Jump {
  /** The replica was not stepped through the blocks: what makes the last one final. */
  readonly certificate: Certificate;
  /** Y4: blocks were passed over, and custodians may have gone and come back in them. */
  readonly isRestart: boolean;
}

export class Seat {
  readonly #options: ChainOptions;
  readonly #ledger: SeatDeps['ledger'];
  readonly #sets: CustodianSets;
  /** As they are after the last final block. */
  #leaders: LeaderSchedule;
  /** Those of the replica. */
  #custodians: CustodianSet;
  #replica: Replica;
  /** It was made with the custodians and leaders of another height than its own. */
  #isOff: boolean;

  /** @throws {AegisError} `STORE_DAMAGED`. */
  constructor(
    options: ChainOptions,
    { scheme, sets, ledger }: SeatDeps,
    stored: { readonly rows: SortedRows; readonly standing: Standing },
  ) {
    this.#options = options;
    this.#ledger = ledger;
    this.#sets = sets;
    this.#custodians = ledger.custodians;
    this.#leaders = recoverLeaders(options, ledger.custodians, stored.rows.meta);
    const recover = (leaders: Leaders): Replica => {
      const { rows, standing } = stored;
      const own = replicaOptions(options, ledger.custodians);
      return Replica.recover(own, { scheme, leaders }, rows.consensus, standing);
    };
    const replica = recover(this.#leaders);
    this.#isOff = replica.finalised !== ledger.tip.height;
    this.#replica = this.#isOff ? recover(NOBODY) : replica;
  }

  get replica(): Replica {
    return this.#replica;
  }

  get leaders(): LeaderSchedule {
    return this.#leaders;
  }

  get custodians(): CustodianSet {
    return this.#custodians;
  }

  /**
   * Whether the replica works at the height after the last final block. Y1: not in the midst of a
   * window. Y7: nor while a state that was taken anew is behind it. It stands still then.
   */
  get isAtTip(): boolean {
    return this.#replica.finalised === this.#ledger.tip.height && !this.#isOff;
  }

  /** L4: one final block further. */
  pass(turn: Turn, leaders: LeaderSchedule): void {
    this.#leaders = leaders;
    turn.persist(TABLES.meta, META.leaders, leaders.snapshot());
  }

  /**
   * E5: the replica of the height after the last final block, which is another one where others are
   * custodians. V3: its place is kept with this step, whether or not it goes on from there.
   * @returns what is to be said to it before it is told that its keys are known.
   */
  begin(jump: Jump | undefined): ReplicaInput | undefined {
    const { custodians, tip } = this.#ledger;
    const [leaders, certificate] = [this.#leaders, jump?.certificate];
    // P6: it never goes back.
    if (tip.height < this.#replica.finalised) return undefined;
    const isOther = !custodians.hasSameMembers(this.#custodians);
    if (isOther || this.#isOff || jump?.isRestart === true) {
      const options = replicaOptions(this.#options, custodians);
      this.#replica = this.#replica.follow(options, leaders, certificate);
      this.#custodians = custodians;
      this.#isOff = false;
      return { type: 'start' };
    }
    return certificate && { type: 'caught-up', certificate, leaders };
  }

  /** A1, E1: the custodians of the next height, and their keys, are those of the state. */
  advance(): void {
    const { custodians, tip } = this.#ledger;
    if (this.#sets.knows(tip.height + 1)) return;
    this.#sets.change(tip.height + 1, custodians);
    this.#sets.advance(tip.height);
  }

  /** Y4: of the heights that were passed over nothing is known. */
  forget(): void {
    this.#sets.restart(this.#ledger.tip.height + 1, this.#ledger.custodians);
  }
}

/** The leaders of a replica that stands still. */
const NOBODY: Leaders = { leaderOf: () => 0, passedOver: () => [], next: () => NOBODY };

function replicaOptions(options: ChainOptions, custodians: CustodianSet): ReplicaOptions {
  const { clusterId, self, held, fanout, timing } = options;
  const index = custodians.indexOf(self);
  return {
    clusterId,
    custodians: custodians.nodeIds,
    self: index === -1 ? undefined : index,
    held,
    ...(fanout === undefined ? {} : { fanout }),
    ...(timing === undefined ? {} : { timing }),
  };
}

/** As they are after the last final block. @param custodians of the height after it. */
export function recoverLeaders(
  { clusterId, epochHeights }: ChainOptions,
  custodians: CustodianSet,
  meta: SortedRows['meta'],
): LeaderSchedule {
  const options = {
    clusterId,
    custodians: custodians.size,
    ...(epochHeights === undefined ? {} : { epochHeights }),
  };
  const snapshot = meta.get(META.leaders);
  return snapshot === undefined
    ? new LeaderSchedule(options)
    : LeaderSchedule.restore(options, snapshot);
}
