/**
 * The one codec of what is stored or signed: canonical dag-cbor. A value has exactly one encoding;
 * anything else is refused, so that equal values have equal hashes. This room holds the nouns and
 * their codecs: it keeps no state, reads no files, and decides nothing about trust beyond whether
 * a signature fits.
 */
import * as dagCbor from '@ipld/dag-cbor';
import { AegisError } from '../errors.ts';

/** Nesting beyond this is refused before it can exhaust the stack. */
export const CBOR_DEPTH_MAX = 32;

const bad = (why: string, cause?: unknown): AegisError =>
  new AegisError('BAD_ENCODING', `not canonical dag-cbor: ${why}`, { cause });

export const encode = (value: unknown): Uint8Array => new Uint8Array(dagCbor.encode(value));

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
  checkShape(bytes);
  let value: unknown;
  let again: Uint8Array;
  try {
    value = dagCbor.decode(bytes);
    again = dagCbor.encode(value);
  } catch (error) {
    throw bad(error instanceof Error ? error.message : 'malformed', error);
  }
  if (Buffer.compare(bytes, again) !== 0) throw bad('another encoding of the same value exists');
  return value;
}

/**
 * What `encode` has made here before, without looking for another encoding: a quarter of the time.
 * Never for bytes that somebody else could have chosen.
 */
export const decodeOwn = (bytes: Uint8Array): unknown => dagCbor.decode(bytes);

/**
 * Walks the items without building anything: depth and lengths are known to be sound before the
 * decoder, which recurses, sees the bytes.
 */
function checkShape(bytes: Uint8Array): void {
  const open: number[] = [];
  let at = 0;
  let left = 1;
  for (;;) {
    while (left === 0) {
      const outer = open.pop();
      if (outer === undefined) {
        if (at !== bytes.length) throw bad('bytes follow the value');
        return;
      }
      left = outer;
    }
    left -= 1;
    const head = readHead(bytes, at);
    at = head.end;
    if (head.major === 2 || head.major === 3) {
      at += head.value;
      if (at > bytes.length) throw bad('the value is cut short');
    } else if (head.major >= 4 && head.major <= 6) {
      const items = head.major === 6 ? 1 : head.major === 5 ? head.value * 2 : head.value;
      if (items > bytes.length - at) throw bad('the value is cut short');
      open.push(left);
      if (open.length > CBOR_DEPTH_MAX) throw bad(`nested deeper than ${CBOR_DEPTH_MAX}`);
      left = items;
    }
  }
}

/** Type and argument of the item at `at` (RFC 8949, section 3). */
function readHead(bytes: Uint8Array, at: number): { major: number; value: number; end: number } {
  const first = bytes[at];
  if (first === undefined) throw bad('the value is cut short');
  const major = first >> 5;
  const info = first & 31;
  if (info < 24) return { major, value: info, end: at + 1 };
  if (info > 27) throw bad('indefinite or reserved length');
  const size = 1 << (info - 24);
  const end = at + 1 + size;
  if (end > bytes.length) throw bad('the value is cut short');
  let value = 0;
  for (let i = at + 1; i < end; i += 1) value = value * 256 + bytes[i]!;
  return { major, value, end };
}
