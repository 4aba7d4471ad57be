/**
 * `content.db`, in its worker: objects under their multihash. It checks that bytes match their
 * name, groups writes, and sets damaged rows aside. It knows neither DAGs nor who wants what.
 *
 * One worker reads and writes. A second one for reading was measured: it costs 12 MB and saves at
 * most the wait for one commit.
 */
import { AegisError } from '../errors.ts';
import { ContentReader } from './content-reader.ts';
import { contentRows } from './content-rows.ts';
import { CONTENT_SPEC } from './content-schema.ts';
import { closeDatabase, type OpenOptions, openDatabase } from './database.ts';
import { GroupCommit } from './group-commit.ts';
import { type Hashers, matches, multihashOf, packKeys, unpackKeys } from './multihash.ts';
import type { ContentOperations } from './protocol.ts';
import type { Service } from './service.ts';

/** What a row costs in the log besides its bytes: the index entry and a part of a page. */
const ROW_OVERHEAD_BYTES = 256;

export function contentService(
  path: string,
  options: OpenOptions,
  hashers: Hashers,
  fatal: (error: unknown) => void,
): Service<ContentOperations> {
  const db = openDatabase(path, CONTENT_SPEC, options);
  const group = new GroupCommit({}, { db, fatal });
  const rows = contentRows(db);
  const reader = new ContentReader(path, hashers);
  const store = async (keys: readonly Uint8Array[], blobs: readonly Uint8Array[]) => {
    const size = blobs.reduce((sum, blob) => sum + blob.length + ROW_OVERHEAD_BYTES, 0);
    await group.stage(size, () => {
      rows.insert(keys, blobs);
      free(blobs);
    });
    return undefined;
  };
  const write = async (change: () => void): Promise<undefined> => {
    await group.stage(ROW_OVERHEAD_BYTES, change);
    return undefined;
  };
  return {
    handlers: {
      put: ({ keys: packed, blobs, verify }) => {
        const keys = unpackKeys(packed);
        if (verify) refuseMismatch(keys, blobs, hashers);
        return store(keys, blobs);
      },
      addLeaves: async ({ chunks, hash }) => {
        const keys = chunks.map((chunk) => multihashOf(hashers[hash], chunk));
        await store(keys, chunks);
        return packKeys(keys);
      },
      setRoot: (root) => write(() => rows.setRoot(root.cid, root.complete, root.sizeBytes)),
      delete: (keys) => write(() => rows.delete(unpackKeys(keys))),
      getMany: async ({ keys: packed, verify, bytesMax }) => {
        group.touch();
        const keys = unpackKeys(packed);
        const { found, damaged } = reader.getMany(keys, verify, bytesMax);
        if (damaged === undefined) return found;
        await write(() => rows.quarantine(keys.slice(damaged, damaged + 1), hashers));
        throw badHash(damaged);
      },
      has: (keys) => reader.has(unpackKeys(keys)),
      root: (cid) => reader.root(cid),
      roots: () => reader.roots(),
      stat: () => reader.stat(),
      close: () => {
        group.commit();
        return undefined;
      },
    },
    close: () => {
      // The last connection to close removes the log, and only this one may write.
      reader.close();
      closeDatabase(db);
    },
  };
}

/**
 * Gives the memory of stored bytes back at once. Left to the garbage collector, which sees only
 * small objects here, a fast writer would hold hundreds of megabytes.
 */
function free(blobs: readonly Uint8Array[]): void {
  for (const { buffer } of blobs) {
    if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
  }
}

/** The main thread knows the object's name; here it is a position. */
const badHash = (index: number): AegisError =>
  new AegisError('BAD_HASH', 'an object is not what its name says', { details: { index } });

/** Nothing of a group with a false object is written. */
function refuseMismatch(
  keys: readonly Uint8Array[],
  blobs: readonly Uint8Array[],
  hashers: Hashers,
): void {
  for (const [index, key] of keys.entries()) {
    const bytes = blobs[index];
    if (bytes === undefined || !matches(key, bytes, hashers)) {
      throw badHash(index);
    }
  }
}
