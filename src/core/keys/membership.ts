/** Whether the keys of a home are those by which its cluster knows the node. */
import { AegisError } from '../errors.ts';
import type { Member } from '../model/genesis.ts';
import type { KeyEntry } from './home.ts';
import { hex } from './material.ts';

/**
 * The inception entry vouches for the identity and the network key, the genesis for the keys of
 * consensus: with others, put here by hand, the node would sign votes that nobody counts.
 * @throws {AegisError} `KEYSTORE_DAMAGED` naming the file.
 */
export function checkMemberKeys(keys: readonly KeyEntry[], member: Member): void {
  const expected = { consensus: member.consensusKey, vrf: member.vrfKey };
  for (const { role, path, file } of keys) {
    if (role !== 'consensus' && role !== 'vrf') continue;
    if (file.public.key === hex(expected[role])) continue;
    throw new AegisError(
      'KEYSTORE_DAMAGED',
      `the ${role} key in ${path} is not that of the genesis`,
      {
        hint: 'Put the key file back that was there when the cluster was made.',
      },
    );
  }
}
