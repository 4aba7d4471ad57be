/**
 * Which version of a path readers see, of those that are final. The chain knows heads by their
 * CIDs; the records that tell them apart travel by the knowledge base, and may come a little later.
 */
import type { RefHead, RefState } from '../chain/ref.ts';
import { compareShown } from '../kb/versions.ts';
import type { SignedVersion } from '../model/version.ts';

export interface FinalHeadDeps {
  ref(path: string): RefState | undefined;
  /** The record of a version, once it is here. Rejects with the reason of `signal`. */
  record(head: RefHead, signal: AbortSignal): Promise<SignedVersion>;
}

/** The greatest head by the rule of `kb/versions.ts`; undefined for none, or for a deletion. */
export async function finalHead(
  path: string,
  { ref, record }: FinalHeadDeps,
  signal: AbortSignal,
): Promise<SignedVersion | undefined> {
  const heads = ref(path)?.heads ?? [];
  const generation = Math.max(0, ...heads.map((head) => head.generation));
  const greatest = heads.filter((head) => head.generation === generation);
  if (greatest.every((head) => head.deleted === true)) return undefined;
  const records = await Promise.all(greatest.map((head) => record(head, signal)));
  const [first] = records.toSorted((a, b) => compareShown(b, a));
  return first?.version.deleted === true ? undefined : first;
}
