/**
 * Linearizability with a hint. To find an order that explains a history takes exponential time; to
 * check one that is at hand does not, and the chain says in which order it did what it did. If its
 * order explains the history, then the history is linearizable, whatever made the order.
 */
import { linearizable, type Model, type Op } from './linearizability.ts';

export interface HintedOp<I, O> extends Op<I, O> {
  /** Where it is said to have happened; of equals, what was called first. */
  readonly order: number;
}

/** Longest history of one object for which another order is looked for. */
const SEARCH_MAX = 14;

/** Whether the hinted order explains the history, or, in short histories, any other. */
export function isExplained<S, I, O>(
  model: Model<S, I, O>,
  ops: readonly HintedOp<I, O>[],
): boolean {
  const objects = Map.groupBy(ops, ({ input }) => model.partition?.(input) ?? '');
  return [...objects.values()].every(
    (history) =>
      isWitnessed(model, history) || (history.length <= SEARCH_MAX && linearizable(model, history)),
  );
}

function isWitnessed<S, I, O>(model: Model<S, I, O>, ops: readonly HintedOp<I, O>[]): boolean {
  let state = model.init();
  let lastCall = -Infinity;
  for (const op of ops.toSorted((a, b) => a.order - b.order || a.call - b.call)) {
    // It had returned before something that comes earlier in this order was called.
    if (op.return < lastCall) return false;
    const after = model.step(state, op.input, op.output);
    if (after === undefined) return false;
    state = after;
    lastCall = Math.max(lastCall, op.call);
  }
  return true;
}
