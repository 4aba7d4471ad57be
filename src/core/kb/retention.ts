/**
 * W30: which versions of a path keep their content. A version behind the heads keeps it while one
 * of the two settings says so; without any setting all do. Heads keep theirs, and so does what a
 * merge with conflicts has set aside. What has been shredded (W46) is kept by nothing. It says
 * nothing of who holds that content, and records of versions always stay.
 */
import { isMerge } from '../model/merge.ts';
import type { SignedVersion, Version } from '../model/version.ts';
import type { VersionGraph } from './versions.ts';

export interface Retention {
  /** So many versions behind the heads keep their content. */
  readonly keepLast?: number | undefined;
  /** So long after something has followed it a version keeps its content. */
  readonly keepForMs?: number | undefined;
}

/** Why a version keeps its content. */
export type KeepRule = 'all' | 'head' | 'conflict' | 'last' | 'time';

export interface Retained {
  readonly version: SignedVersion;
  /** Undefined: its content may go. */
  readonly rule: KeepRule | undefined;
}

interface Followed {
  /** The time of the first version that follows it. */
  readonly at: number;
  /** A merge with conflicts has set it aside. */
  readonly isAside: boolean;
}

const keepsAll = ({ keepLast, keepForMs }: Retention): boolean =>
  keepLast === undefined && keepForMs === undefined;

/**
 * The versions of a path with what keeps each.
 * @param history of one path: each version after all that follow it, as `VersionGraph.history`.
 * @param now milliseconds since the epoch.
 */
export function* retained(
  history: Iterable<SignedVersion>,
  retention: Retention,
  now: number,
): Generator<Retained> {
  const isAll = keepsAll(retention);
  const followed = new Map<string, Followed>();
  /** W46: what is shredded, and what that follows. */
  const shredded = new Set<string>();
  /** Versions behind the heads that were told. Deletions have no content, so they take no place. */
  let behind = 0;
  for (const signed of history) {
    const { cidText, version } = signed;
    const by = followed.get(cidText);
    followed.delete(cidText);
    const isGone = shredded.delete(cidText);
    for (const parent of version.parents) {
      note(followed, parent.toString(), version);
      if (isGone || version.shredded === true) shredded.add(parent.toString());
    }
    const hasContent = version.deleted !== true;
    if (by !== undefined && hasContent) behind += 1;
    const rule = isAll ? 'all' : ruleFor(by, behind, retention, now);
    yield { version: signed, rule: isGone ? undefined : rule };
  }
}

/** What keeps the content of one version; undefined when nothing does. */
export function ruleOf(
  graph: Pick<VersionGraph, 'history' | 'shreds'>,
  signed: SignedVersion,
  retention: Retention,
  now: number,
): KeepRule | undefined {
  const [shred] = graph.shreds(signed.version.path);
  if (keepsAll(retention) && shred === undefined) return 'all';
  for (const { version, rule } of retained(graph.history(signed.version.path), retention, now)) {
    if (version.cidText === signed.cidText) return rule;
  }
  return undefined;
}

/** W46: whether the keys of a version are destroyed, or are to be. */
export function isShredded(
  graph: Pick<VersionGraph, 'history' | 'shreds'>,
  { cidText, version: { path } }: SignedVersion,
): boolean {
  const [first] = graph.shreds(path);
  if (first === undefined) return false;
  for (const { version, rule } of retained(graph.history(path), {}, 0)) {
    if (version.cidText === cidText) return rule === undefined;
  }
  return false;
}

function ruleFor(
  by: Followed | undefined,
  behind: number,
  { keepLast, keepForMs }: Retention,
  now: number,
): KeepRule | undefined {
  if (by === undefined) return 'head';
  if (by.isAside) return 'conflict';
  if (keepLast !== undefined && behind <= keepLast) return 'last';
  return keepForMs !== undefined && now - by.at < keepForMs ? 'time' : undefined;
}

function note(followed: Map<string, Followed>, parent: string, follower: Version): void {
  const before = followed.get(parent);
  const isConflict = isMerge(follower) && (follower.conflicts?.length ?? 0) > 0;
  followed.set(parent, {
    at: Math.min(before?.at ?? Number.POSITIVE_INFINITY, follower.time),
    isAside: isConflict || before?.isAside === true,
  });
}
