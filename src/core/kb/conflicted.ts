/** Which paths show a merge with conflicts (W17): a row for each, so that nobody looks at all. */
import { isMerge } from '../model/merge.ts';
import type { SignedVersion, Version } from '../model/version.ts';
import { type KbStore, TABLES } from './store.ts';

const HERE = Uint8Array.of(1);

export const hasConflicts = (version: Version): boolean =>
  isMerge(version) && (version.conflicts !== undefined || version.isMoreConflicts === true);

export class Conflicted {
  readonly #store: KbStore;
  readonly #shown: (path: string) => SignedVersion | undefined;

  constructor(store: KbStore, shown: (path: string) => SignedVersion | undefined) {
    this.#store = store;
    this.#shown = shown;
  }

  /** The graph has a version more. */
  added({ version }: SignedVersion): void {
    const { path } = version;
    const was = this.#store.get(TABLES.conflicted, path) !== undefined;
    if (!was && !hasConflicts(version)) return;
    const shown = this.#shown(path);
    const is = shown !== undefined && hasConflicts(shown.version);
    if (is !== was) this.#store.set(TABLES.conflicted, path, is ? HERE : undefined);
  }

  /** In the order of their bytes. */
  paths(prefix: string, after: string | undefined, limit: number): string[] {
    const from = after !== undefined && after >= prefix ? after : undefined;
    return this.#store
      .under(TABLES.conflicted, prefix, from)
      .map(({ key }) => key)
      .take(limit)
      .toArray();
  }
}
