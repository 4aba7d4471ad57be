/**
 * A log file that is rotated by size and bounded in number: `node.log`, `node.log.1` (newer) to
 * `node.log.N` (older). Writes are batched and asynchronous, so a slow disk never holds up the
 * event loop. One process writes a file at a time; the lock of the home sees to that.
 *
 * Every write names its position, so the synchronous flush of a dying process may write again what
 * an asynchronous write has on its way: the same bytes land in the same place.
 */
import fs from 'node:fs';
import { MIB } from '../units.ts';

export interface RotatingFileOptions {
  readonly path: string;
  /** A file is rotated before it would grow beyond this. @default 10 MiB */
  readonly maxSizeBytes?: number;
  /** Rotated files that are kept beside the current one. @default 5 */
  readonly files?: number;
  /** Lines that wait for a slow or full disk; more are dropped and counted. @default 4 MiB */
  readonly pendingBytesMax?: number;
}

const MODE = 0o600;

export class RotatingFile {
  readonly #path: string;
  readonly #maxSizeBytes: number;
  readonly #files: number;
  readonly #pendingBytesMax: number;
  #fd: number;
  /** Bytes that are safely in the current file: where the next write goes. */
  #position: number;
  /** On its way to the disk. */
  #writing: Buffer | undefined;
  #pending: string[] = [];
  #pendingBytes = 0;
  #dropped = 0;
  #running: Promise<void> | undefined;
  #closed = false;

  /** @throws the error of the system when the file cannot be opened. */
  constructor(options: RotatingFileOptions) {
    this.#path = options.path;
    this.#maxSizeBytes = options.maxSizeBytes ?? 10 * MIB;
    this.#files = options.files ?? 5;
    this.#pendingBytesMax = options.pendingBytesMax ?? 4 * MIB;
    this.#fd = open(this.#path);
    this.#position = fs.fstatSync(this.#fd).size;
  }

  /** Lines that were lost because the disk did not take them. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Takes a line with its newline. Never throws, never waits. */
  write(line: string): void {
    const size = Buffer.byteLength(line);
    if (this.#closed || this.#pendingBytes + size > this.#pendingBytesMax) {
      this.#dropped += 1;
      return;
    }
    this.#pending.push(line);
    this.#pendingBytes += size;
    this.#running ??= this.#run();
  }

  /** Resolves when all that was written before has been handed to the system. */
  async flush(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** For a process that is about to die. Never throws. */
  flushSync(): void {
    if (this.#closed) return;
    const lines = Buffer.concat([this.#writing ?? Buffer.alloc(0), ...this.#takePending()]);
    try {
      // Rotation is left out: the last words matter more than the size of the file.
      fs.writeSync(this.#fd, lines, 0, lines.length, this.#position);
      this.#position += lines.length;
      this.#writing = undefined;
    } catch {
      this.#dropped += 1;
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    await this.flush();
    this.#closed = true;
    fs.closeSync(this.#fd);
  }

  async #run(): Promise<void> {
    // One turn of the loop later: lines of one burst become one write.
    await new Promise(setImmediate);
    while (this.#pending.length > 0) await this.#writeBatch();
    this.#running = undefined;
  }

  async #writeBatch(): Promise<void> {
    const batch = this.#takeBatch();
    try {
      const full = this.#position + batch.length > this.#maxSizeBytes && this.#position > 0;
      if (full) this.#rotate();
      this.#writing = batch;
      for (let done = 0; done < batch.length; ) {
        done += await writeAt(this.#fd, batch, done, this.#position + done);
        // A synchronous flush has taken over and written the rest.
        if (this.#writing !== batch) return;
      }
      this.#position += batch.length;
    } catch {
      // The disk is full or gone. A node must not stop because it cannot log; it counts instead.
      this.#dropped += countLines(batch);
    } finally {
      if (this.#writing === batch) this.#writing = undefined;
    }
  }

  /** Whole lines, as many as fit into the current file, at least one. */
  #takeBatch(): Buffer {
    const room = Math.max(0, this.#maxSizeBytes - this.#position);
    const lines: string[] = [];
    let size = 0;
    for (const line of this.#pending) {
      const bytes = Buffer.byteLength(line);
      if (lines.length > 0 && size + bytes > room) break;
      lines.push(line);
      size += bytes;
    }
    this.#pending.splice(0, lines.length);
    this.#pendingBytes -= size;
    return Buffer.from(lines.join(''));
  }

  #takePending(): Buffer[] {
    const lines = Buffer.from(this.#pending.join(''));
    this.#pending = [];
    this.#pendingBytes = 0;
    return [lines];
  }

  /** Renames are quick and rare; done in one go, no other write can come between them. */
  #rotate(): void {
    const name = (index: number): string => (index === 0 ? this.#path : `${this.#path}.${index}`);
    for (let index = this.#files; index > 0; index -= 1) {
      if (fs.existsSync(name(index - 1))) fs.renameSync(name(index - 1), name(index));
    }
    if (this.#files === 0) fs.truncateSync(this.#path, 0);
    const next = open(this.#path);
    fs.closeSync(this.#fd);
    this.#fd = next;
    this.#position = 0;
  }
}

function open(path: string): number {
  const { O_WRONLY, O_CREAT, O_NOFOLLOW } = fs.constants;
  return fs.openSync(path, O_WRONLY | O_CREAT | O_NOFOLLOW, MODE);
}

function writeAt(fd: number, bytes: Buffer, offset: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.write(fd, bytes, offset, bytes.length - offset, position, (error, written) => {
      if (error === null) resolve(written);
      else reject(error);
    });
  });
}

function countLines(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, at + 1)) lines += 1;
  return lines;
}
