/**
 * Versions that count no more (A3): signed with an identity key of before, and not sealed by the
 * succession that replaced it. Whoever has the old key may have made them. Logs of authors whose
 * first key still counts to their end are not read.
 */
import type { AuthorLog } from './author-log.ts';
import type { IdentityKeyOf } from './replication-types.ts';
import type { VersionGraph } from './versions.ts';

/** @returns their CIDs. */
export function* uncounted(graph: VersionGraph, keyOf: IdentityKeyOf): Generator<string> {
  for (const author of graph.vector().keys()) {
    const log = graph.author(author);
    for (const { sequence, keyEpoch, cidText } of log.logged(sealedUpTo(author, log, keyOf))) {
      if (keyOf(author, keyEpoch, sequence) === undefined) yield cidText;
    }
  }
}

/** The first sequence that the first key of an author does not count for, by bisection. */
function sealedUpTo(author: string, log: AuthorLog, keyOf: IdentityKeyOf): number {
  let [from, to] = [1, log.sequence + 1];
  while (from < to) {
    const middle = Math.floor((from + to) / 2);
    if (keyOf(author, 0, middle) === undefined) to = middle;
    else from = middle + 1;
  }
  return from;
}
