/**
 * What a content says (W33): the text of a file, or the names in a directory and the text of the
 * files in it. What is no text, or too much of it, says nothing; that is no error.
 */
import type { CID } from 'multiformats/cid';
import { AegisError } from '../../errors.ts';
import { FIND_LIMITS } from '../../kb/find/limits.ts';
import type { Exporter } from '../export.ts';

interface File {
  readonly sizeBytes: number;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** Undefined: it has no words. @throws {AegisError} as `Exporter`. */
export async function textsOf(
  exporter: Pick<Exporter, 'open'>,
  root: CID,
): Promise<string[] | undefined> {
  const content = await exporter.open(root);
  if (content.kind === 'file') {
    const text = await textOf(content, FIND_LIMITS.textBytes);
    return text === undefined ? undefined : [text];
  }
  const texts: string[] = [];
  let names = 0;
  let room: number = FIND_LIMITS.versionBytes;
  for await (const entry of content.entries) {
    if (names === FIND_LIMITS.names) break;
    names += 1;
    texts.push(entry.path);
    const text = entry.kind === 'file' ? await textOf(entry, room) : undefined;
    if (text === undefined) continue;
    texts.push(text);
    room -= entry.sizeBytes;
  }
  return texts;
}

/** UTF-8 without NUL, as for merges (W13). */
async function textOf({ sizeBytes, bytes }: File, room: number): Promise<string | undefined> {
  if (sizeBytes === 0 || sizeBytes > Math.min(room, FIND_LIMITS.textBytes)) return undefined;
  const chunks: Uint8Array[] = [];
  let readBytes = 0;
  for await (const chunk of bytes) {
    chunks.push(chunk);
    readBytes += chunk.length;
    // Objects may hold more than their parents say.
    if (readBytes > sizeBytes) throw new AegisError('BAD_DATA', 'a file is longer than it says');
  }
  const all = Buffer.concat(chunks);
  if (all.includes(0)) return undefined;
  try {
    return utf8.decode(all);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true });
