/**
 * How one content is sealed on its way in (docs/knowledge-base.md, W42 to W44): under which key,
 * and what its root is then. Who may read it, and what was there before, is for contents.ts to say.
 */
import { randomBytes } from 'node:crypto';
import type { CID } from 'multiformats/cid';
import { CONTENT_KEY_BYTES, type LeafKeys, leafKeysOf } from '../crypto/sealed-leaf.ts';
import { AegisError } from '../errors.ts';
import { type Block, blockOf, RAW } from '../kb/block.ts';
import { ageFileOf } from '../keys/age.ts';
import { encodeSealedRoot, SEALED_CODEC, SEALED_RECIPIENTS_MAX } from '../model/sealed.ts';
import type { Hasher } from '../ports.ts';

export interface Sealing {
  readonly keys: LeafKeys;
  /** The key object. */
  readonly key: Block;
  /** Recipients of age. */
  readonly to: readonly string[];
}

/** W44: under a new key. @throws {AegisError} `TOO_LARGE`, `BAD_REQUEST` for nobody. */
export async function newSealing(to: readonly string[], hasher: Hasher): Promise<Sealing> {
  const recipients = [...new Set(to)].toSorted();
  if (recipients.length === 0)
    throw new AegisError('BAD_REQUEST', 'a content is sealed to somebody');
  if (recipients.length > SEALED_RECIPIENTS_MAX) {
    const max = SEALED_RECIPIENTS_MAX;
    throw new AegisError('TOO_LARGE', `a content can be sealed to ${max} readers at most`);
  }
  const secret = new Uint8Array(randomBytes(CONTENT_KEY_BYTES));
  const keys = leafKeysOf(secret);
  const file = await ageFileOf(secret, recipients);
  secret.fill(0);
  return { keys, key: blockOf(RAW, file, hasher), to: recipients };
}

/** The root above the DAG of a ciphertext. */
export const sealedRootOf = ({ key, to }: Sealing, content: CID, hasher: Hasher): Block =>
  blockOf(SEALED_CODEC, encodeSealedRoot({ key: key.cid, content, to }), hasher);
