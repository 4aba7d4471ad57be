/** How many versions this node has signed, from its home without a daemon (docs/keys.md, A3). */
import type { HomePaths } from '../core/config/home.ts';
import { AegisError, hasCode } from '../core/errors.ts';
import type { Inspection } from '../core/keys/home.ts';
import { openVersion } from '../core/model/version.ts';
import { readChainRoom } from '../core/storage/chain-readonly.ts';

/**
 * @throws {AegisError} `TRY_AGAIN` for a home that may have lost versions which others hold: the
 * daemon counts when it has them back.
 */
export function countOwnVersions(paths: HomePaths, home: Inspection): number {
  if (home.restored !== undefined) {
    throw new AegisError('TRY_AGAIN', 'a restored home does not know what the node has signed', {
      hint: 'Start the node and repeat it. If it lacks a network key: aegis keys rotate --network',
    });
  }
  const { nodeId, states } = home;
  const keyOf = (author: string, keyEpoch: number): Uint8Array | undefined =>
    author === nodeId
      ? states.find((state) => state.keyEpoch === keyEpoch)?.keys.identityKey
      : undefined;
  let count = 0;
  for (const bytes of readIfPresent(paths.chainDb)) {
    try {
      count = Math.max(count, openVersion(bytes, keyOf).version.sequence);
    } catch (error) {
      // Those of others.
      if (!hasCode(error, 'DENIED')) throw error;
    }
  }
  return count;
}

function readIfPresent(path: string): readonly Uint8Array[] {
  try {
    return readChainRoom(path, 'versions');
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return [];
    throw error;
  }
}
