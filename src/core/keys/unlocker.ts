/**
 * A passphrase in use. The key derivation is slow on purpose; files that share salt and cost (those
 * of one keystore do) pay for it once. `forget` drops the passphrase and keeps what was derived;
 * `close` wipes that, too.
 */
import { argon2id, KDF_COST_DEFAULT, KDF_SALT_BYTES, type KdfCost } from '../crypto/kdf.ts';
import { AegisError } from '../errors.ts';
import type { Random } from '../ports.ts';
import type { KeyFile } from './key-file.ts';
import { fromHex } from './material.ts';

export interface Kdf extends KdfCost {
  readonly salt: Uint8Array;
}

export const PASSPHRASE_BYTES_MAX = 1024;

/** @throws {AegisError} `BAD_REQUEST` for an empty or endless passphrase. */
export function checkPassphrase(passphrase: string): string {
  const sizeBytes = Buffer.byteLength(passphrase);
  if (sizeBytes === 0) {
    throw new AegisError('BAD_REQUEST', 'the passphrase is empty');
  }
  if (sizeBytes > PASSPHRASE_BYTES_MAX) {
    throw new AegisError(
      'BAD_REQUEST',
      `the passphrase is longer than ${PASSPHRASE_BYTES_MAX} bytes`,
    );
  }
  return passphrase;
}

/** A fresh salt with a cost; files written together may share it. */
export const newKdf = (random: Random, cost: KdfCost = KDF_COST_DEFAULT): Kdf => ({
  ...cost,
  salt: random.bytes(KDF_SALT_BYTES),
});

/** That of a key file, for another one under the same passphrase. */
export const kdfOf = ({ kdf: { memoryKib, passes, lanes, salt } }: KeyFile): Kdf => ({
  memoryKib,
  passes,
  lanes,
  salt: fromHex(salt),
});

export class Unlocker implements Disposable {
  #passphrase: string | undefined;
  readonly #keys = new Map<string, Uint8Array>();

  constructor(passphrase: string) {
    this.#passphrase = checkPassphrase(passphrase);
  }

  /** The key (32 bytes) for one salt and cost. Stays the property of the unlocker. */
  keyFor(kdf: Kdf): Uint8Array {
    const { memoryKib, passes, lanes, salt } = kdf;
    const id = `${memoryKib}/${passes}/${lanes}/${Buffer.from(salt).toString('hex')}`;
    const known = this.#keys.get(id);
    if (known !== undefined) return known;
    if (this.#passphrase === undefined) {
      if (this.#keys.size === 0) {
        throw new AegisError('PASSPHRASE_REQUIRED', 'the keystore is closed');
      }
      throw new AegisError('WRONG_PASSPHRASE', 'a key file is under another passphrase by now', {
        hint: 'The passphrase was changed while the node ran: aegis node restart',
      });
    }
    const key = argon2id(this.#passphrase, salt, kdf);
    this.#keys.set(id, key);
    return key;
  }

  /** Keeps the derived keys only: for files of the same salt and cost, and no others. */
  forget(): void {
    this.#passphrase = undefined;
  }

  close(): void {
    this.forget();
    for (const key of this.#keys.values()) key.fill(0);
    this.#keys.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
