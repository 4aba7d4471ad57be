/**
 * What the thread that asks and the thread with the socket share: machines step synchronously, so
 * the one waits (Atomics.wait) while the other sends, receives and wakes it.
 */
import { SIGNER_FRAME_BYTES_MAX } from './signer-frames.ts';

/** Places in the shared 32-bit words. */
export const WORD = {
  /** 1 while the signer answers. */
  up: 0,
  /** What became of the request that is waited for: see `STATE`. */
  state: 1,
  /** Length of the answer. */
  length: 2,
} as const;

export const STATE = { waiting: 0, answered: 1, failed: 2 } as const;

const WORDS_BYTES = 16;

export interface SharedMemory {
  readonly words: Int32Array;
  /** The body of the answer. */
  readonly body: Uint8Array;
}

export const newSharedMemory = (): SharedArrayBuffer =>
  new SharedArrayBuffer(WORDS_BYTES + SIGNER_FRAME_BYTES_MAX);

export const sharedMemory = (buffer: SharedArrayBuffer): SharedMemory => ({
  words: new Int32Array(buffer, 0, WORDS_BYTES / 4),
  body: new Uint8Array(buffer, WORDS_BYTES),
});

export interface LinkStart {
  readonly buffer: SharedArrayBuffer;
  readonly socket: string;
  readonly deadlineMs: number;
}

/** To the thread with the socket: a request, waited for or not, or that one was given up. */
export type ToLink =
  | { readonly type: 'tell'; readonly frame: Uint8Array }
  | { readonly type: 'ask'; readonly id: number; readonly frame: Uint8Array }
  | { readonly type: 'reset' };

/** From it: what the signer holds, when it is reached and when that changes; or that it is gone. */
export type FromLink =
  | { readonly type: 'up'; readonly description: Uint8Array }
  | { readonly type: 'down'; readonly reason: string };
