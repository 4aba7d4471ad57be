/**
 * The marker `restored.json` (K2): this home was made from a backup, so somebody else may hold its
 * keys and may have voted with them. It lists the consensus keys that were brought.
 */
import { AegisError, hasCode } from '../errors.ts';
import { damagedAt, readSmallFile } from './disk.ts';
import { restoredPath } from './layout.ts';

const SCHEMA = 'aegis.restored/1';
const FILE_BYTES_MAX = 65_536;

export const renderRestored = (consensusKeys: readonly string[]): string =>
  `${JSON.stringify({ schema: SCHEMA, consensusKeys }, null, 2)}\n`;

/** @throws {AegisError} `KEYSTORE_DAMAGED`: a marker that cannot be read is no leave to vote. */
export async function readRestored(dir: string): Promise<readonly string[] | undefined> {
  const path = restoredPath(dir);
  let text: string;
  try {
    text = Buffer.from((await readSmallFile(path, FILE_BYTES_MAX)).bytes).toString('utf8');
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
  try {
    const { schema, consensusKeys } = JSON.parse(text) as Record<string, unknown>;
    if (schema === SCHEMA && Array.isArray(consensusKeys)) {
      const keys = consensusKeys.filter((key) => typeof key === 'string');
      if (keys.length === consensusKeys.length) return keys;
    }
  } catch {
    // Told below.
  }
  throw await damagedAt(path, new AegisError('KEYSTORE_DAMAGED', 'the marker is damaged'));
}
