/** The roster within a block: what its statements so far have changed, above the final one. */
import { KeyOwners } from './key-owners.ts';
import type { Roster, RosterMember } from './roster.ts';

export class RosterDraft {
  /** As it was before the block. */
  readonly before: Roster;
  readonly #changed = new Map<string, RosterMember>();
  /** S6. */
  readonly owners: KeyOwners;

  constructor(before: Roster) {
    this.before = before;
    this.owners = new KeyOwners(before.owners);
  }

  /** Each once, in the order in which they were changed first. */
  get changed(): readonly RosterMember[] {
    return [...this.#changed.values()];
  }

  get(nodeId: string): RosterMember | undefined {
    return this.#changed.get(nodeId) ?? this.before.get(nodeId);
  }

  /** Every record, as it is now. */
  *all(): Generator<RosterMember> {
    for (const member of this.before.all()) yield this.#changed.get(member.nodeId) ?? member;
    for (const member of this.#changed.values()) {
      if (this.before.get(member.nodeId) === undefined) yield member;
    }
  }

  put(member: RosterMember): void {
    const known = this.get(member.nodeId)?.history.length ?? 0;
    this.#changed.set(member.nodeId, member);
    this.owners.add(member.nodeId, member.history.slice(known));
  }
}
