/** The machines of a node, as the facts on disk describe them. */

import type { Roster, RosterMember } from '../chain/roster.ts';
import type { Settings } from '../config/settings.ts';
import { retentionOf } from '../config/space-settings.ts';
import type { PlacementMember } from '../kb/placement.ts';
import { Replication } from '../kb/replication.ts';
import type { Genesis } from '../model/genesis.ts';
import { PeerBook } from '../peers/book.ts';
import { PEERS_TABLE } from '../peers/record.ts';
import type { Rows } from '../ports.ts';
import type { ChainStore } from '../storage/chain-store.ts';

export interface MachinesOptions {
  readonly settings: Settings;
  readonly genesis: Genesis;
  /** Read before these: it says whose versions count. */
  readonly roster: Pick<Roster, 'identityKey' | 'members'>;
  /** Node id of this node. */
  readonly self: string;
}

export interface Machines {
  readonly replication: Replication;
  readonly book: PeerBook;
}

/** @throws {AegisError} `STORE_DAMAGED` for facts that cannot be read. */
export async function recoverMachines(
  { settings, genesis, self, roster }: MachinesOptions,
  stores: { readonly store: ChainStore; readonly rows: Rows },
): Promise<Machines> {
  const members = placed(roster);
  const minReplicas = Math.min(settings['kb.minReplicas'], members.length);
  const { replicas } = genesis;
  const replication = new Replication(
    {
      nodeId: self,
      members,
      replicas,
      minReplicas,
      graceMs: settings['kb.graceMs'],
      retention: retentionOf(settings),
    },
    {
      // A3
      keyOf: (author, keyEpoch, sequence) => roster.identityKey(author, keyEpoch, sequence),
    },
    stores.rows,
  );
  const book = new PeerBook({ self });
  book.recover(await stores.store.scan(PEERS_TABLE));
  return { replication, book };
}

/** Who holds copies by the state: custodians, as they weigh now. */
export class Placement {
  readonly #roster: Pick<Roster, 'members'>;
  #last: readonly PlacementMember[];

  constructor(roster: Pick<Roster, 'members'>) {
    this.#roster = roster;
    this.#last = placed(roster);
  }

  /** The present one; undefined when nothing in it has changed since the last call. */
  next(): readonly PlacementMember[] | undefined {
    const members = placed(this.#roster);
    if (JSON.stringify(members) === JSON.stringify(this.#last)) return undefined;
    this.#last = members;
    return members;
  }
}

const placed = (roster: Pick<Roster, 'members'>): PlacementMember[] =>
  roster
    .members()
    .filter(({ role }) => role === 'custodian')
    .toSorted((a, b) => (a.nodeId < b.nodeId ? -1 : 1))
    .map(placementOf);

const placementOf = ({ nodeId, storageWeight, zone }: RosterMember): PlacementMember => ({
  nodeId,
  weight: storageWeight,
  zone,
});
