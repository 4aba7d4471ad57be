/**
 * Trees as tar archives (POSIX pax): what `kb put DIR` sends and `kb get DIR` receives. Only files
 * and directories exist here; links, devices and fifos are refused. It knows no file system.
 */
import type { Pack } from 'tar-stream';
import { AegisError } from '../errors.ts';
import type { TreeEntry } from './backend.ts';
import { readTar } from './tar-reader.ts';

export interface TarLimits {
  /** @default 1 000 000 */
  readonly entriesMax?: number;
}

/** Longest path of an entry, in bytes: as in the knowledge base. */
const TREE_PATH_BYTES_MAX = 1024;
const ENTRIES_MAX = 1_000_000;
const EPOCH = new Date(0);

const bad = (why: string): AegisError =>
  new AegisError('BAD_DATA', `the tar archive is not usable: ${why}`);

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
  const archive = quiet(pack({}));
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
    const sink = quiet(
      archive.entry({
        name: directory ? `${entry.path}/` : entry.path,
        type: entry.kind,
        size: entry.sizeBytes,
        mode: directory ? 0o755 : 0o644,
        mtime: EPOCH,
      }),
    );
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
  on(event: string, listener: () => void): unknown;
  once(event: string, listener: () => void): unknown;
}

/** Errors reach us through the iteration; an event that nobody hears would end the process. */
function quiet<T extends Emitter>(stream: T): T {
  stream.on('error', () => undefined);
  return stream;
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
 * Reads a tree from the bytes of a tar. The archive must end with its two empty blocks: one that
 * was cut between two files is refused.
 *
 * @throws {AegisError} `BAD_DATA`, `UNSUPPORTED_FILE`, `TOO_LARGE`, or what `source` throws.
 */
export async function* unpackTar(
  source: AsyncIterable<Uint8Array>,
  limits: TarLimits = {},
): AsyncGenerator<TreeEntry, void> {
  const entriesMax = limits.entriesMax ?? ENTRIES_MAX;
  const seen = new Set<string>();
  for await (const item of readTar(source)) {
    const name = item.name.startsWith('./') ? item.name.slice(2) : item.name;
    // Many archivers begin with the directory itself.
    if (item.kind === 'directory' && (name === '' || name === '.')) continue;
    const path = checkTreePath(name);
    if (item.kind === 'other') throw unsupported(path, item.flag);
    if (seen.has(path)) throw bad(`${JSON.stringify(path)} comes twice`);
    seen.add(path);
    if (seen.size > entriesMax) {
      throw new AegisError('TOO_LARGE', `the archive has more than ${entriesMax} entries`);
    }
    const sizeBytes = item.kind === 'file' ? item.sizeBytes : 0;
    yield { path, kind: item.kind, sizeBytes, bytes: item.bytes };
  }
}

/** Type flags of POSIX ustar. */
const KINDS: Readonly<Record<string, string>> = {
  1: 'a hard link',
  2: 'a symbolic link',
  3: 'a device',
  4: 'a device',
  6: 'a fifo',
};

const unsupported = (path: string, flag: string): AegisError =>
  new AegisError('UNSUPPORTED_FILE', `${JSON.stringify(path)} is ${KINDS[flag] ?? 'no file'}`, {
    hint: 'The knowledge base stores files and directories only.',
  });
