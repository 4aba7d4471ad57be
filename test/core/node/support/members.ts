/** A roster of owners whose keys become final when the test says so. */
import { firstMembers, Roster, type RosterMember } from '../../../../src/core/chain/roster.ts';
import { openInception } from '../../../../src/core/model/identity.ts';
import type { SignedSuccession } from '../../../../src/core/model/succession.ts';
import type { HelloClaim } from '../../../../src/core/network/hello.ts';
import { verified } from '../../../../src/core/units.ts';
import type { Owner } from '../../../helpers/owner.ts';

export const CLUSTER_ID = `aegisc1${'a'.repeat(52)}`;

const memberOf = (owner: Owner) => ({
  ...{ nodeId: owner.nodeId, name: `node ${owner.nodeId.slice(6, 10)}`, zone: 'z', region: 'r' },
  ...{ role: 'custodian' as const, keys: owner.origin, addresses: [], storageWeight: 100 },
  ...{ inceptionBytes: owner.node.inception, succession: [], origin: owner.origin },
});

export class Members {
  readonly roster: Roster;

  constructor(...owners: readonly Owner[]) {
    this.roster = new Roster(firstMembers(owners.map(memberOf)));
  }

  /** All entries of the owner so far are final. */
  finalise(owner: Owner, more: Partial<RosterMember> = {}): void {
    const before = this.roster.get(owner.nodeId)!;
    const known = before.succession.length;
    const states = owner.entries.slice(known).map(({ succession, digest }) => {
      const { number, keyEpoch, keys, expiresAt, createdAt: changedAt, nodeId } = succession;
      return { nodeId, number, keyEpoch, digest, keys, expiresAt, changedAt, last: succession };
    });
    this.roster.apply([
      {
        ...before,
        keys: states.at(-1) ?? before.keys,
        history: [...before.history, ...states],
        succession: [...owner.entries],
        ...more,
      },
    ]);
  }
}

/** What the owner shows in hello, with its latest network key. */
export function claimOf(
  owner: Owner,
  more: {
    entries?: readonly SignedSuccession[];
    networkKey?: Uint8Array;
    admission?: Uint8Array;
  } = {},
): HelloClaim {
  const { entries = owner.entries, networkKey = owner.state.keys.networkKey, admission } = more;
  return {
    inception: openInception(owner.node.inception),
    succession: entries.map((entry) => verified(entry)),
    networkKey,
    ...(admission === undefined ? {} : { admission }),
  };
}
