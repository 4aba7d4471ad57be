/**
 * Sets right what befalls copies: custodians that are away or drain (absence.ts), copies that
 * were confirmed and cannot be proved (doubts.ts), roots that others are to hold (leaving.ts), and
 * what an operator wants repaired at once. It spreads nothing itself: copies.ts does.
 */
import type { CID } from 'multiformats/cid';
import { ABSENCE_ALARM, Absence } from './absence.ts';
import type { Copies } from './copies.ts';
import { type DrainState, LEAVE_ALARM, Leaving } from './leaving.ts';
import type { KbMessage } from './messages.ts';
import type { PlacementMember } from './placement.ts';
import type { ReplicationShared, UpkeepInput } from './replication-types.ts';

/** A version that has not all of its copies. */
export interface UnwellVersion {
  /** Where the next page begins. */
  readonly key: string;
  readonly version: string;
  readonly path: string;
  readonly root: CID;
  /** Milliseconds since the Unix epoch. */
  readonly since: number;
  readonly copies: readonly string[];
  readonly placed: readonly string[];
  /** Of the placed ones, those that have not said that they have it. */
  readonly missing: readonly string[];
  /** This node is to fetch it. */
  readonly isWanted: boolean;
  readonly isFetching: boolean;
  /** Fetches that came to nothing. */
  readonly failures: number;
  /** When it is fetched again; undefined: as soon as there is a place. */
  readonly nextAt: number | undefined;
}

/** Accounts looked at for one that can be audited. */
const AUDIT_ACCOUNTS = 64;

export class Upkeep {
  readonly #shared: ReplicationShared;
  readonly #copies: Copies;
  readonly #absence: Absence;
  readonly #leaving: Leaving;

  constructor(shared: ReplicationShared, copies: Copies) {
    this.#shared = shared;
    this.#copies = copies;
    this.#absence = new Absence(shared, (present) => this.#placed(present));
    this.#leaving = new Leaving(shared, shared.doubts, () => this.#absence.isDraining);
  }

  /** Absent members and since when, in milliseconds since the Unix epoch. */
  get absent(): ReadonlyMap<string, number> {
    return this.#absence.absent;
  }

  get draining(): ReadonlySet<string> {
    return this.#absence.draining;
  }

  get drain(): DrainState {
    return this.#leaving.state;
  }

  /** W22: the word of a node about a root does not count. */
  isDoubted(nodeId: string, root: CID): boolean {
    return this.#shared.doubts.has(nodeId, root);
  }

  /** W23: a root may be let go. */
  mayLeave(root: CID): boolean {
    return this.#leaving.may(root);
  }

  /** W25: versions without all of their copies, after the one with a key. */
  unwell(after: string | undefined, limit: number): UnwellVersion[] {
    const { replicas, unwell, graph, options } = this.#shared;
    return unwell.page(replicas, after, limit).map(({ account, since }) => {
      const { key, cidText: version, root, placed } = account;
      const copies = replicas.copies(account);
      const path = graph.get(version)?.version.path ?? '';
      const missing = placed.filter((nodeId) => !copies.includes(nodeId));
      const isWanted = !account.isGuest && !copies.includes(options.nodeId);
      const tried = this.#copies.tried(root);
      return { key, version, path, root, since, copies, placed, missing, isWanted, ...tried };
    });
  }

  /**
   * W22: a root that is here and that connected nodes have confirmed, drawn by a random key of 32
   * bytes in hex; undefined when there is none among the accounts that are looked at.
   */
  auditable(
    from: string,
    isConnected: (nodeId: string) => boolean,
  ): { readonly root: CID; readonly nodeIds: readonly string[] } | undefined {
    const { replicas } = this.#shared;
    for (const start of [from, '']) {
      const found = [];
      for (const account of replicas.page(start, undefined, AUDIT_ACCOUNTS)) {
        if (account.isDeleted || !replicas.isStored(account)) continue;
        const nodeIds = [...account.confirmed].filter(isConnected);
        if (nodeIds.length > 0) found.push({ root: account.root, nodeIds });
      }
      // One of them: what follows a wide gap between keys would be drawn too often.
      const one = found[Number.parseInt(from.slice(-8), 16) % found.length];
      if (one !== undefined) return one;
    }
    return undefined;
  }

  start(): void {
    this.#absence.start();
    this.#leaving.begin();
  }

  /** The node is in `up` already. */
  peerUp(nodeId: string): void {
    this.#absence.peerUp(nodeId);
  }

  /** The node is not in `up` any more. */
  peerDown(nodeId: string): void {
    this.#absence.peerDown(nodeId);
  }

  take(input: UpkeepInput): void {
    const { doubts, options } = this.#shared;
    switch (input.type) {
      case 'members':
        return this.#absence.members(input.members);
      case 'drain':
        this.#absence.drains(options.nodeId, input.isDraining);
        return this.#leaving.begin();
      case 'audited':
        // W22
        if (doubts.set(input.nodeId, input.root, !input.isHeld)) {
          this.#copies.judged(input.nodeId, input.root, input.isHeld);
        }
        return;
      case 'repair':
        if (input.isNow) this.#absence.hurry();
        return this.#copies.hasten(input.root);
    }
  }

  /** @returns whether the alarm is one of these. */
  alarm(key: string): boolean {
    if (key === ABSENCE_ALARM) this.#absence.look();
    else if (key === LEAVE_ALARM) this.#leaving.look();
    else return false;
    return true;
  }

  /** W26: what comes with a vector. */
  drains(nodeId: string, isDraining: boolean): void {
    this.#absence.drains(nodeId, isDraining);
  }

  heard(from: string, { type, roots }: Extract<KbMessage, { type: 'asked' | 'here' }>): void {
    if (type === 'here') return this.#leaving.heard(from, roots);
    const here = this.#leaving.here(roots);
    if (here.length > 0) this.#shared.turn.send(from, { type: 'here', roots: here });
  }

  lost(root: CID): void {
    this.#leaving.gone(root);
  }

  /** At the end of each step. */
  flush(): void {
    this.#shared.unwell.flush(this.#shared.replicas);
    this.#shared.doubts.flush();
  }

  #placed(members: readonly PlacementMember[]): void {
    this.#copies.members(members);
    this.#leaving.begin();
  }
}
