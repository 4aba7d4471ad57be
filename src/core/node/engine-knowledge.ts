/**
 * The knowledge base of an engine: put together, and what is set right around it when the node
 * starts or finds damage. It decides nothing about versions and roots: kb/ and knowledge.ts do.
 */
import type { CID } from 'multiformats/cid';
import type { RosterMember } from '../chain/roster.ts';
import type { Settings } from '../config/settings.ts';
import { quorumOf } from '../consensus/quorum.ts';
import { toAegisError } from '../errors.ts';
import type { AuthorLog } from '../kb/author-log.ts';
import type { Replication } from '../kb/replication.ts';
import type { ReplicationInput } from '../kb/replication-types.ts';
import type { Genesis } from '../model/genesis.ts';
import type { SignedVersion } from '../model/version.ts';
import type { Host } from '../network/host.ts';
import type { Hasher, Log } from '../ports.ts';
import type { ContentStore } from '../storage/content-store.ts';
import { SECOND } from '../units.ts';
import type { ChainRoom } from './chain-room.ts';
import type { Copies } from './copies/copies.ts';
import type { Fetcher } from './fetcher.ts';
import { Finality } from './finality.ts';
import { KbDiffs } from './kb-diffs.ts';
import type { KbFeed } from './kb-feed.ts';
import { KbVersions } from './kb-versions.ts';
import { Knowledge, type KnowledgeDeps } from './knowledge.ts';
import { OwnHistory } from './own-history.ts';
import type { OwnReadingKeys } from './reading-keys.ts';

/** O24: so long a write waits for news of what is final. */
const TOR_NEWS_MS = 15 * SECOND;

export interface KnowledgeParts
  extends Pick<KnowledgeDeps, 'checkMayWrite' | 'sealed' | 'changed' | 'contents' | 'space'> {
  readonly machine: Replication;
  readonly content: ContentStore;
  readonly hashers: readonly Hasher[];
  readonly host: Host;
  readonly room: ChainRoom;
  readonly readingKeys: OwnReadingKeys;
  readonly copies: Copies;
  readonly fetcher: Fetcher;
  readonly finality: Finality;
  readonly log: Log;
  /** By node id, the start of one or name. @throws {AegisError} `NOT_FOUND`. */
  find(member: string): RosterMember;
  submit(input: ReplicationInput): void;
}

export function makeKnowledge(
  options: {
    readonly self: string;
    readonly genesis: Genesis;
    readonly settings: Settings;
    /** Where it is noted that facts were lost. */
    readonly lostMarker: string;
  },
  parts: KnowledgeParts,
): Knowledge {
  const { self, genesis, settings, lostMarker: marker } = options;
  const { machine, hashers, host, room, log } = parts;
  const { chain } = room;
  const custodians = (): number => chain.custodians().size;
  const quorum = (): number => quorumOf(custodians());
  const keyOf = (keyEpoch: number, sequence: number) =>
    chain.roster.identityKey(self, keyEpoch, sequence);
  const { graph } = machine;
  return new Knowledge(
    {
      ...{ self, minReplicas: settings['kb.minReplicas'], replicas: genesis.replicas, custodians },
      ...(settings['tor.route'] === 'off' ? {} : { newsMs: TOR_NEWS_MS }),
    },
    {
      ...parts,
      pace: parts.copies.pace,
      fetchFailed: (root, error) => parts.copies.fetchFailed(root, error),
      history: new OwnHistory({ self, keyOf, quorum, marker }, { host, graph, log }),
      author: room.author,
      sealing: {
        keys: parts.readingKeys,
        isDefault: settings['kb.seal'] === 'on',
        find: (member) => parts.find(member),
        group: (path) => {
          const found = chain.namespaceOf(path);
          return found?.path === path ? [...found.owners, ...found.writers] : undefined;
        },
      },
      hasher: (name) => hashers.find((hasher) => hasher.name === name)!,
      peers: () => host.peers().map((peer) => peer.nodeId),
    },
  );
}

/** So long the record of a version that is final is waited for, through circuits. */
const TOR_RECORD_MS = 20 * SECOND;

export function makeFinality(
  settings: Settings,
  { chain, desk, finals, reads }: ChainRoom,
  graph: Replication['graph'],
  record: (version: string, signal: AbortSignal) => Promise<SignedVersion>,
): Finality {
  // O24
  const isDirect = settings['tor.route'] === 'off';
  const options = isDirect ? {} : { recordMs: TOR_RECORD_MS };
  return new Finality({ chain, desk, finals, reads, graph, record }, options);
}

/** What the API asks about versions. */
export function makeVersions({
  knowledge,
  graph,
  finality,
  feed,
  height,
}: {
  readonly knowledge: Knowledge;
  readonly graph: Replication['graph'];
  readonly finality: Finality;
  readonly feed: KbFeed;
  height(): number;
}): KbVersions {
  const diffs = new KbDiffs({
    ...{ graph, finality },
    contents: (root, sizeBytes, signal) => knowledge.contents(root, sizeBytes, signal),
  });
  return new KbVersions({ writer: knowledge.writer, diffs, feed, height });
}

/** What this node wrote and never told the custodians, since it ended in between. */
export async function submitMissing(
  { self, finality }: { readonly self: string; readonly finality: Finality },
  graph: Replication['graph'],
  log: Log,
): Promise<void> {
  try {
    const author = graph.author(self);
    let count = 0;
    for await (const page of latestOwn(author, finality))
      count += await finality.submitMissing(page);
    if (count === 0) return;
    log.write('info', 'own versions are queued for the custodians', { count });
  } catch (error) {
    const { code, message: reason } = toAegisError(error);
    log.write('warn', 'own versions could not be queued', { code, reason });
  }
}

/** Versions of one question, and as many decided ones in a row end the search. */
const OWN_PAGE = 512;

/** The own versions from the first page on behind which all are decided, in their order. */
async function* latestOwn(
  log: AuthorLog,
  finality: Finality,
): AsyncGenerator<readonly SignedVersion[]> {
  let from = log.sequence + 1;
  for (let isOpen = true; isOpen && from > 1; ) {
    const to = from - 1;
    from = Math.max(1, from - OWN_PAGE);
    isOpen = (await finality.missing([...log.between(from, to)])).length > 0;
  }
  for (; from <= log.sequence; from += OWN_PAGE) {
    yield [...log.between(from, from + OWN_PAGE - 1)];
  }
}

export async function mendInBackground(
  mend: () => Promise<unknown>,
  root: CID,
  log: Log,
): Promise<void> {
  try {
    await mend();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log.write('warn', 'a damaged root could not be mended', { root: root.toString(), reason });
  }
}

/** Roots of one question. */
const ROOTS_PAGE = 1000;

/**
 * Roots that the facts call complete and the content store has not: it was set aside as damaged, or
 * is that of another time. A file that has been compared before is not gone through again (W40).
 */
export async function* lostRoots(
  content: Pick<ContentStore, 'areComplete' | 'identity'>,
  machine: Pick<Replication, 'contentId' | 'roots'>,
): AsyncGenerator<CID> {
  if ((await content.identity()) === machine.contentId) return;
  for (let page = machine.roots(undefined, ROOTS_PAGE); page.length > 0; ) {
    const areComplete = await content.areComplete(page);
    yield* page.filter((_, n) => areComplete[n] !== true);
    page = machine.roots(page.at(-1)!.toString(), ROOTS_PAGE);
  }
}
