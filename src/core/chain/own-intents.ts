/**
 * What this node has asked for and is not final: durable, in the mempool, and told of its end. What
 * waits with a key that is not in force any more stays durable until it is signed anew (A2).
 */
import { AegisError } from '../errors.ts';
import { isMove } from '../model/change.ts';
import type { SignedIntent } from '../model/intent.ts';
import { earlyRefusal, NO_BACKLOG, withIntent } from './early-refusal.ts';
import type { Ledger } from './ledger.ts';
import type { Admission, Mempool } from './mempool.ts';
import { heightKey, TABLES } from './rows.ts';
import type { Turn } from './turn.ts';
import type { PendingIntent } from './types.ts';

export interface OwnIntentsDeps {
  readonly ledger: Ledger;
  readonly mempool: Mempool;
}

export class OwnIntents {
  readonly #ledger: Ledger;
  readonly #mempool: Mempool;
  /** By sequence, ascending but for what was cancelled. */
  readonly #pending = new Map<number, PendingIntent>();
  /** Sequences by intent id. */
  readonly #sequences = new Map<string, number>();
  #backlog = NO_BACKLOG;

  constructor({ ledger, mempool }: OwnIntentsDeps) {
    this.#ledger = ledger;
    this.#mempool = mempool;
  }

  get pending(): ReadonlyMap<number, PendingIntent> {
    return this.#pending;
  }

  restore(signed: SignedIntent): void {
    this.#keep(signed, signed.intent.time);
    this.#mempool.add(signed, signed.intent.time);
  }

  /** A2: those of another key epoch than the one in force, in the order of their sequence. */
  retired(): SignedIntent[] {
    const retired: SignedIntent[] = [];
    for (const { signed } of this.#pending.values()) {
      const { author, keyEpoch } = signed.intent;
      if (keyEpoch !== this.#ledger.roster.keyEpochOf(author)) retired.push(signed);
    }
    return retired.toSorted((a, b) => a.intent.sequence - b.intent.sequence);
  }

  /** Signed anew with the key in force, in the place of the one with its sequence. */
  replace(turn: Turn, signed: SignedIntent): SignedIntent | undefined {
    const { id, digest, intent } = signed;
    const { author, sequence, keyEpoch } = intent;
    const before = this.#pending.get(sequence);
    // By now the other may have been decided, or this one may be of the past itself.
    if (before?.signed.id !== id) return this.submit(turn, signed);
    if (before.signed.digest === digest || keyEpoch !== this.#ledger.roster.keyEpochOf(author)) {
      return undefined;
    }
    const admission = this.#mempool.add(signed, before.since);
    if (admission !== 'added') return undefined;
    turn.persist(TABLES.pending, heightKey(sequence), signed.bytes);
    this.#keep(signed, before.since);
    turn.tell({ type: 'accepted', id, digest, sequence });
    return signed;
  }

  /** The first sequence that is neither decided nor asked for. */
  nextSequence(author: string): number {
    let next = this.#mempool.nextSequence(author);
    // What waits to be signed anew is not in the mempool.
    while (this.#pending.has(next)) next += 1;
    return next;
  }

  /** @returns what is new and has to be sent to others. */
  submit(turn: Turn, signed: SignedIntent): SignedIntent | undefined {
    const before = this.#before(signed);
    if (before !== undefined) {
      turn.tell({ type: 'accepted', id: signed.id, ...before });
      return undefined;
    }
    const { id, digest, intent } = signed;
    const { author, sequence } = intent;
    if (!this.#ledger.roster.isMember(author)) {
      refuse(turn, signed, new AegisError('DENIED', 'this node is no member'));
      return undefined;
    }
    const isCancel = intent.changes.length === 0 && this.#pending.has(sequence);
    const fault = isCancel
      ? undefined
      : (sequenceFault(sequence, this.nextSequence(author)) ??
        earlyRefusal(this.#ledger, signed, this.#backlog, turn.now));
    if (fault !== undefined) {
      refuse(turn, signed, fault);
      return undefined;
    }
    const admission = this.#mempool.add(signed, turn.now);
    const { keyEpoch } = intent;
    if (admission === 'retired' && keyEpoch < this.#ledger.roster.keyEpochOf(author)) {
      // A2: the key changed while it was on its way here.
      turn.persist(TABLES.pending, heightKey(sequence), signed.bytes);
      this.#keep(signed, turn.now);
      turn.tell({ type: 'accepted', id, digest, sequence });
      turn.tell({ type: 'retired-epoch', intents: [signed] });
      return undefined;
    }
    if (admission !== 'added') {
      refuse(turn, signed, refusal(admission));
      return undefined;
    }
    turn.persist(TABLES.pending, heightKey(sequence), signed.bytes);
    this.#keep(signed, turn.now);
    turn.tell({ type: 'accepted', id, digest, sequence });
    return signed;
  }

  /** The same request, if it waits or has been carried out: repeating a command is harmless. */
  #before({ id, intent }: SignedIntent): { digest: string; sequence: number } | undefined {
    if (intent.changes.length === 0) {
      const present = this.#pending.get(intent.sequence)?.signed;
      const isCancelled = present?.intent.changes.length === 0;
      return isCancelled ? { digest: present.digest, sequence: intent.sequence } : undefined;
    }
    const sequence = this.#sequences.get(id);
    const waiting = sequence === undefined ? undefined : this.#pending.get(sequence)?.signed;
    if (waiting !== undefined) return { digest: waiting.digest, sequence: sequence! };
    // A version is made once; a right may be given, taken, and given again by the same words.
    const final = intent.changes.every(isMove) ? this.#ledger.receipt(id) : undefined;
    if (final === undefined || final.receipt.result === 'refused') return undefined;
    return { digest: final.digest, sequence: final.receipt.sequence };
  }

  #keep(signed: SignedIntent, since: number): void {
    const { sequence } = signed.intent;
    // What is cancelled waits no more.
    this.#forget(sequence);
    this.#pending.set(sequence, { signed, since });
    this.#backlog = withIntent(this.#backlog, signed, 1);
    this.#sequences.set(signed.id, sequence);
  }

  #forget(sequence: number): void {
    const signed = this.#pending.get(sequence)?.signed;
    if (signed === undefined) return;
    this.#pending.delete(sequence);
    this.#backlog = withIntent(this.#backlog, signed, -1);
    if (this.#sequences.get(signed.id) === sequence) this.#sequences.delete(signed.id);
  }

  /**
   * Sequences up to `sequence` are decided.
   * @param decided digests of the intents that decided them.
   */
  settle(turn: Turn, sequence: number, decided: ReadonlySet<string>): void {
    for (const [key, { signed }] of this.#pending) {
      if (key > sequence) continue;
      this.#forget(key);
      turn.persist(TABLES.pending, heightKey(key), undefined);
      if (decided.has(signed.digest)) continue;
      const what = 'another intent with the same sequence has become final';
      refuse(turn, signed, new AegisError('EXISTS', what));
    }
  }
}

/** Q3. */
export function sequenceFault(sequence: number, next: number): AegisError | undefined {
  if (sequence === next) return undefined;
  return sequence < next
    ? new AegisError('REPLAYED', `the sequence ${sequence} of the author has been used`)
    : new AegisError('OUT_OF_ORDER', `the next sequence of the author is ${next}`);
}

export function refuse(turn: Turn, { id, digest }: SignedIntent, error: AegisError): void {
  turn.tell({ type: 'refused', id, digest, error });
}

export function refusal(admission: Exclude<Admission, 'added'>): AegisError {
  switch (admission) {
    case 'full':
    case 'ahead':
      return new AegisError('BUSY', 'too many intents of this node wait to become final');
    case 'retired':
      return new AegisError('TRY_AGAIN', 'the new identity key is not in force yet');
    default:
      return new AegisError('TRY_AGAIN', 'another intent has the sequence');
  }
}
