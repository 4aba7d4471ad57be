/**
 * The knowledge base of an engine: put together, and what is set right around it when the node
 * starts or finds damage. It decides nothing about versions and roots: kb/ and knowledge.ts do.
 */
import type { CID } from 'multiformats/cid';
import type { Settings } from '../config/settings.ts';
import { quorumOf } from '../consensus/quorum.ts';
import { toAegisError } from '../errors.ts';
import type { Replication } from '../kb/replication.ts';
import type { ReplicationInput } from '../kb/replication-types.ts';
import type { Genesis } from '../model/genesis.ts';
import type { Host } from '../network/host.ts';
import type { Hasher, Log } from '../ports.ts';
import type { ContentStore } from '../storage/content-store.ts';
import { SECOND } from '../units.ts';
import type { ChainRoom } from './chain-room.ts';
import type { Fetcher } from './fetcher.ts';
import type { Finality } from './finality.ts';
import { Knowledge, type KnowledgeDeps } from './knowledge.ts';
import type { ObjectReader } from './object-reader.ts';
import { OwnHistory } from './own-history.ts';

/** O24: so long a write waits for news of what is final. */
const TOR_NEWS_MS = 15 * SECOND;

export interface KnowledgeParts
  extends Pick<KnowledgeDeps, 'checkMayWrite' | 'sealed' | 'changed'> {
  readonly machine: Replication;
  readonly content: ContentStore;
  readonly hashers: readonly Hasher[];
  readonly host: Host;
  readonly room: ChainRoom;
  readonly reader: ObjectReader;
  readonly fetcher: Fetcher;
  readonly finality: Finality;
  readonly log: Log;
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
      history: new OwnHistory({ self, keyOf, quorum, marker }, { host, graph, log }),
      author: room.author,
      hasher: (name) => hashers.find((hasher) => hasher.name === name)!,
      peers: () => host.peers().map((peer) => peer.nodeId),
    },
  );
}

/** What this node wrote and never told the custodians, since it ended in between. */
export async function submitMissing(
  { self, finality }: { readonly self: string; readonly finality: Finality },
  graph: Replication['graph'],
  log: Log,
): Promise<void> {
  try {
    const author = graph.author(self);
    const count = await finality.submitMissing([...author.between(1, author.sequence)]);
    if (count === 0) return;
    log.write('info', 'own versions are queued for the custodians', { count });
  } catch (error) {
    const { code, message: reason } = toAegisError(error);
    log.write('warn', 'own versions could not be queued', { code, reason });
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

/** The facts may say more than the content store has, e.g. when it was set aside as damaged. */
export async function lostRoots(
  content: Pick<ContentStore, 'roots'>,
  machine: Pick<Replication, 'graph' | 'hasRoot'>,
): Promise<readonly CID[]> {
  const complete = new Set<string>();
  for (const root of await content.roots()) {
    if (root.complete) complete.add(root.cid.toString());
  }
  const roots = [...machine.graph.all()].map(({ version }) => version.root);
  return roots.filter((root) => machine.hasRoot(root) && !complete.has(root.toString()));
}
