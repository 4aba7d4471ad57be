/**
 * One system call for one message. Noise hands its transport a list of small pieces (length,
 * ciphertext, tag), and the TCP transport writes each piece of a list by itself.
 */
import type { MessageStream } from '@libp2p/interface';

/** Makes `send` of this one stream join the pieces of a list. */
export function coalesceWrites(stream: MessageStream): void {
  const send = stream.send.bind(stream);
  stream.send = (data) => send(data instanceof Uint8Array ? data : data.subarray());
}
