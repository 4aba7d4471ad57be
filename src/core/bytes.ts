/** Bytes as text, and whether two are the same. Not in constant time: for what is public. */

/** Of an even number of hexadecimal digits, which the caller has checked. */
export const bytesOfHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));

/** In lower case. */
export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
