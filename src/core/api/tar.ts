/**
 * Trees as tar archives (POSIX pax): what `kb put DIR` sends and `kb get DIR` receives. Only files
 * and directories exist here; links, devices and fifos are refused. It knows no file system.
 */
import type { Extract, Header, Pack } from 'tar-stream';
import { AegisError, isAegisError } from '../errors.ts';
import type { TreeEntry } from './backend.ts';

export interface TarLimits {
  /** @default 1 000 000 */
  readonly entriesMax?: number;
}

/** Longest path of an entry, in bytes: as in the knowledge base. */
export const TREE_PATH_BYTES_MAX = 1024;
const ENTRIES_MAX = 1_000_000;
const EPOCH = new Date(0);

const bad = (why: string, cause?: unknown): AegisError =>
  new AegisError('BAD_DATA', `the tar archive is not usable: ${why}`, { cause });

/**
 * Refuses a path that is absolute, leaves its tree, or cannot be a file name. A directory's
 * closing `/` is cut off. @throws {AegisError} `BAD_DATA` naming the path with escapes.
 */
export function checkTreePath(raw: string): string {
  const path = raw.endsWith('/') ? raw.slice(0, -1) : raw;
  const parts = path.split('/');
  const evil = parts.some((part) => part === '' || part === '.' || part === '..');
  if (evil || path.includes('\0') || !path.isWellFormed() || path.includes('\uFFFD')) {
    throw bad(`the name ${JSON.stringify(raw.slice(0, 200))} is refused`);
  }
  if (Buffer.byteLength(path) > TREE_PATH_BYTES_MAX) throw bad('a name is too long');
  return path;
}

/** Packs a tree; the same tree gives the same bytes (no owners, no times). */
export async function* packTar(
  entries: AsyncIterable<TreeEntry>,
): AsyncGenerator<Uint8Array, void> {
  const { pack } = await import('tar-stream');
  const archive = pack({});
  const filling = fill(archive, entries);
  filling.catch((error: Error) => archive.destroy(error));
  try {
    for await (const chunk of archive) yield chunk as Uint8Array;
    await filling;
  } finally {
    archive.destroy(null);
  }
}

async function fill(archive: Pack, entries: AsyncIterable<TreeEntry>): Promise<void> {
  for await (const entry of entries) {
    const directory = entry.kind === 'directory';
    const sink = archive.entry({
      name: directory ? `${entry.path}/` : entry.path,
      type: entry.kind,
      size: entry.sizeBytes,
      mode: directory ? 0o755 : 0o644,
      mtime: EPOCH,
    });
    if (directory) continue;
    let left = entry.sizeBytes;
    for await (const chunk of entry.bytes) {
      left -= chunk.byteLength;
      if (left < 0) break;
      if (!sink.write(chunk)) await drained(sink, archive);
    }
    if (left !== 0) {
      const name = JSON.stringify(entry.path);
      throw new AegisError('UNREADABLE', `${name} changed its size while it was read`);
    }
    sink.end(null);
  }
  archive.finalize();
}

interface Emitter {
  once(event: string, listener: () => void): unknown;
}

function drained(
  sink: Emitter,
  archive: Emitter & { readonly destroyed?: boolean },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const gone = (): void => reject(new AegisError('INTERRUPTED', 'the reader went away'));
    if (archive.destroyed === true) return gone();
    sink.once('drain', resolve);
    archive.once('close', gone);
  });
}

/**
 * Reads a tree from the bytes of a tar. Each entry's bytes must be read, or the iteration ended,
 * before the next entry comes. The archive must end with its two empty blocks: one that was cut
 * between two files is refused.
 *
 * @throws {AegisError} `BAD_DATA`, `UNSUPPORTED_FILE`, `TOO_LARGE`, or what `source` throws.
 */
export async function* unpackTar(
  source: AsyncIterable<Uint8Array>,
  limits: TarLimits = {},
): AsyncGenerator<TreeEntry, void> {
  const { extract } = await import('tar-stream');
  const archive = extract({});
  const tail = new Tail();
  const feeding = feed(archive, source, tail);
  feeding.catch(() => undefined);
  const seen = new Set<string>();
  try {
    for await (const entry of archive) {
      const size = seen.size + 1;
      if (size > (limits.entriesMax ?? ENTRIES_MAX)) {
        throw new AegisError('TOO_LARGE', `the archive has more than ${size - 1} entries`);
      }
      const found = entryOf(entry.header, entry as AsyncIterable<Uint8Array>);
      if (found === undefined) {
        entry.resume();
        continue;
      }
      if (seen.has(found.path)) throw bad(`${JSON.stringify(found.path)} comes twice`);
      seen.add(found.path);
      yield found;
    }
    await feeding;
    if (!tail.ended) throw bad('it is cut short');
  } catch (error) {
    throw isAegisError(error) ? error : bad((error as Error).message, error);
  } finally {
    archive.destroy(null);
  }
}

/** `undefined` for the root directory itself (`./`), which many archivers write first. */
function entryOf(header: Header, bytes: AsyncIterable<Uint8Array>): TreeEntry | undefined {
  const { type, size } = header;
  const name = header.name.startsWith('./') ? header.name.slice(2) : header.name;
  if (type === 'directory' && (name === '' || name === '.')) return undefined;
  const path = checkTreePath(name);
  if (type === 'directory') return { path, kind: 'directory', sizeBytes: 0, bytes: nothing() };
  if (type === 'file' || type === 'contiguous-file') {
    return { path, kind: 'file', sizeBytes: size, bytes };
  }
  throw new AegisError('UNSUPPORTED_FILE', `${JSON.stringify(path)} is a ${type}`, {
    hint: 'The knowledge base stores files and directories only.',
  });
}

async function* nothing(): AsyncGenerator<Uint8Array, void> {}

async function feed(
  archive: Extract,
  source: AsyncIterable<Uint8Array>,
  tail: Tail,
): Promise<void> {
  try {
    for await (const chunk of source) {
      tail.push(chunk);
      if (!archive.write(chunk)) await drained(archive, archive);
    }
    archive.end(null);
  } catch (error) {
    archive.destroy(error as Error);
    throw error;
  }
}

/** Whether the last 1024 bytes are zero, as POSIX wants the end of an archive. */
class Tail {
  #zeros = 0;

  get ended(): boolean {
    return this.#zeros >= 1024;
  }

  push(chunk: Uint8Array): void {
    let at = chunk.byteLength;
    const stop = Math.max(0, at - 1024);
    while (at > stop && chunk[at - 1] === 0) at -= 1;
    const zeros = chunk.byteLength - at;
    this.#zeros = zeros === chunk.byteLength ? this.#zeros + zeros : zeros;
  }
}
