/** What an operator does with versions (W2 to W6), each by whom it concerns. */
import type { CallContext, TreeEntry, VersionsBackend } from '../api/backend.ts';
import type { Body, Query, Result } from '../api/contract/endpoints.ts';
import type { KbWatchRecord } from '../api/contract/kb-versions.ts';
import type { KbDiffs } from './kb-diffs.ts';
import type { KbFeed } from './kb-feed.ts';
import type { KbWriter } from './kb-writer.ts';

export interface KbVersionsDeps {
  readonly writer: KbWriter;
  readonly diffs: KbDiffs;
  readonly feed: KbFeed;
  /** The last final one. */
  height(): number;
}

export class KbVersions implements VersionsBackend {
  readonly #deps: KbVersionsDeps;

  constructor(deps: KbVersionsDeps) {
    this.#deps = deps;
  }

  revert(body: Body<'kb.revert'>, context: CallContext): Promise<Result<'kb.revert'>> {
    return this.#deps.writer.revert(body, context);
  }

  remove(body: Body<'kb.rm'>, context: CallContext): Promise<Result<'kb.rm'>> {
    return this.#deps.writer.remove(body, context);
  }

  putEach(
    query: Query<'kb.each'>,
    entries: AsyncIterable<TreeEntry>,
    context: CallContext,
  ): Promise<Result<'kb.each'>> {
    return this.#deps.writer.putEach(query, entries, context);
  }

  diff(query: Query<'kb.diff'>, context: CallContext): Promise<Result<'kb.diff'>> {
    return this.#deps.diffs.diff(query, context);
  }

  watch({ prefix }: Query<'kb.watch'>, { signal }: CallContext): AsyncIterable<KbWatchRecord> {
    const { feed, height } = this.#deps;
    return feed.watch({ prefix, height: height() }, signal);
  }
}
