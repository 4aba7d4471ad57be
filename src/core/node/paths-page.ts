/** A page of a listing: paths below a prefix, and in place of longer ones their first parts. */
import type { Query } from '../api/contract/endpoints.ts';
import type { ListEntry } from '../kb/versions.ts';
import type { SignedVersion } from '../model/version.ts';

export interface PathsPage {
  readonly shown: readonly SignedVersion[];
  /** Each ends in `/`. */
  readonly prefixes: string[];
  /** Where the next page begins: after this path or prefix; null when there is none. */
  readonly next: string | null;
}

interface Listing {
  list(prefix: string, page: { after?: string | undefined; limit: number }): readonly ListEntry[];
}

/** The greatest character: nothing below a prefix sorts after it, but what begins with it. */
const LAST = '\u{10ffff}';
const READ = 256;

/** In the order of the bytes, entries and prefixes counted alike. */
export function pathsPage(
  graph: Listing,
  {
    prefix,
    recursive,
    limit,
    after,
  }: Pick<Query<'kb.ls'>, 'prefix' | 'recursive' | 'limit' | 'after'>,
): PathsPage {
  const isFlat = !recursive && (prefix === '' || prefix.endsWith('/'));
  const firstPart = (path: string): string | undefined => {
    const slash = isFlat ? path.indexOf('/', prefix.length) : -1;
    return slash < 0 ? undefined : path.slice(0, slash + 1);
  };
  const shown: SignedVersion[] = [];
  const prefixes: string[] = [];
  let last = after || undefined;
  let from = isFlat && last?.endsWith('/') ? last + LAST : last;
  for (;;) {
    const read = graph.list(prefix, { after: from, limit: READ });
    let isPassing = false;
    for (const entry of read) {
      const part = firstPart(entry.path);
      from = entry.path;
      if (part !== undefined && part === last) continue;
      if (shown.length + prefixes.length === limit) return { shown, prefixes, next: last! };
      last = part ?? entry.path;
      if (part === undefined) {
        shown.push(entry.shown);
        continue;
      }
      prefixes.push(part);
      // All below it is one line: what is left of it is passed over without being read.
      from = part + LAST;
      isPassing = true;
      break;
    }
    if (!isPassing && read.length < READ) return { shown, prefixes, next: null };
  }
}
