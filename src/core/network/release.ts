/**
 * Gives memory back before the garbage collector would. It sees small objects only and lets tens of
 * megabytes gather behind them; then it marks the whole heap, several times a second while a large
 * transfer runs, which cost more than the ciphers did.
 */
import { KIB } from '../units.ts';

/** Smaller arrays may share their memory with others (Node's pool), and are not worth a call. */
const RELEASE_BYTES_MIN = 8 * KIB;

/** The array, and every other view of its memory, is empty afterwards. Does nothing to views. */
export function release(array: Uint8Array): void {
  const { buffer, byteLength } = array;
  if (byteLength < RELEASE_BYTES_MIN || byteLength !== buffer.byteLength) return;
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}
