/** How many versions this node has signed, from its home without a daemon (docs/keys.md, A3). */
import type { HomePaths } from '../core/config/home.ts';
import { AegisError, hasCode } from '../core/errors.ts';
import { sequenceIn } from '../core/kb/author-log.ts';
import { TABLES } from '../core/kb/store.ts';
import type { Inspection } from '../core/keys/home.ts';
import { readChainValue } from '../core/storage/chain-readonly.ts';

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
  const { nodeId } = home;
  try {
    const row = readChainValue(paths.chainDb, TABLES.authors, nodeId);
    return row === undefined ? 0 : sequenceIn(nodeId, row);
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return 0;
    throw error;
  }
}
