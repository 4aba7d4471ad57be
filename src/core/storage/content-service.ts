/**
 * `content.db`, in its worker: objects under their multihash. It checks that bytes match their
 * name, groups writes, and sets damaged rows aside. It does not know who wants what.
 *
 * One worker reads and writes. A second one for reading was measured: it costs 12 MB and saves at
 * most the wait for one commit.
 */
import type { LeafKeys } from '../crypto/sealed-leaf.ts';
import { AegisError } from '../errors.ts';
import { MIB } from '../units.ts';
import { Collector } from './collector.ts';
import { ContentReader } from './content-reader.ts';
import { ContentRoom } from './content-room.ts';
import { contentRows } from './content-rows.ts';
import { CONTENT_SPEC } from './content-schema.ts';
import { closeDatabase, type OpenOptions, openDatabase } from './database.ts';
import { GroupCommit } from './group-commit.ts';
import { leafSealer } from './leaf-sealer.ts';
import { Leases } from './leases.ts';
import { type Hashers, matches, multihashOf, packKeys, unpackKeys } from './multihash.ts';
import type { ContentOperations, Swept } from './protocol.ts';
import type { scrubRows } from './scrub.ts';
import type { Service } from './service.ts';
import { Shredding } from './shredding.ts';

/** What a row costs in the log besides its bytes: the index entry and a part of a page. */
const ROW_OVERHEAD_BYTES = 256;
/** About what deleting a batch writes: pages of the index, lists of free pages. */
const SWEEP_LOG_BYTES = 4 * MIB;

type Handlers = Service<ContentOperations>['handlers'];

/** What the handlers share. */
interface Parts {
  readonly group: GroupCommit;
  readonly rows: ReturnType<typeof contentRows>;
  readonly reader: ContentReader;
  readonly leases: Leases;
  readonly collector: Collector;
  readonly room: ContentRoom;
  readonly shredding: Shredding;
  readonly scrub: ReturnType<typeof scrubRows>;
  readonly hashers: Hashers;
}

export function contentService(
  path: string,
  options: OpenOptions,
  hashers: Hashers,
  fatal: (error: unknown) => void,
): Service<ContentOperations> {
  const db = openDatabase(path, CONTENT_SPEC, options);
  const leases = new Leases();
  const reader = new ContentReader(path, hashers);
  const parts: Parts = {
    group: new GroupCommit({}, { db, fatal }),
    rows: contentRows(db),
    reader,
    scrub: reader.scrubbing(db),
    leases,
    collector: new Collector(db, leases, hashers),
    room: new ContentRoom(db, path),
    shredding: new Shredding(db),
    hashers,
  };
  const { group, room } = parts;
  return {
    handlers: {
      ...writesOf(parts),
      ...readsOf(parts),
      ...pinsOf(parts),
      ...collectionOf(parts),
      ...shreddingOf(parts),
      ...scrubOf(parts),
      limit: (limits) => {
        room.limit(limits);
        return undefined;
      },
      space: () => room.space(),
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

const writer =
  ({ group }: Parts) =>
  async (change: () => void): Promise<undefined> => {
    await group.stage(ROW_OVERHEAD_BYTES, change);
    return undefined;
  };

/** Who writes or reads under a lease counts on the rows that are there. */
const toucher =
  ({ leases, collector }: Parts) =>
  (lease: number | undefined) => {
    const touched = leases.get(lease)?.touched;
    return (id: number): void => {
      touched?.add(id);
      collector.touch(id);
    };
  };

function writesOf(
  parts: Parts,
): Pick<Handlers, 'put' | 'addLeaves' | 'setRoots' | 'delete' | 'lease' | 'release'> {
  const { group, rows, leases, collector, room, shredding, hashers } = parts;
  const write = writer(parts);
  const touching = toucher(parts);
  const store = async (
    keys: readonly Uint8Array[],
    blobs: readonly Uint8Array[],
    lease: number | undefined,
  ) => {
    shredding.check(keys);
    const size = blobs.reduce((sum, blob) => sum + blob.length + ROW_OVERHEAD_BYTES, 0);
    room.check(size, leases.get(lease)?.isBound === true);
    await group.stage(size, () => {
      rows.insert(keys, blobs, touching(lease));
      free(blobs);
    });
    return undefined;
  };
  return {
    put: ({ keys: packed, blobs, verify, lease }) => {
      const keys = unpackKeys(packed);
      if (verify) refuseMismatch(keys, blobs, hashers);
      return store(keys, blobs, lease);
    },
    addLeaves: async ({ chunks, hash, seal, lease }) => {
      const leaves = seal === undefined ? chunks : await sealed(chunks, seal);
      const keys = leaves.map((leaf) => multihashOf(hashers[hash], leaf));
      await store(keys, leaves, lease);
      return packKeys(keys);
    },
    setRoots: ({ roots, lease }) =>
      write(() => {
        for (const { cid, complete, sizeBytes } of roots) {
          rows.setRoot(cid, complete, sizeBytes);
          leases.get(lease)?.roots.push(cid);
          collector.keep(cid, false);
        }
      }),
    delete: (keys) => write(() => rows.delete(unpackKeys(keys))),
    lease: ({ lease, root, isBound }) => {
      const roots = root === undefined ? [] : [root];
      leases.open(lease, { newestId: collector.newestId, roots, isBound });
      for (const one of roots) collector.keep(one, false);
      return undefined;
    },
    release: (lease) => {
      leases.close(lease);
      return undefined;
    },
  };
}

type ReadNames = 'getMany' | 'has' | 'root' | 'areComplete' | 'identity' | 'stat';

function readsOf(parts: Parts): Pick<Handlers, ReadNames> {
  const { group, rows, reader, hashers } = parts;
  const write = writer(parts);
  const touching = toucher(parts);
  return {
    getMany: async ({ keys: packed, verify, bytesMax, lease }) => {
      group.touch();
      const keys = unpackKeys(packed);
      const touch = lease === undefined ? undefined : touching(lease);
      const { found, damaged } = reader.getMany(keys, verify, bytesMax, touch);
      if (damaged === undefined) return found;
      await write(() => rows.quarantine(keys.slice(damaged, damaged + 1), hashers));
      throw badHash(damaged);
    },
    has: ({ keys, lease }) => reader.has(unpackKeys(keys), touching(lease)),
    root: (cid) => reader.root(cid),
    areComplete: (cids) => reader.areComplete(cids),
    identity: () => reader.identity(),
    stat: () => reader.stat(),
  };
}

function pinsOf(parts: Parts): Pick<Handlers, 'pin' | 'pins' | 'setPin' | 'removePin'> {
  const { rows, reader, collector } = parts;
  const write = writer(parts);
  return {
    pin: (cid) => reader.pin(cid),
    pins: ({ after, limit }) => reader.pins(after, limit),
    setPin: (pin) =>
      write(() => {
        rows.setPin(pin);
        collector.keep(pin.cid, false);
      }),
    removePin: async (cid) => {
      let isGone = false;
      await write(() => {
        isGone = rows.removePin(cid);
      });
      return isGone;
    },
  };
}

function shreddingOf({ group, shredding }: Parts): Pick<Handlers, 'shred' | 'sealedRoots'> {
  return {
    shred: async (packed) => {
      const keys = unpackKeys(packed);
      await group.apart(keys.length * ROW_OVERHEAD_BYTES, () => shredding.shred(keys));
      // The log has what was in its place before.
      group.truncateLog();
      return undefined;
    },
    sealedRoots: ({ object, after, limit }) => {
      group.commit();
      return shredding.rootsWith(object, after, limit);
    },
  };
}

type CollectionNames =
  | 'beginCollection'
  | 'keep'
  | 'mark'
  | 'unkept'
  | 'forget'
  | 'sweep'
  | 'shrink'
  | 'endCollection';

function collectionOf(parts: Parts): Pick<Handlers, CollectionNames> {
  const { group, rows, collector, room } = parts;
  return {
    beginCollection: () => {
      group.commit();
      collector.begin();
      return undefined;
    },
    keep: ({ roots, areWhole }) => {
      for (const root of roots) collector.keep(root, areWhole);
      return undefined;
    },
    mark: () => collector.mark(),
    unkept: ({ after, limit }) => {
      group.commit();
      return collector.unkept(after, limit);
    },
    forget: async (roots) => {
      await group.apart(roots.length * ROW_OVERHEAD_BYTES, () => collector.forget(roots));
      return undefined;
    },
    sweep: async ({ isDry }) => {
      if (isDry) return collector.sweep(true);
      let swept: Swept = { objects: 0, bytes: 0, isDone: false };
      await group.apart(SWEEP_LOG_BYTES, () => {
        swept = collector.sweep(false);
      });
      return swept;
    },
    shrink: async (pages) => {
      await group.apart(2 * pages * CONTENT_SPEC.pageSizeBytes, () => rows.giveBack(pages));
      return room.freePages;
    },
    endCollection: () => {
      collector.end();
      group.truncateLog();
      return undefined;
    },
  };
}

function scrubOf(parts: Parts): Pick<Handlers, 'scrub' | 'scrubState' | 'restartScrub'> {
  const { rows, scrub, group, hashers } = parts;
  const write = writer(parts);
  return {
    scrub: async ({ bytesMax }) => {
      // What waits to be written is looked at by the next one.
      group.commit();
      const slice = scrub.slice(scrub.read().at, bytesMax);
      await write(() => {
        rows.quarantine(slice.damaged, hashers);
        scrub.passed(slice, Date.now());
      });
      const { damaged, bytes, next } = slice;
      return { damaged: packKeys(damaged), bytes, isDone: next === undefined };
    },
    scrubState: () => scrub.read(),
    restartScrub: () => write(() => scrub.restart()),
  };
}

async function sealed(chunks: readonly Uint8Array[], keys: LeafKeys): Promise<Uint8Array[]> {
  const seal = await leafSealer(keys);
  const leaves = chunks.map(seal);
  free(chunks);
  return leaves;
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
