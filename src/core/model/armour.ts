/** Bytes as text between two marker lines, as PEM (RFC 7468) does it: for files and mails. */
import { AegisError } from '../errors.ts';

export type ArmourLabel = 'BUNDLE' | 'GENESIS' | 'INVITATION';

const begin = (label: ArmourLabel): string => `-----BEGIN AEGIS ${label}-----`;
const end = (label: ArmourLabel): string => `-----END AEGIS ${label}-----`;

export function toArmour(label: ArmourLabel, bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `${[begin(label), ...lines, end(label)].join('\n')}\n`;
}

/**
 * The bytes between the marker lines. White space around and inside does not matter, since mails
 * change it.
 * @throws {AegisError} `TOO_LARGE`, `BAD_ENCODING`.
 */
export function fromArmour(label: ArmourLabel, text: string, maxBytes: number): Uint8Array {
  const what = label.toLowerCase();
  // Base64 takes four characters for three bytes; the rest is for line ends and spaces.
  if (text.length > maxBytes * 2 + 1024) {
    throw new AegisError('TOO_LARGE', `the text is too long to be an aegis ${what}`);
  }
  const trimmed = text.trim();
  if (!trimmed.startsWith(begin(label)) || !trimmed.endsWith(end(label))) {
    throw new AegisError('BAD_ENCODING', `the text is not an aegis ${what}`, {
      hint: `It begins with ${begin(label)} and ends with ${end(label)}.`,
    });
  }
  const body = trimmed.slice(begin(label).length, -end(label).length).replaceAll(/\s+/g, '');
  const bytes = Buffer.from(body, 'base64');
  if (bytes.toString('base64') !== body) {
    throw new AegisError('BAD_ENCODING', `the ${what} is not base64 between its marker lines`);
  }
  if (bytes.length > maxBytes) {
    throw new AegisError('TOO_LARGE', `the ${what} has more than ${maxBytes} bytes`);
  }
  return new Uint8Array(bytes);
}
