/** The machines of a node, as the facts on disk describe them. */

import type { Roster } from '../chain/roster.ts';
import type { Settings } from '../config/settings.ts';
import { Replication } from '../kb/replication.ts';
import { TABLES } from '../kb/replication-entries.ts';
import type { Genesis, Member } from '../model/genesis.ts';
import { PeerBook } from '../peers/book.ts';
import { PEERS_TABLE } from '../peers/record.ts';
import type { ChainStore } from '../storage/chain-store.ts';

export interface MachinesOptions {
  readonly settings: Settings;
  readonly genesis: Genesis;
  /** Read before these: it says whose versions count. */
  readonly roster: Pick<Roster, 'identityKey'>;
  /** Node id of this node. */
  readonly self: string;
}

export interface Machines {
  readonly replication: Replication;
  readonly book: PeerBook;
  /** Copies that `--wait replicated` waits for: no more than there are custodians. */
  readonly minReplicas: number;
}

/** @throws {AegisError} `STORE_DAMAGED` for facts that cannot be read. */
export async function recoverMachines(
  { settings, genesis, self, roster }: MachinesOptions,
  chain: ChainStore,
): Promise<Machines> {
  const entries = await readEntries(chain);
  const minReplicas = Math.min(settings['kb.minReplicas'], genesis.custodians.length);
  const { replicas } = genesis;
  const members = genesis.custodians.map(placementOf);
  const replication = Replication.recover(
    { nodeId: self, members, replicas, minReplicas },
    {
      // A3
      keyOf: (author, keyEpoch, sequence) => roster.identityKey(author, keyEpoch, sequence),
    },
    entries.kb,
  );
  const book = new PeerBook({ self });
  book.recover(entries.peers);
  return { replication, book, minReplicas };
}

interface Entries {
  readonly kb: { table: string; key: string; value: Uint8Array }[];
  readonly peers: { key: string; value: Uint8Array }[];
}

async function readEntries(chain: ChainStore): Promise<Entries> {
  const tables = [TABLES.versions, TABLES.roots, TABLES.replicas];
  const kb = await Promise.all(
    tables.map(async (table) => (await chain.scan(table)).map((row) => ({ table, ...row }))),
  );
  return { kb: kb.flat(), peers: await chain.scan(PEERS_TABLE) };
}

const placementOf = ({ nodeId, storageWeight, zone }: Member) => ({
  nodeId,
  weight: storageWeight,
  zone,
});
