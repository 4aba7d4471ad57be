/**
 * The one codec of what is stored or signed: canonical dag-cbor. A value has exactly one encoding;
 * anything else is refused, so that equal values have equal hashes. This room holds the nouns and
 * their codecs: it keeps no state, reads no files, and decides nothing about trust beyond whether
 * a signature fits.
 */
import * as dagCbor from '@ipld/dag-cbor';
import { AegisError } from '../errors.ts';
import { readCanonical } from './cbor-reader.ts';
import { writeCanonical } from './cbor-writer.ts';

export { CBOR_DEPTH_MAX, fieldBytes } from './cbor-reader.ts';

const bad = (why: string, cause?: unknown): AegisError =>
  new AegisError('BAD_ENCODING', `not canonical dag-cbor: ${why}`, { cause });

export const encode = (value: unknown): Uint8Array =>
  writeCanonical(value) ?? new Uint8Array(dagCbor.encode(value));

/**
 * @param options.maxBytes longest input that is looked at.
 * @throws {AegisError} `TOO_LARGE` beyond `maxBytes`, `BAD_ENCODING` for all that is not canonical.
 */
export function decode(bytes: Uint8Array, options: { readonly maxBytes: number }): unknown {
  if (bytes.length > options.maxBytes) {
    throw new AegisError(
      'TOO_LARGE',
      `the encoded value has ${bytes.length} bytes, more than the ${options.maxBytes} allowed`,
    );
  }
  try {
    return readCanonical(bytes);
  } catch (error) {
    throw bad(error instanceof Error ? error.message : 'malformed', error);
  }
}
