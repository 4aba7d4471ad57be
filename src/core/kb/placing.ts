/**
 * Goes through all versions when others keep the cluster than before, a part at a time, so that
 * steps stay short however much there is. It moves no object and tells nobody.
 */
import type { SignedVersion } from '../model/version.ts';
import type { PlacementMember } from './placement.ts';
import type { Account, Replicas } from './replicas.ts';
import type { VersionGraph } from './versions.ts';

/** Versions in one part. */
const PART = 256;

export class Placing {
  readonly #replicas: Replicas;
  readonly #graph: VersionGraph;
  #left: Iterator<SignedVersion> | undefined;

  constructor(replicas: Replicas, graph: VersionGraph) {
    this.#replicas = replicas;
    this.#graph = graph;
  }

  get isOpen(): boolean {
    return this.#left !== undefined;
  }

  begin(members: readonly PlacementMember[]): void {
    this.#replicas.setMembers(members);
    this.#left = this.#graph.all();
  }

  /** The accounts of the next part that were opened anew. */
  next(): Account[] {
    const moved: Account[] = [];
    for (let count = 0; count < PART; count += 1) {
      const next = this.#left?.next();
      if (next === undefined || next.done === true) {
        this.#left = undefined;
        break;
      }
      const account = this.#replicas.move(next.value);
      if (account !== undefined) moved.push(account);
    }
    return moved;
  }
}
