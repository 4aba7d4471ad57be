/**
 * W29, W30: what this node stops to keep. A version whose content retention lets go is of no
 * concern here any more: its copies are not counted, offered or fetched. A root that nothing keeps
 * here is not here from the step on that says so, before its first object is deleted: whoever needs
 * it afterwards finds that it is missing. It deletes nothing, and records of versions stay.
 */
import type { CID } from 'multiformats/cid';
import type { Account } from './accounts.ts';
import type { Copies } from './copies.ts';
import type { ReplicationShared } from './replication-types.ts';
import { ruleOf } from './retention.ts';
import type { Upkeep } from './upkeep.ts';

type Departures = Pick<Upkeep, 'mayLeave' | 'lost'>;

/** Accounts of one root that are looked at; with more it stays. */
const LOOKED_AT = 1024;

export class LettingGo {
  readonly #shared: ReplicationShared;
  readonly #copies: Copies;
  readonly #leaving: Departures;

  constructor(shared: ReplicationShared, copies: Copies, leaving: Departures) {
    this.#shared = shared;
    this.#copies = copies;
    this.#leaving = leaving;
  }

  /** W29: whether this node is to hold a root that a version keeps. */
  isToHold(root: CID): boolean {
    const { replicas, options } = this.#shared;
    if (replicas.placed(root).includes(options.nodeId)) return true;
    return replicas.hasRoot(root) && !this.#leaving.mayLeave(root);
  }

  /** Versions whose content may go, as somebody has found; what has changed since is left alone. */
  release(versions: readonly string[]): void {
    const { graph, options, turn } = this.#shared;
    for (const cidText of versions) {
      const version = graph.get(cidText);
      if (version === undefined) continue;
      const rule = ruleOf(graph, version, options.retention, turn.now);
      if (rule === undefined) this.#copies.release(version);
    }
  }

  /** Tells which of the roots are not here from now on. */
  letGo(roots: readonly CID[], isDry: boolean): void {
    const { replicas, turn } = this.#shared;
    const gone = roots.filter((root) => !this.#isKept(root));
    for (const root of isDry ? [] : gone) {
      replicas.setRoot(root, false);
      this.#copies.unwant(root);
      this.#leaving.lost(root);
    }
    turn.tell({ type: 'let-go', asked: roots, roots: gone });
  }

  /** A fetch came to nothing: perhaps nobody keeps that content any more. */
  fetchFailed(root: CID): void {
    const { graph, replicas } = this.#shared;
    const accounts = replicas.ofRoot(root).take(LOOKED_AT).toArray();
    this.release(accounts.map(({ cidText }) => cidText).filter((one) => graph.has(one)));
  }

  /** The placement asks for it here, for a version that retention keeps. */
  #isKept(root: CID): boolean {
    const { replicas, options } = this.#shared;
    const accounts = replicas.ofRoot(root).take(LOOKED_AT).toArray();
    const isAsked = ({ isGuest, isDeleted, placed, cidText }: Account): boolean =>
      !isGuest &&
      !isDeleted &&
      // W23: nobody may have asked the holders, or not lately.
      (placed.includes(options.nodeId) || !this.#leaving.mayLeave(root)) &&
      this.#isRetained(cidText);
    return accounts.length === LOOKED_AT || accounts.some(isAsked);
  }

  #isRetained(cidText: string): boolean {
    const { graph, options, turn } = this.#shared;
    const version = graph.get(cidText);
    return (
      version !== undefined && ruleOf(graph, version, options.retention, turn.now) !== undefined
    );
  }
}
