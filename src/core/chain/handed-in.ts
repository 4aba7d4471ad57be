/**
 * Statements that were handed in here and are not decided: durable, sent to the custodians again
 * and again, and told of their end. Whose they are does not matter.
 */
import { AegisError } from '../errors.ts';
import { type IntentContext, readIntent, type SignedIntent } from '../model/intent.ts';
import { createDuplicity } from '../model/statement.ts';
import type { SignedSuccession } from '../model/succession.ts';
import type { Ledger } from './ledger.ts';
import { TABLES } from './rows.ts';
import type { LaneAnswer, StatementLane } from './statement-lane.ts';
import type { Turn } from './turn.ts';
import type { PendingIntent } from './types.ts';

export interface HandedInDeps {
  readonly context: IntentContext;
  readonly ledger: Pick<Ledger, 'roster'>;
  readonly lane: StatementLane;
}

export class HandedIn {
  readonly #deps: HandedInDeps;
  /** By digest. */
  readonly #pending = new Map<string, PendingIntent>();

  constructor(deps: HandedInDeps) {
    this.#deps = deps;
  }

  get pending(): readonly PendingIntent[] {
    return [...this.#pending.values()];
  }

  /** One that was durable when the node started; the next review puts out what is of the past. */
  restore(signed: SignedIntent): void {
    this.#pending.set(signed.digest, { signed, since: signed.intent.time });
    this.#deps.lane.add(signed, signed.intent.time);
  }

  /** @returns what is new and has to be sent to others. */
  submit(turn: Turn, signed: SignedIntent): SignedIntent[] {
    const { id, digest } = signed;
    const accepted = { type: 'accepted', id, digest, sequence: 0 } as const;
    if (this.#pending.has(digest)) {
      turn.tell(accepted);
      return [];
    }
    const answer = this.#deps.lane.add(signed, turn.now);
    if (answer === 'unchanged') {
      turn.tell(accepted);
      return [];
    }
    if (answer === 'added' || answer === 'known') {
      this.#keep(turn, signed);
      turn.tell(accepted);
      return [signed];
    }
    turn.tell({ type: 'refused', id, digest, error: refusalOf(answer) });
    return this.witness(turn, signed);
  }

  /**
   * S8: a statement that does not apply may be the other half of a duplicity: then the two of them
   * are handed in as evidence.
   * @returns what is new and has to be sent to others.
   */
  witness(turn: Turn, signed: SignedIntent): SignedIntent[] {
    const { context, lane } = this.#deps;
    const shown = signed.statement?.type === 'succession' ? signed.statement.signed : undefined;
    const other = shown === undefined ? undefined : this.#rivalOf(shown);
    if (shown === undefined || other === undefined) return [];
    const evidence = tryDuplicity(shown, other);
    if (evidence === undefined) return [];
    const { signed: duplicity } = readIntent(evidence, context);
    if (lane.add(duplicity, turn.now) !== 'added') return [];
    this.#keep(turn, duplicity);
    return [duplicity];
  }

  /** Another entry in the place of this one, final or waiting. */
  #rivalOf({ succession, digest }: SignedSuccession): SignedSuccession | undefined {
    const { nodeId, number } = succession;
    const final = this.#deps.ledger.roster
      .get(nodeId)
      ?.succession.find((entry) => entry.succession.number === number);
    const rival = final ?? this.#deps.lane.entryOf(nodeId, number);
    return rival?.digest === digest ? undefined : rival;
  }

  /** These wait no more: decided, or of no effect by now. */
  settle(turn: Turn, digests: Iterable<string>): void {
    for (const digest of digests) {
      if (this.#pending.delete(digest)) turn.persist(TABLES.pending, digest, undefined);
    }
  }

  /** Looks after what waits: what cannot be decided any more is told to be refused. */
  review(turn: Turn): void {
    for (const { signed, result } of this.#deps.lane.review(turn.now)) {
      this.#drop(turn, signed, result);
    }
    for (const { signed } of this.pending) {
      // It was full, or restored when it was of the past already.
      const answer = this.#deps.lane.add(signed, turn.now);
      if (answer !== 'added' && answer !== 'known' && answer !== 'full') {
        this.#drop(turn, signed, answer);
      }
    }
  }

  #drop(turn: Turn, signed: SignedIntent, why: LaneAnswer): void {
    const { id, digest } = signed;
    if (!this.#pending.has(digest)) return;
    this.settle(turn, [digest]);
    if (why !== 'unchanged') {
      turn.tell({ type: 'refused', id, digest, error: refusalOf(why) });
    }
  }

  #keep(turn: Turn, signed: SignedIntent): void {
    this.#pending.set(signed.digest, { signed, since: turn.now });
    turn.persist(TABLES.pending, signed.digest, signed.bytes);
  }
}

function tryDuplicity(one: SignedSuccession, other: SignedSuccession): Uint8Array | undefined {
  try {
    return createDuplicity(one, other);
  } catch {
    // They do not contradict each other: one of them follows nothing.
    return undefined;
  }
}

function refusalOf(answer: LaneAnswer): AegisError {
  if (answer === 'full') return new AegisError('BUSY', 'too many statements wait to become final');
  return new AegisError('DENIED', `the cluster would refuse it: ${answer}`, {
    details: { reason: answer },
  });
}
