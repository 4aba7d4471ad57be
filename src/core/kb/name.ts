/** Names of entries in directories. */
import { LIMITS } from './limits.ts';

/** What is wrong with a name, as the end of a sentence; undefined when nothing is. */
export function nameProblem(name: string): string | undefined {
  if (name === '') return 'is empty';
  if (name === '.' || name === '..') return `is "${name}"`;
  if (name.includes('/')) return 'has a slash';
  if (name.includes('\0')) return 'has a NUL';
  // The decoder puts U+FFFD where bytes were not UTF-8; lone surrogates cannot be encoded.
  if (name.includes('\ufffd') || !name.isWellFormed()) return 'is not UTF-8';
  if (Buffer.byteLength(name) > LIMITS.nameBytes) return `is longer than ${LIMITS.nameBytes} bytes`;
  return undefined;
}
