/**
 * Files of age (age-encryption.org/v1) with X25519 recipients: small ones, as key objects are. The
 * library is loaded when the first one is made or opened.
 */
import { identityOf } from '../crypto/reading-key.ts';
import { AegisError } from '../errors.ts';

/** @param recipients `age1...`, at least one. */
export async function ageFileOf(
  plaintext: Uint8Array,
  recipients: readonly string[],
): Promise<Uint8Array> {
  const { Encrypter } = await import('age-encryption');
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  return new Uint8Array(await encrypter.encrypt(plaintext));
}

/**
 * @param secrets X25519 secrets, 32 bytes each.
 * @returns undefined when it is for none of them.
 * @throws {AegisError} `BAD_DATA` for what is no file of age, or is not whole.
 */
export async function openAgeFile(
  file: Uint8Array,
  secrets: readonly Uint8Array[],
): Promise<Uint8Array | undefined> {
  const { Decrypter } = await import('age-encryption');
  const decrypter = new Decrypter();
  for (const secret of secrets) decrypter.addIdentity(identityOf(secret));
  try {
    return new Uint8Array(await decrypter.decrypt(file));
  } catch (error) {
    if (error instanceof Error && /no identity matched/.test(error.message)) return undefined;
    throw new AegisError('BAD_DATA', 'the key object is no file of age', { cause: error });
  }
}
