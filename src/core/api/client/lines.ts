/** Splits a stream of bytes into lines of UTF-8, with a limit on the length of each. */
import { AegisError } from '../../errors.ts';

/** Yields lines without their newline; an unfinished last line is dropped: it was cut. */
export async function* splitLines(
  source: AsyncIterable<Uint8Array>,
  lineBytesMax: number,
): AsyncGenerator<string, void> {
  let parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of source) {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      parts.push(chunk.subarray(start, end));
      if (size + end - start > lineBytesMax) throw tooLong(lineBytesMax);
      const line = Buffer.concat(parts).toString('utf8');
      parts = [];
      size = 0;
      start = end + 1;
      if (line !== '') yield line;
    }
    parts.push(chunk.subarray(start));
    size += chunk.byteLength - start;
    if (size > lineBytesMax) throw tooLong(lineBytesMax);
  }
}

const tooLong = (limit: number): AegisError =>
  new AegisError('TOO_LARGE', `a line of the stream is longer than ${limit} bytes`);
