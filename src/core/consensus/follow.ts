/**
 * Rule E5: between two heights with different custodians a replica ends and another begins. What is
 * about this node and its keys goes on, and what is proven; indices, shares and views are of the
 * custodians that were, and do not.
 */
import type { Kept } from './journal.ts';
import type { Leaders } from './schedule.ts';
import type { Setting } from './setting.ts';
import { State } from './state.ts';
import type { Certificate } from './types.ts';

/** @param final the certificate of the last height of the custodians that were. */
export function stateAfter(
  before: State,
  setting: Setting,
  leaders: Leaders,
  final: Certificate | undefined,
): State {
  // P6: at the height at which it was already it goes on from what it has signed there.
  const isSameHeight = (final?.height ?? 0) === before.finalised;
  const here = isSameHeight ? before : undefined;
  const kept: Kept = {
    final,
    handover: final,
    slot: here?.pen.slot,
    last: before.pen.last,
    entry: here?.entry,
    high: here?.high,
    named: here?.named,
    doubt: undefined,
    absolved: before.pen.absolved,
    evidence: [],
  };
  /** The index here of one that was there. */
  const indexOf = (index: number): number | undefined =>
    setting.indices.get(before.setting.custodians[index]!);
  const { ahead, evidenceBook } = before;
  const pace = before.pace.follow(setting.timing, setting.faultyMax, indexOf);
  const state = new State(setting, leaders, kept, { ahead, evidenceBook, pace });
  carry(before.seen, state.seen, indexOf);
  carry(before.lost, state.lost, indexOf);
  state.isWaiting = before.isWaiting;
  state.keyElsewhere = before.keyElsewhere;
  state.question = before.question;
  const { target } = before;
  if (target !== undefined && target.height > state.finalised) state.target = target;
  return state;
}

/** Indices of those who were no custodians before: they have not been told where we are. */
export function newcomers(before: Setting, next: Setting): readonly number[] {
  const wasCustodian = before.self !== undefined;
  return [...next.custodians.keys()].filter(
    (index) =>
      index !== next.self && !(wasCustodian && before.indices.has(next.custodians[index]!)),
  );
}

function carry<T>(
  from: ReadonlyMap<number, T>,
  to: Map<number, T>,
  indexOf: (index: number) => number | undefined,
): void {
  for (const [index, value] of from) {
    const next = indexOf(index);
    if (next !== undefined) to.set(next, value);
  }
}
