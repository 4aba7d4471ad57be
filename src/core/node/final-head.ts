/**
 * Which version of a path readers see, of those that are final. The chain knows heads by their
 * CIDs; the records that tell them apart travel by the knowledge base, and may come a little later.
 * Any member may move a path to a CID of which there is no record, or one of something else: it
 * hides nothing that has one, and what is written next puts it away.
 */
import type { RefHead, RefState } from '../chain/ref.ts';
import { compareShown } from '../kb/versions.ts';
import type { SignedVersion } from '../model/version.ts';

export interface FinalHeadDeps {
  ref(path: string): RefState | undefined;
  /** The record of a head, or undefined if it has not come in time, or is not of this head. */
  record(head: RefHead): Promise<SignedVersion | undefined>;
  /** Whether the record of a deletion is asked for, too: what is written next follows it (W2). */
  readonly isToFollow?: boolean;
}

export interface FinalHead {
  /** The greatest head that has a record, by the rule of `kb/versions.ts`. */
  readonly signed: SignedVersion | undefined;
  /** The heads that what is written next must put away besides `signed`, the greatest first. */
  readonly others: readonly RefHead[];
  /** Whether nobody can say what readers should see: no record of any head is here. */
  readonly isUnknown: boolean;
}

export async function finalHead(
  path: string,
  { ref, record, isToFollow = false }: FinalHeadDeps,
): Promise<FinalHead> {
  let rest = ref(path)?.heads ?? [];
  const others: RefHead[] = [];
  while (rest.length > 0) {
    const generation = Math.max(...rest.map((head) => head.generation));
    const greatest = rest.filter((head) => head.generation === generation);
    rest = rest.filter((head) => head.generation !== generation);
    // A deletion needs no record: there is nothing to be read.
    const isGone = greatest.every((head) => head.deleted === true);
    const isAsked = !isGone || isToFollow;
    const records = await Promise.all(isAsked ? greatest.map((head) => record(head)) : []);
    if (isGone) {
      const [signed] = greatestOf(records);
      const hidden = [...others, ...greatest, ...rest];
      const left = hidden.filter(({ version }) => signed?.cid.equals(version) !== true);
      return { signed, others: left, isUnknown: false };
    }
    others.push(...greatest.filter((_, n) => records[n] === undefined));
    const [signed] = greatestOf(records);
    if (signed !== undefined) return { signed, others, isUnknown: false };
  }
  return { signed: undefined, others, isUnknown: others.length > 0 };
}

const greatestOf = (records: readonly (SignedVersion | undefined)[]): SignedVersion[] =>
  records.filter((one) => one !== undefined).toSorted((a, b) => compareShown(b, a));

/** Whether a record is that of a head: the author of an intent may have said anything. */
export const isRecordOf = (
  { version }: SignedVersion,
  path: string,
  head: Pick<RefHead, 'generation' | 'deleted'>,
): boolean =>
  version.path === path &&
  version.generation === head.generation &&
  (version.deleted === true) === (head.deleted === true);
