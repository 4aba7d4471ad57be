/**
 * Goes through all versions when others keep the cluster than before, a part at a time, so that
 * steps stay short however much there is, and on from where it was after a restart. It moves no
 * object and tells nobody.
 */
import { sha256 } from '../crypto/hash.ts';
import { encode } from '../model/cbor.ts';
import type { SignedVersion } from '../model/version.ts';
import type { Account } from './accounts.ts';
import type { PlacementMember } from './placement.ts';
import type { Replicas } from './replicas.ts';
import { type KbStore, TABLES } from './store.ts';
import type { VersionGraph } from './versions.ts';

/** Versions in one part. */
const PART = 64;
const COUNTER = 'placing';

export interface Moved {
  /** Opened anew. */
  readonly accounts: readonly Account[];
  /** Of no concern any more. */
  readonly left: readonly SignedVersion[];
}

export class Placing {
  readonly #replicas: Replicas;
  readonly #graph: VersionGraph;
  readonly #store: KbStore;
  /** The version that was placed last; undefined when all are. */
  #last: string | undefined;

  constructor(replicas: Replicas, graph: VersionGraph, store: KbStore) {
    this.#replicas = replicas;
    this.#graph = graph;
    this.#store = store;
    const row = Buffer.from(store.get(TABLES.counters, COUNTER) ?? []);
    const members = hashOf(replicas.members);
    const isSame = Buffer.compare(row.subarray(0, members.length), members) === 0;
    if (!isSame) this.#set(graph.size > 0 ? '' : undefined);
    else if (row.length > members.length) {
      this.#last = row.subarray(members.length + 1).toString();
    }
  }

  get isOpen(): boolean {
    return this.#last !== undefined;
  }

  begin(members: readonly PlacementMember[]): void {
    this.#replicas.setMembers(members);
    this.#set('');
  }

  /** The next part. */
  next(): Moved {
    const moved: { accounts: Account[]; left: SignedVersion[] } = { accounts: [], left: [] };
    if (this.#last === undefined) return moved;
    let count = 0;
    for (const version of this.#graph.all(this.#last)) {
      const before = this.#replicas.get(version);
      const account = this.#replicas.move(version);
      if (account !== undefined) moved.accounts.push(account);
      else if (before !== undefined && this.#replicas.get(version) === undefined) {
        moved.left.push(version);
      }
      count += 1;
      if (count < PART) continue;
      this.#set(version.cidText);
      return moved;
    }
    this.#set(undefined);
    return moved;
  }

  #set(last: string | undefined): void {
    this.#last = last;
    const members = hashOf(this.#replicas.members);
    // A byte between them, so that nothing placed yet is not the same as all placed.
    const rest = last === undefined ? [] : [Uint8Array.of(1), Buffer.from(last)];
    this.#store.set(TABLES.counters, COUNTER, Buffer.concat([members, ...rest]));
  }
}

const hashOf = (members: readonly PlacementMember[]): Uint8Array => {
  return sha256(encode(members.map(({ nodeId, weight, zone }) => [nodeId, weight, zone])));
};
