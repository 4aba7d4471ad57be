/** Bytes as text, and whether two are the same. Not in constant time: for what is public. */

/** In lower case. */
export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
