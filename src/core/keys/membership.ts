/** Whether the keys of a home are those by which its cluster knows the node. */
import { AegisError } from '../errors.ts';
import type { Member } from '../model/genesis.ts';
import type { Inspection } from './home.ts';
import { keyInForce } from './layout.ts';

/**
 * The inception entry vouches for the identity and the network key, the genesis for the keys of
 * consensus: with others, put here by hand, the node would sign votes that nobody counts. A home
 * that knows fewer entries than the genesis will learn them from the chain (K3).
 * @throws {AegisError} `KEYSTORE_DAMAGED` naming the file.
 */
export function checkMemberKeys(home: Inspection, member: Pick<Member, 'keys'>): void {
  const state = home.states[member.keys.number];
  if (state === undefined) return;
  for (const role of ['consensus', 'vrf'] as const) {
    if (keyInForce(state, role) === keyInForce(member.keys, role)) continue;
    const path = home.keys.find((entry) => entry.role === role)?.path ?? 'this home';
    throw new AegisError(
      'KEYSTORE_DAMAGED',
      `the ${role} key in ${path} is not that of the genesis`,
      {
        hint: 'Put the key file back that was there when the cluster was made.',
      },
    );
  }
}
