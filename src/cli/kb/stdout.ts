/** Content on standard output: with back-pressure, and never raw onto a terminal unasked. */
import type { TextDecoder as Decoder } from 'node:util';
import { AegisError } from '../../core/errors.ts';

/** Anything but printable text, tabs and line ends could reprogram the reader's terminal. */
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/;

/**
 * Writes `bytes` to standard output until they end.
 *
 * @param options.guard refuses what is not text: standard output is a terminal.
 * @throws {AegisError} the signal's reason when the reader has gone.
 */
export async function writeStdout(
  bytes: AsyncIterable<Uint8Array>,
  options: { guard: boolean; signal: AbortSignal },
): Promise<void> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  for await (const chunk of bytes) {
    if (options.guard) checkText(decoder, chunk);
    options.signal.throwIfAborted();
    if (!process.stdout.write(chunk)) await roomOn(process.stdout, options.signal);
  }
}

function checkText(decoder: Decoder, chunk: Uint8Array): void {
  let text: string;
  try {
    text = decoder.decode(chunk, { stream: true });
  } catch {
    text = '\0';
  }
  if (!CONTROL.test(text)) return;
  throw new AegisError('USAGE', 'this is not plain text and standard output is a terminal', {
    hint: 'Write it to a file with -o FILE, or print it all the same with -o -.',
  });
}

function roomOn(stream: NodeJS.WriteStream, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      stream.off('drain', settle);
      signal.removeEventListener('abort', settle);
      if (signal.aborted) reject(signal.reason as Error);
      else resolve();
    };
    stream.on('drain', settle);
    signal.addEventListener('abort', settle);
    if (signal.aborted) settle();
  });
}
