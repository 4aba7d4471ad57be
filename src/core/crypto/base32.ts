/** Base32 of RFC 4648, lower case, without padding: what node ids and onion addresses use. */
import { AegisError } from '../errors.ts';

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';

export function base32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[(value >>> bits) & 31];
    }
    value &= (1 << bits) - 1;
  }
  return bits > 0 ? text + ALPHABET[(value << (5 - bits)) & 31] : text;
}

/**
 * The bytes of a base32 text. Every byte string has exactly one text.
 * @throws {AegisError} `BAD_ENCODING` for other characters, lengths or left-over bits.
 */
export function fromBase32(text: string): Uint8Array {
  const bytes = new Uint8Array(Math.floor((text.length * 5) / 8));
  let at = 0;
  let bits = 0;
  let value = 0;
  for (const character of text) {
    const digit = ALPHABET.indexOf(character);
    if (digit < 0) throw new AegisError('BAD_ENCODING', 'the text is not base32');
    value = (value << 5) | digit;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = value >>> bits;
      value &= (1 << bits) - 1;
    }
  }
  if (bits >= 5 || value !== 0) {
    throw new AegisError('BAD_ENCODING', 'the base32 text has left-over bits');
  }
  return bytes;
}
