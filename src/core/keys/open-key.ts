/** From a key file to its secret. */
import { AegisError, hasCode } from '../errors.ts';
import { damagedAt, readKeyFile } from './disk.ts';
import { unsealKey } from './key-file.ts';
import type { KeyMaterial } from './material.ts';
import type { Unlocker } from './unlocker.ts';

/**
 * The key of one file, decrypted. The caller wipes the secret.
 * @throws {AegisError} `NOT_FOUND`, `WRONG_PASSPHRASE`, `KEYSTORE_DAMAGED`.
 */
export async function openKey(path: string, unlocker: Unlocker): Promise<KeyMaterial> {
  const file = await readKeyFile(path);
  try {
    return await unsealKey(file, unlocker);
  } catch (error) {
    if (hasCode(error, 'KEYSTORE_DAMAGED')) throw await damagedAt(path, error);
    if (!hasCode(error, 'WRONG_PASSPHRASE')) throw error;
    const { message, hint } = error;
    const text = `${message} (${path})`;
    throw new AegisError('WRONG_PASSPHRASE', text, hint === undefined ? {} : { hint });
  }
}
