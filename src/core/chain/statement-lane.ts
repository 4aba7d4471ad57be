/**
 * Statements that wait for a block, in a lane of their own: each would change something if it were
 * decided now, upon those before it. So nobody can fill the lane of a node but who holds its keys.
 */
import type { SignedIntent } from '../model/intent.ts';
import type { Statement } from '../model/statement.ts';
import type { SignedSuccession } from '../model/succession.ts';
import type { Ledger } from './ledger.ts';
import { LIMITS } from './limits.ts';
import { RegistersDraft } from './registers.ts';
import { RosterDraft } from './roster-draft.ts';
import { RosterLeaves } from './roster-leaves.ts';
import { executeStatement, type StatementContext, type StatementResult } from './statements.ts';

type LaneLedger = Pick<Ledger, 'roster' | 'registers' | 'tree' | 'tip'>;

/** What became of a statement that was to wait; a result other than `done` is why it does not. */
export type LaneAnswer = 'added' | 'known' | 'full' | Exclude<StatementResult, 'done'>;

/** Put out since it would change nothing any more. */
export interface PutOut {
  readonly signed: SignedIntent;
  readonly result: Exclude<StatementResult, 'done'>;
}

export class StatementLane {
  readonly #clusterId: string;
  readonly #ledger: LaneLedger;
  /** By digest, in the order in which they came: each sees those before it. */
  readonly #all = new Map<string, SignedIntent>();
  #bytes = 0;

  constructor(clusterId: string, ledger: LaneLedger) {
    this.#clusterId = clusterId;
    this.#ledger = ledger;
  }

  get count(): number {
    return this.#all.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(digest: string): SignedIntent | undefined {
    return this.#all.get(digest);
  }

  /** The entry of a node with this number, if it waits. */
  entryOf(nodeId: string, number: number): SignedSuccession | undefined {
    for (const { statement } of this.#all.values()) {
      if (statement?.type !== 'succession') continue;
      const { succession } = statement.signed;
      if (succession.nodeId === nodeId && succession.number === number) return statement.signed;
    }
    return undefined;
  }

  add(signed: SignedIntent, now: number): LaneAnswer {
    const { digest, intent } = signed;
    if (this.#all.has(digest)) return 'known';
    const about = [...this.#all.values()].filter((one) => one.intent.author === intent.author);
    const isFull = this.#all.size >= LIMITS.statements || about.length >= LIMITS.nodeStatements;
    const context = this.#context(now);
    for (const one of about) execute(context, one);
    const result = execute(context, signed);
    if (result !== 'done') return result;
    if (isFull) return 'full';
    this.#all.set(digest, signed);
    this.#bytes += signed.bytes.length;
    return 'added';
  }

  /** Whether a proposal, or an invitation that one of them rests on, has ended by now. */
  endsBy(now: number): boolean {
    for (const { statement } of this.#all.values()) {
      if (statement !== undefined && endOf(statement) <= now) return true;
    }
    return false;
  }

  /** Those for a block of this time. What a block of then would refuse is left out. */
  take(maxBytes: number, maxCount: number, time: number): SignedIntent[] {
    const taken: SignedIntent[] = [];
    if (this.#all.size === 0) return taken;
    const context = this.#context(time);
    let bytes = 0;
    for (const signed of this.#all.values()) {
      if (taken.length >= maxCount) break;
      if (bytes + signed.bytes.length > maxBytes) continue;
      if (execute(context, signed) !== 'done') continue;
      bytes += signed.bytes.length;
      taken.push(signed);
    }
    return taken;
  }

  /** Puts out what would change nothing by now, among it what has been decided. */
  review(now: number): PutOut[] {
    const out: PutOut[] = [];
    if (this.#all.size === 0) return out;
    const context = this.#context(now);
    for (const signed of this.#all.values()) {
      const result = execute(context, signed);
      if (result === 'done') continue;
      this.#all.delete(signed.digest);
      this.#bytes -= signed.bytes.length;
      out.push({ signed, result });
    }
    return out;
  }

  /** No block is earlier than the next moment after the last one, whatever the clock says. */
  #context(now: number): StatementContext {
    const { roster, registers, tree, tip } = this.#ledger;
    const time = Math.max(now, (tip.header?.time ?? 0) + 1);
    const leaves = new RosterLeaves(this.#clusterId, tree);
    return {
      draft: new RosterDraft(roster),
      registers: new RegistersDraft(registers),
      height: tip.height + 1,
      time,
      usedBy: (id) => leaves.usedBy(id),
      use: (id, admission) => leaves.use(id, admission),
    };
  }
}

function endOf(statement: Statement): number {
  switch (statement.type) {
    case 'admission':
      return statement.signed.invitation.invitation.expiresAt;
    case 'proposal':
      return statement.signed.proposal.expiresAt;
    default:
      return Number.POSITIVE_INFINITY;
  }
}

const execute = (context: StatementContext, { statement }: SignedIntent): StatementResult =>
  executeStatement(context, statement!);
