/**
 * Takes in the files of a tar one by one where each is sealed under a key of its own (W44): one
 * that is shredded must not take others along. Small ones are sealed and stored side by side.
 */
import type { TreeEntry } from '../api/backend.ts';
import { MIB } from '../units.ts';
import type { Imported, ImportedFile } from './import.ts';

/** Files that are read before they are stored; larger ones are stored as they come. */
const SMALL_BYTES = MIB;
const BATCH_BYTES = 8 * MIB;

/** @param take stores one; durable when it resolves. */
export async function* importEach(
  source: AsyncIterable<TreeEntry>,
  batchLength: number,
  take: (path: string, bytes: AsyncIterable<Uint8Array>) => Promise<Imported>,
): AsyncGenerator<readonly ImportedFile[]> {
  let batch: Promise<ImportedFile>[] = [];
  let sizeBytes = 0;
  for await (const { path, kind, bytes, sizeBytes: size } of source) {
    if (kind === 'directory') continue;
    const content = size > SMALL_BYTES ? bytes : once(await collect(bytes));
    const taken = take(path, content).then((imported) => ({ ...imported, path }));
    // One that fails ends all of it, when its batch is waited for.
    taken.catch(() => {});
    batch.push(taken);
    if (size > SMALL_BYTES) await taken;
    sizeBytes += Math.min(size, SMALL_BYTES);
    if (batch.length < batchLength && sizeBytes < BATCH_BYTES) continue;
    yield await Promise.all(batch);
    batch = [];
    sizeBytes = 0;
  }
  if (batch.length > 0) yield await Promise.all(batch);
}

async function collect(bytes: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
