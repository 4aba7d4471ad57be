/**
 * What an operator sees of conflicts and does about them (W17). What a merge is, kb/merge/ says;
 * the version that resolves it is written as any other.
 */
import type { CallContext, MergesBackend } from '../../api/backend.ts';
import type { Body, Query, Result } from '../../api/contract/endpoints.ts';
import type { KbConflict, KbConflicted } from '../../api/contract/kb-merge.ts';
import { AegisError } from '../../errors.ts';
import { hasConflicts } from '../../kb/conflicted.ts';
import { takeTheirs } from '../../kb/merge/resolve.ts';
import type { Replication } from '../../kb/replication.ts';
import { parsePath } from '../../model/path.ts';
import type { MergeConflict, SignedVersion } from '../../model/version.ts';
import type { ContentStore } from '../../storage/content-store.ts';
import type { Final } from '../finals.ts';
import type { KbWriter, WantedContent } from '../kb-writer.ts';
import { timeout } from '../timeout.ts';
import { driveMerge, type MergeContentDeps, storedObjects } from './merge-content.ts';

export interface MergeViewsDeps extends MergeContentDeps {
  readonly machine: Pick<Replication, 'graph' | 'conflicted'>;
  readonly content: Pick<ContentStore, 'lease'>;
  readonly writer: KbWriter;
  /** Paths that wait to be merged here. */
  unmerged(): number;
  /** The final version that is shown under a path. */
  head(path: string, signal: AbortSignal): Promise<SignedVersion | undefined>;
  decided(versions: readonly string[]): Promise<(Final | undefined)[]>;
  /** Fetches what is not here of the content of a version. */
  complete(version: SignedVersion['version'], signal: AbortSignal): Promise<void>;
}

export class MergeViews implements MergesBackend {
  readonly #deps: MergeViewsDeps;

  constructor(deps: MergeViewsDeps) {
    this.#deps = deps;
  }

  async conflicts(query: Query<'kb.conflicts'>): Promise<Result<'kb.conflicts'>> {
    const { prefix, limit, after } = query;
    const { machine, unmerged, decided } = this.#deps;
    const found = machine.conflicted(prefix, after, limit + 1);
    const page = found.slice(0, limit);
    const shown = page.flatMap((path) => {
      const signed = machine.graph.shown(path);
      return signed !== undefined && hasConflicts(signed.version) ? [signed] : [];
    });
    const finals = await decided(shown.map(({ cidText }) => cidText));
    const paths = shown.map((signed, n) => conflictedView(signed, finals[n]));
    const next = found.length > limit ? page.at(-1)! : null;
    return { prefix, paths, unmerged: unmerged(), next };
  }

  /** @throws {AegisError} `NOT_FOUND` where there is no conflict; as `kb.put`. */
  async resolve(body: Body<'kb.resolve'>, { signal }: CallContext): Promise<Result<'kb.resolve'>> {
    const path = parsePath(body.path);
    const { take, at } = body;
    if (take === 'ours' && at !== undefined) {
      throw new AegisError(
        'BAD_REQUEST',
        'what stands there stays everywhere: places go with theirs',
      );
    }
    const deadline = AbortSignal.any([signal, timeout(body.timeoutMs)]);
    const merge = await this.#deps.head(path, deadline);
    if (merge === undefined || !hasConflicts(merge.version)) throw noConflicts(path);
    const lease = this.#deps.content.lease({ root: merge.version.root, isBound: true });
    try {
      await this.#deps.complete(merge.version, deadline);
      const content =
        take === 'ours' ? contentOf(merge) : await this.#theirs(merge, at, lease, deadline);
      const isNew = content !== undefined && !content.root.equals(merge.version.root);
      if (isNew) {
        await this.#deps.complete({ ...merge.version, ...content }, deadline).catch(() => {});
        await lease.setRoot(content.root, { sizeBytes: content.sizeBytes, complete: true });
      }
      const message = body.message ?? `resolve ${merge.cidText}, taking ${take}`;
      const wanted = { ...body, path, message, ifVersion: body.ifVersion ?? merge.cidText };
      const written = await this.#deps.writer.resolve(wanted, content, deadline);
      return { ...written, resolves: merge.cidText, deleted: content === undefined };
    } finally {
      lease.release();
    }
  }

  async #theirs(
    merge: SignedVersion,
    places: readonly string[] | undefined,
    lease: ReturnType<ContentStore['lease']>,
    signal: AbortSignal,
  ): Promise<WantedContent | undefined> {
    const { graph } = this.#deps.machine;
    const steps = takeTheirs(graph, merge, places, this.#deps.hashers);
    const { value } = await driveMerge(this.#deps, steps, storedObjects(lease), signal);
    return value === undefined ? undefined : contentOf({ version: value });
  }
}

const contentOf = ({ version }: { readonly version: WantedContent }): WantedContent => {
  const { root, sizeBytes, directory } = version;
  return { root, sizeBytes, ...(directory === true ? { directory } : {}) };
};

const conflictedView = (
  { cidText, version }: SignedVersion,
  decided: Final | undefined,
): KbConflicted => {
  const isFinal = decided !== undefined && decided.result !== 'refused';
  return {
    path: version.path,
    version: cidText,
    cid: version.root.toString(),
    final: isFinal,
    height: isFinal ? decided.height : null,
    conflicts: (version.conflicts ?? []).map(conflictView),
    more: version.isMoreConflicts === true,
  };
};

const conflictView = ({ at, pointer, base, ours, theirs }: MergeConflict): KbConflict => ({
  at,
  pointer: pointer ?? null,
  base: base?.toString() ?? null,
  ours: ours?.toString() ?? null,
  theirs: theirs?.toString() ?? null,
});

const noConflicts = (path: string): AegisError =>
  new AegisError('NOT_FOUND', `${path} shows no merge with conflicts`, {
    hint: 'See which paths do: aegis kb conflicts',
  });
