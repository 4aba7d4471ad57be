/** Paths of the knowledge base: UTF-8, parts separated by `/`, no root and no dots. */
import { AegisError } from '../errors.ts';

/** Longest path, in bytes of UTF-8. */
export const PATH_BYTES_MAX = 1024;

const bad = (why: string): AegisError => new AegisError('BAD_REQUEST', `the path ${why}`);

/**
 * Checks a path and returns it unchanged. Control characters other than NUL are allowed, because
 * file names may hold them; who prints a path escapes it.
 * @throws {AegisError} `BAD_REQUEST`.
 */
export function parsePath(text: string): string {
  if (text.length === 0) throw bad('is empty');
  if (!text.isWellFormed()) throw bad('is not valid Unicode');
  if (Buffer.byteLength(text) > PATH_BYTES_MAX) throw bad(`is longer than ${PATH_BYTES_MAX} bytes`);
  if (text.includes('\0')) throw bad('holds a NUL character');
  for (const part of text.split('/')) {
    if (part === '') throw bad('starts or ends with "/", or holds "//"');
    if (part === '.' || part === '..') throw bad(`holds the part "${part}"`);
  }
  return text;
}
