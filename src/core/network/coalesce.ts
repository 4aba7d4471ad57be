/**
 * One system call for one message. Noise hands its transport a list of small pieces (length,
 * ciphertext, tag), and the TCP transport writes each piece of a list by itself.
 */
import type { MessageStream } from '@libp2p/interface';
import { release } from './release.ts';

/**
 * Makes `send` of this one stream join the pieces of a list. For the transport below Noise only:
 * large pieces are then ciphertext that nobody else has, and their memory is given back.
 */
export function coalesceWrites(stream: MessageStream): void {
  const send = stream.send.bind(stream);
  stream.send = (data) => {
    if (data instanceof Uint8Array) return send(data);
    const joined = data.subarray();
    for (const piece of data) if (piece.buffer !== joined.buffer) release(piece);
    return send(joined);
  };
}
