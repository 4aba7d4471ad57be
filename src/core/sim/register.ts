/**
 * What a client may expect of one path: a set of heads that writes replace, with or without
 * comparing first. The sequential object of `linearizable`, and how the simulator executes a block
 * for itself, without a line of `chain/`.
 */
import type { Model } from './linearizability.ts';

/** One operation on one path. Versions are named by the text of their CIDs. */
export type RegisterInput =
  | { readonly type: 'read'; readonly path: string }
  | {
      readonly type: 'write';
      readonly path: string;
      readonly version: string;
      readonly parents: readonly string[];
      /** The one head that must be there; null: none; undefined: whatever is there. */
      readonly expected: string | null | undefined;
    };

/** Of a write: whether it was done. Of a read: the heads. Undefined: nobody was told. */
export type RegisterOutput =
  | { readonly isDone: boolean }
  | { readonly heads: readonly string[] }
  | undefined;

export type Heads = readonly string[];

/** As in docs/formats.md: more heads than this are refused. */
const HEADS_MAX = 32;

const isExpected = (heads: Heads, expected: string | null | undefined): boolean =>
  expected === undefined ||
  (expected === null ? heads.length === 0 : heads.length === 1 && heads[0] === expected);

/** The heads after a write; undefined when it is refused. */
export function write(
  heads: Heads,
  input: Extract<RegisterInput, { type: 'write' }>,
): Heads | undefined {
  const { version, parents, expected } = input;
  if (heads.includes(version)) return heads;
  if (!isExpected(heads, expected)) return undefined;
  const after = [...heads.filter((head) => !parents.includes(head)), version].toSorted();
  return after.length > HEADS_MAX ? undefined : after;
}

export const registerModel: Model<Heads, RegisterInput, RegisterOutput> = {
  init: () => [],
  key: (heads) => heads.join(' '),
  partition: ({ path }) => path,
  step(heads, input, output) {
    if (input.type === 'read') {
      if (output === undefined || !('heads' in output)) return heads;
      // A set: the chain has another order of them than their texts have.
      return output.heads.toSorted().join(' ') === heads.join(' ') ? heads : undefined;
    }
    const after = write(heads, input);
    if (output === undefined || !('isDone' in output)) return after ?? heads;
    return output.isDone === (after !== undefined) ? (after ?? heads) : undefined;
  },
};
