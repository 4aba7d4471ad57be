/**
 * Lists a directory for upload, before a byte of it is read: what cannot be stored is refused here
 * and by name. Names are read as bytes, because a file system has names that are not UTF-8.
 */
import { lstatSync, type Stats } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { AegisError, hasCode, toAegisError } from '../../core/errors.ts';

export interface WalkLimits {
  /** @default 1 000 000 */
  readonly entriesMax?: number;
  /** Directories inside each other. @default 64 */
  readonly depthMax?: number;
}

/** A file or an empty directory; the others follow from the paths. */
export interface Found {
  /** Relative to the directory, `/` between parts. */
  readonly path: string;
  /** Where to read it. */
  readonly absolute: string;
  readonly kind: 'file' | 'directory';
  /** 0 for a directory. */
  readonly sizeBytes: number;
}

const ENTRIES_MAX = 1_000_000;
const DEPTH_MAX = 64;
const SLASH = Buffer.from('/');

/** Shows any bytes of a name: what is not printable ASCII as escapes. */
export function quoteName(name: Uint8Array): string {
  const text = [...name].map((byte) =>
    byte >= 32 && byte < 127
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, '0')}`,
  );
  return `"${text.join('')}"`;
}

/**
 * Everything below `root`, in the order of the bytes of the names.
 *
 * Symbolic links are followed as long as they stay inside `root`.
 *
 * @throws {AegisError} `UNSUPPORTED_FILE` for a fifo, a device, a socket, a link that leads out, a
 * loop of links, a name that is not UTF-8; `UNREADABLE`; `TOO_LARGE`.
 */
export async function walk(root: string, limits: WalkLimits = {}): Promise<Found[]> {
  const top = await realpath(root, { encoding: 'buffer' });
  const walker = new Walker(top, limits);
  await walker.directory(top, '', [top]);
  return walker.found;
}

class Walker {
  readonly found: Found[] = [];
  readonly #top: Buffer;
  readonly #entriesMax: number;
  readonly #depthMax: number;

  constructor(top: Buffer, limits: WalkLimits) {
    this.#top = top;
    this.#entriesMax = limits.entriesMax ?? ENTRIES_MAX;
    this.#depthMax = limits.depthMax ?? DEPTH_MAX;
  }

  /** @param trail the real paths of this directory and of those around it. */
  async directory(absolute: Buffer, path: string, trail: readonly Buffer[]): Promise<void> {
    if (trail.length > this.#depthMax) {
      throw new AegisError('TOO_LARGE', `more than ${this.#depthMax} directories deep: ${path}`);
    }
    const names = await readdir(absolute, { encoding: 'buffer' }).catch((error: unknown) => {
      throw unreadable(error, path === '' ? absolute.toString() : path);
    });
    if (names.length === 0 && path !== '') {
      this.#add({ path, absolute: absolute.toString(), kind: 'directory', sizeBytes: 0 });
    }
    for (const name of names.toSorted((a, b) => Buffer.compare(a, b))) {
      const text = decodeName(name, path);
      const inner = path === '' ? text : `${path}/${text}`;
      await this.#entry(Buffer.concat([absolute, SLASH, name]), inner, trail);
    }
  }

  async #entry(absolute: Buffer, path: string, trail: readonly Buffer[]): Promise<void> {
    try {
      const own = lstatSync(absolute);
      const real = own.isSymbolicLink() ? await this.#resolve(absolute, path) : absolute;
      const stats = own.isSymbolicLink() ? await stat(real) : own;
      if (stats.isFile()) {
        this.#add({ path, absolute: real.toString(), kind: 'file', sizeBytes: stats.size });
      } else if (stats.isDirectory()) {
        if (trail.some((each) => each.equals(real))) throw loop(path);
        await this.directory(real, path, [...trail, real]);
      } else {
        throw unsupported(path, stats);
      }
    } catch (error) {
      throw unreadable(error, path);
    }
  }

  async #resolve(link: Buffer, path: string): Promise<Buffer> {
    const real = await realpath(link, { encoding: 'buffer' });
    const inside = Buffer.concat([this.#top, SLASH]);
    if (real.equals(this.#top)) throw loop(path);
    if (real.subarray(0, inside.length).equals(inside)) return real;
    throw new AegisError(
      'UNSUPPORTED_FILE',
      `${quote(path)} is a link that leads out of the directory`,
      {
        hint: 'Put a copy in its place; links are followed inside the directory only.',
      },
    );
  }

  #add(found: Found): void {
    if (this.found.length >= this.#entriesMax) {
      throw new AegisError('TOO_LARGE', `the directory has more than ${this.#entriesMax} files`);
    }
    this.found.push(found);
  }
}

const quote = (path: string): string => quoteName(Buffer.from(path));

function decodeName(name: Buffer, directory: string): string {
  const text = name.toString('utf8');
  if (Buffer.from(text).equals(name)) return text;
  const where = directory === '' ? '' : ` in ${quote(directory)}`;
  throw new AegisError('UNSUPPORTED_FILE', `the name ${quoteName(name)}${where} is not UTF-8`, {
    hint: 'Rename the file; paths of the knowledge base are UTF-8.',
  });
}

const loop = (path: string): AegisError =>
  new AegisError('UNSUPPORTED_FILE', `${quote(path)} is a link that leads in a circle`);

/** Names what is neither a file nor a directory. */
export function unsupported(path: string, stats: Stats): AegisError {
  const kinds: readonly (readonly [string, boolean])[] = [
    ['a fifo', stats.isFIFO()],
    ['a socket', stats.isSocket()],
    ['a device', stats.isBlockDevice() || stats.isCharacterDevice()],
  ];
  const what = kinds.find(([, is]) => is)?.[0] ?? 'neither a file nor a directory';
  return new AegisError('UNSUPPORTED_FILE', `${quote(path)} is ${what}`, {
    hint: 'The knowledge base stores files and directories; give other bytes on standard input: -',
  });
}

/** What it means that the system refused to let `path` be read. */
export function unreadable(error: unknown, path: string): AegisError {
  if (error instanceof AegisError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ELOOP') return loop(path);
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new AegisError('UNREADABLE', `there is no ${quote(path)}`, { cause: error });
  }
  const known = toAegisError(error);
  if (!hasCode(known, 'BUG', 'DENIED')) return known;
  return new AegisError('UNREADABLE', `cannot read ${quote(path)}: ${message}`, { cause: error });
}
