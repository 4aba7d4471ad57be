/** The merger of an engine, put together. It decides nothing. */

import type { CID } from 'multiformats/cid';
import type { Settings } from '../../config/settings.ts';
import { type Opened, unreadable } from '../../kb/merge/steps.ts';
import type { Replication, ReplicationInput } from '../../kb/replication.ts';
import { viewUnder } from '../../kb/sealed-view.ts';
import type { SignedVersion } from '../../model/version.ts';
import type { Clock, Hasher, Log, Metrics } from '../../ports.ts';
import type { ChainStore } from '../../storage/chain-store.ts';
import type { ContentStore } from '../../storage/content-store.ts';
import { SECOND } from '../../units.ts';
import type { ChainRoom } from '../chain-room.ts';
import type { Contents } from '../contents.ts';
import type { Finality } from '../finality.ts';
import type { Knowledge } from '../knowledge.ts';
import type { ObjectReader } from '../object-reader.ts';
import { MergeFaults } from './merge-faults.ts';
import { MergeViews } from './merge-views.ts';
import { Merger } from './merger.ts';

/** W9: a rank waits so much longer than the one before it, through circuits. */
const TOR_STEP_MS = 10 * SECOND;

export interface MergeParts {
  readonly machine: Replication;
  readonly content: ContentStore;
  readonly hashers: readonly Hasher[];
  readonly store: ChainStore;
  readonly reader: ObjectReader;
  readonly contents: Contents;
  readonly room: ChainRoom;
  readonly knowledge: Knowledge;
  readonly finality: Finality;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  submit(input: ReplicationInput): void;
}

/** What an engine has of merges. */
export interface MergeRoom {
  readonly merger: Merger;
  readonly views: MergeViews;
  readonly faults: MergeFaults;
}

export function makeMerges(
  { self, settings }: { readonly self: string; readonly settings: Settings },
  { hashers, store, reader, contents, room, knowledge, finality, ...parts }: MergeParts,
): MergeRoom {
  const { chain, desk } = room;
  const faults = new MergeFaults(store);
  const reading = {
    graph: parts.machine.graph,
    hashers: (code: number) => hashers.find((hasher) => hasher.code === code),
    below: (root: CID, signal: AbortSignal) => reader.below(root, signal),
    open: (root: CID, signal: AbortSignal) => opened(contents, root, signal),
    complete: (version: SignedVersion['version'], signal: AbortSignal) =>
      knowledge.complete(version, signal),
  };
  const isDirect = settings['tor.route'] === 'off';
  const step = isDirect ? {} : { stepMs: TOR_STEP_MS };
  const merger = new Merger(
    { self, minReplicas: settings['kb.minReplicas'], ...step },
    {
      ...{ ...parts, ...reading, desk, faults },
      chain: {
        ref: (path) => chain.ref(path),
        // S8
        mayMerge: (path) => chain.mayWrite(self, path) && chain.roster.get(self)?.isFrozen !== true,
        custodians: () => chain.custodians().nodeIds,
      },
    },
  );
  const views = new MergeViews({
    ...{ ...reading, machine: parts.machine, content: parts.content, writer: knowledge.writer },
    unmerged: () => merger.unmerged,
    head: (path, signal) => finality.head(path, signal),
    decided: (versions) => finality.find(versions),
  });
  return { merger, views, faults };
}

/** @throws {AegisError} `SEALED`, `BAD_DATA`. */
async function opened(contents: Contents, root: CID, signal: AbortSignal): Promise<Opened> {
  const { sealing: seal } = await contents.open(root, signal);
  const sealed = await contents.sealedRoot(root);
  if (seal === undefined || sealed === undefined) return unreadable(root);
  return { content: sealed.content, view: viewUnder(seal.keys), seal };
}
