/** The roster within a block: what its statements so far have changed, above the final one. */
import { keysOf, type Roster, type RosterMember } from './roster.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export class RosterDraft {
  /** As it was before the block. */
  readonly before: Roster;
  readonly #changed = new Map<string, RosterMember>();
  readonly #owners = new Map<string, string>();

  constructor(before: Roster) {
    this.before = before;
  }

  /** Each once, in the order in which they were changed first. */
  get changed(): readonly RosterMember[] {
    return [...this.#changed.values()];
  }

  get(nodeId: string): RosterMember | undefined {
    return this.#changed.get(nodeId) ?? this.before.get(nodeId);
  }

  /** S6. */
  ownerOf(key: Uint8Array): string | undefined {
    return this.#owners.get(hex(key)) ?? this.before.ownerOf(key);
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
    for (const { keys } of member.history.slice(known)) {
      for (const key of keysOf(keys)) this.#owners.set(hex(key), member.nodeId);
    }
  }
}
