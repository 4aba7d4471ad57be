/** The merges that a final block has brought (W11), and who has handed them in. */
import { isMove } from '../../model/change.ts';
import type { Decided } from '../finals.ts';

export interface FinalMerge {
  readonly record: Uint8Array;
  /** Node id of the author of the intent. */
  readonly by: string;
}

export const mergesOf = ({ receipts, signed }: Decided): FinalMerge[] =>
  receipts.flatMap(({ result }, n): FinalMerge[] => {
    const { author: by, changes = [] } = signed[n]?.intent ?? {};
    if (result === 'refused' || by === undefined) return [];
    return changes
      .filter(isMove)
      .flatMap(({ merge }) => (merge === undefined ? [] : [{ record: merge, by }]));
  });
