/** The part of the memory backend that deletes, reverts, compares and watches. */
import type {
  CallContext,
  MergesBackend,
  TreeEntry,
  VersionsBackend,
} from '../../../src/core/api/backend.ts';
import type { Body, Query, Result } from '../../../src/core/api/contract/endpoints.ts';
import type { KbWatchRecord } from '../../../src/core/api/contract/kb-versions.ts';
import { ALICE } from './memory-chain.ts';

const CID = 'bafkr4ig4e5mbqd5yqgz7hojp6i6gtkjkqxkzktnjbf2i4uw3epjmu5yxwe';
const written = (path: string, wait: 'local' | 'replicated' | 'final'): Result<'kb.rm'> => ({
  ...{ path, wait, cid: CID, version: CID, kind: 'file', generation: 2, sizeBytes: 5 },
  ...{ replicas: { wanted: 2, confirmed: 1, nodes: [ALICE.nodeId] } },
  ...{ created: true, height: 7, intent: null },
});

export class MemoryVersions implements VersionsBackend {
  /** What was put, by path. */
  readonly put = new Map<string, Buffer>();
  /** What `watch` tells; replaced by tests. */
  onWatch: (context: CallContext) => AsyncIterable<KbWatchRecord> = async function* ready() {
    yield { type: 'ready', schema: 'aegis.kb.watch/1', prefix: '', height: 7 };
  };

  async revert({ path, wait }: Body<'kb.revert'>): Promise<Result<'kb.revert'>> {
    return { ...written(path, wait), from: CID };
  }

  async remove({ path, wait }: Body<'kb.rm'>): Promise<Result<'kb.rm'>> {
    return written(path, wait);
  }

  async putEach(
    { prefix, wait }: Query<'kb.each'>,
    entries: AsyncIterable<TreeEntry>,
  ): Promise<Result<'kb.each'>> {
    let sizeBytes = 0;
    for await (const { path, bytes } of entries) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of bytes) chunks.push(chunk);
      this.put.set(prefix + path, Buffer.concat(chunks));
      sizeBytes += Buffer.concat(chunks).length;
    }
    const { size: paths } = this.put;
    const counts = { paths, created: paths, unchanged: 0, sizeBytes };
    return { prefix, ...counts, wait, height: 7, intents: [] };
  }

  async diff({ a, b }: Query<'kb.diff'>): Promise<Result<'kb.diff'>> {
    const side = (path: string) => ({ path, version: CID, cid: CID });
    const content = { cid: CID, kind: 'file' as const, sizeBytes: 5 };
    const added = { at: 'new', status: 'added' as const, a: null, b: content, difference: null };
    return { a: side(a), b: side(b), same: false, files: [added], more: false };
  }

  watch(_query: Query<'kb.watch'>, context: CallContext): AsyncIterable<KbWatchRecord> {
    return this.onWatch(context);
  }
}

export class MemoryMerges implements MergesBackend {
  async conflicts({ prefix }: Query<'kb.conflicts'>): Promise<Result<'kb.conflicts'>> {
    return { prefix, paths: [], unmerged: 0, next: null };
  }

  async resolve({ path, wait }: Body<'kb.resolve'>): Promise<Result<'kb.resolve'>> {
    return { ...written(path, wait), resolves: CID, deleted: false };
  }
}
