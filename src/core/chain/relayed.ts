/**
 * Intents of other authors that were handed in here (Q3). They are judged like own ones, wait in
 * the mempool and are not durable: whoever hands them in sees to it that they are decided.
 */
import { AegisError } from '../errors.ts';
import type { SignedIntent } from '../model/intent.ts';
import { earlyRefusal, NO_BACKLOG } from './early-refusal.ts';
import type { Ledger } from './ledger.ts';
import type { Mempool } from './mempool.ts';
import { refusal, refuse, sequenceFault } from './own-intents.ts';
import type { Turn } from './turn.ts';

export interface RelayDeps {
  readonly ledger: Ledger;
  readonly mempool: Mempool;
}

/** @returns what is new and has to be sent to others. */
export function relay(
  { ledger, mempool }: RelayDeps,
  turn: Turn,
  signed: SignedIntent,
): SignedIntent | undefined {
  const { id, digest, intent } = signed;
  const { author, sequence } = intent;
  const final = ledger.receipt(id);
  const isKnown = mempool.get(digest) !== undefined || final?.digest === digest;
  if (isKnown) {
    turn.tell({ type: 'accepted', id, digest, sequence });
    return undefined;
  }
  const fault =
    authorFault(ledger, author) ??
    sequenceFault(sequence, mempool.nextSequence(author)) ??
    earlyRefusal(ledger, signed, NO_BACKLOG, turn.now);
  if (fault !== undefined) {
    refuse(turn, signed, fault);
    return undefined;
  }
  const admission = mempool.add(signed, turn.now);
  if (admission !== 'added') {
    refuse(turn, signed, refusal(admission));
    return undefined;
  }
  turn.tell({ type: 'accepted', id, digest, sequence });
  return signed;
}

function authorFault({ roster }: Ledger, author: string): AegisError | undefined {
  const member = roster.get(author);
  if (member?.status !== 'member') return new AegisError('DENIED', 'the author is no member');
  // S8
  return member.isFrozen ? new AegisError('DENIED', 'the author is frozen') : undefined;
}
