/**
 * Records that are known by their CID and not here: merges, which stand in no author's log, and
 * final heads of which nobody has told. Peers are asked for them by name, and the name proves the
 * bytes. A merge that nobody here has named is not taken: anybody could make any number of them.
 */
import { CID } from 'multiformats/cid';
import { isAegisError } from '../errors.ts';
import { isMergeBytes, openMerge } from '../model/merge.ts';
import { type SignedVersion, versionCidOf } from '../model/version.ts';
import { KIB, type Verified } from '../units.ts';
import { chosenPeers } from './gossip.ts';
import { LIMITS } from './limits.ts';
import type { ReplicationShared } from './replication-types.ts';

/** Peers that are asked for what this node has heard of from nobody in particular. */
const ASKED_PEERS = 3;
const ANSWER_BYTES = LIMITS.messageBytes - 64 * KIB;

export interface RecordsDeps {
  /** A merge that is to be known. */
  add(merge: Verified<SignedVersion>, from: string | undefined): void;
  /** Signed versions, as if they had been pushed. */
  versions(from: string, versions: readonly Uint8Array[]): void;
}

export class Records {
  readonly #shared: ReplicationShared;
  readonly #deps: RecordsDeps;
  /** CIDs; the one that was asked for last at the end. */
  readonly #wanted = new Set<string>();

  constructor(shared: ReplicationShared, deps: RecordsDeps) {
    this.#shared = shared;
    this.#deps = deps;
  }

  /** W11: those that final blocks have brought. */
  final(records: readonly Uint8Array[]): void {
    for (const bytes of records) this.#take(bytes, undefined);
  }

  /** @param from who has told of what follows them, or of them. */
  want(cids: readonly string[], from?: string): void {
    const { graph } = this.#shared;
    const fresh = cids.filter((cid) => !graph.has(cid));
    for (const cid of fresh) {
      this.#wanted.add(cid);
      if (this.#wanted.size > LIMITS.wantedRecords) this.#wanted.delete(this.#oldest);
    }
    this.#ask(fresh, from);
  }

  /** Now and then: those that have not come. */
  askAgain(): void {
    const { graph } = this.#shared;
    for (const cid of this.#wanted) if (graph.has(cid)) this.#wanted.delete(cid);
    const next = [...this.#wanted].slice(0, LIMITS.messageItems);
    for (const cid of next) {
      this.#wanted.delete(cid);
      this.#wanted.add(cid);
    }
    this.#ask(next);
  }

  /** Answers what a peer wants, as far as it fits; it asks again for the rest. */
  answer(from: string, cids: readonly CID[]): void {
    const { graph, turn } = this.#shared;
    const records: Uint8Array[] = [];
    let bytes = 0;
    for (const cid of cids) {
      const record = graph.get(cid.toString())?.bytes;
      if (record === undefined) continue;
      bytes += record.length;
      if (records.length === LIMITS.messageVersions || bytes > ANSWER_BYTES) break;
      records.push(record);
    }
    if (records.length > 0) turn.send(from, { type: 'records', records });
  }

  /** What a peer answers. */
  take(from: string, records: readonly Uint8Array[]): void {
    const isRest = records.length === LIMITS.messageVersions;
    for (const bytes of records) {
      if (!isMergeBytes(bytes)) this.#deps.versions(from, [bytes]);
      else if (this.#wanted.has(versionCidOf(bytes).toString())) this.#take(bytes, from);
    }
    if (isRest) this.askAgain();
  }

  get #oldest(): string {
    return this.#wanted.values().next().value!;
  }

  #take(bytes: Uint8Array, from: string | undefined): void {
    const { turn, options } = this.#shared;
    try {
      const merge = openMerge(bytes);
      this.#wanted.delete(merge.cidText);
      this.#deps.add(merge, from);
    } catch (error) {
      if (!isAegisError(error)) throw error;
      turn.tell({ type: 'refused', from: from ?? options.nodeId, error });
    }
  }

  #ask(cids: readonly string[], from?: string): void {
    const { turn, up, options } = this.#shared;
    if (cids.length === 0) return;
    const versions = cids.slice(0, LIMITS.messageItems).map((cid) => CID.parse(cid));
    const peers =
      from !== undefined && up.has(from)
        ? [from]
        : chosenPeers(options.nodeId, [...up], `${cids[0]} ${turn.now}`).slice(0, ASKED_PEERS);
    for (const nodeId of peers) turn.send(nodeId, { type: 'wanted', versions });
  }
}
