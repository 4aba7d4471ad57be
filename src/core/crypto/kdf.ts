/** Keys from passphrases: Argon2id (RFC 9106). The caller chooses the salt; limits stand here. */
import { argon2Sync } from 'node:crypto';
import { AegisError } from '../errors.ts';

export interface KdfCost {
  readonly memoryKib: number;
  readonly passes: number;
  readonly lanes: number;
}

/**
 * RFC 9106, section 4, second recommended option but for the lanes: one lane, because nodes share
 * small machines. About 0.16 s here.
 */
export const KDF_COST_DEFAULT: KdfCost = { memoryKib: 65_536, passes: 3, lanes: 1 };

/** A hostile file may ask for this much, and no more. */
export const KDF_COST_MAX: KdfCost = { memoryKib: 262_144, passes: 16, lanes: 4 };

export const KDF_SALT_BYTES = 16;

const within = (value: number, min: number, max: number): boolean =>
  Number.isSafeInteger(value) && value >= min && value <= max;

/** @throws {AegisError} `BAD_DATA` beyond the limits. */
export function checkKdfCost({ memoryKib, passes, lanes }: KdfCost): void {
  if (
    !within(lanes, 1, KDF_COST_MAX.lanes) ||
    !within(passes, 1, KDF_COST_MAX.passes) ||
    !within(memoryKib, 8 * lanes, KDF_COST_MAX.memoryKib)
  ) {
    throw new AegisError('BAD_DATA', 'the cost of the key derivation is outside the limits');
  }
}

/**
 * A key of 32 bytes. Text is normalised (NFC), so that a passphrase typed on another system fits.
 * Blocks the thread for the time of the derivation.
 */
export function argon2id(passphrase: string, salt: Uint8Array, cost: KdfCost): Uint8Array {
  checkKdfCost(cost);
  const message = Buffer.from(passphrase.normalize('NFC'), 'utf8');
  const { memoryKib: memory, passes, lanes: parallelism } = cost;
  const options = { message, nonce: salt, parallelism, tagLength: 32, memory, passes };
  const key = new Uint8Array(argon2Sync('argon2id', options));
  message.fill(0);
  return key;
}
