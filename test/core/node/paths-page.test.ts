import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ListEntry } from '../../../src/core/kb/versions.ts';
import { pathsPage } from '../../../src/core/node/paths-page.ts';
import { compareKeys } from '../../../src/core/sorted-table.ts';

/** A listing of paths, as the graph gives it. */
function listingOf(paths: readonly string[]) {
  const sorted = [...new Set(paths)].toSorted(compareKeys);
  return {
    list(prefix: string, { after, limit }: { after?: string | undefined; limit: number }) {
      return sorted
        .filter((path) => path.startsWith(prefix))
        .filter((path) => after === undefined || compareKeys(path, after) > 0)
        .slice(0, limit)
        .map((path) => ({ path, shown: { cidText: path } }) as unknown as ListEntry);
    },
  };
}

function pagesOf(paths: readonly string[], prefix: string, recursive: boolean, limit: number) {
  const listing = listingOf(paths);
  const [shown, prefixes]: [string[], string[]] = [[], []];
  let after: string | undefined;
  for (let n = 0; n <= paths.length + 1; n += 1) {
    const page = pathsPage(listing, { prefix, recursive, limit, after });
    shown.push(...page.shown.map(({ cidText }) => cidText));
    prefixes.push(...page.prefixes);
    expect(page.shown.length + page.prefixes.length).toBeLessThanOrEqual(limit);
    if (page.next === null) return { shown, prefixes };
    after = page.next;
  }
  throw new Error('the pages do not end');
}

const part = fc.constantFrom('a', 'b', 'a-', 'ä', '\u{10ffff}', '\u{10ffff}x');
const path = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));

describe('pathsPage', () => {
  it('tells everything below a prefix once, in pages of any length', () => {
    const limit = fc.integer({ min: 1, max: 5 });
    const prefix = fc.constantFrom('', 'a/', 'a', 'ä/', 'a/b/');
    fc.assert(
      fc.property(
        fc.array(path),
        prefix,
        fc.boolean(),
        limit,
        (paths, below, recursive, length) => {
          const { shown, prefixes } = pagesOf(paths, below, recursive, length);
          const all = [...new Set(paths)].filter((one) => one.startsWith(below));
          const isFlat = !recursive && (below === '' || below.endsWith('/'));
          const isLong = (one: string): boolean => isFlat && one.includes('/', below.length);
          const firsts = all
            .filter(isLong)
            .map((one) => one.slice(0, one.indexOf('/', below.length) + 1));
          expect(shown).toEqual(all.filter((one) => !isLong(one)).toSorted(compareKeys));
          expect(prefixes).toEqual([...new Set(firsts)].toSorted(compareKeys));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('passes over what lies below a prefix without reading it', () => {
    const many = Array.from({ length: 5000 }, (_, n) => `big/${n}`);
    const listing = listingOf([...many, 'last']);
    let read = 0;
    const counting = {
      list: (...args: Parameters<typeof listing.list>) => {
        const page = listing.list(...args);
        read += page.length;
        return page;
      },
    };
    const page = pathsPage(counting, { prefix: '', recursive: false, limit: 10 });
    expect(page).toMatchObject({ prefixes: ['big/'], next: null });
    expect(read).toBeLessThan(300);
  });
});
