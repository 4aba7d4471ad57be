/**
 * W28: whether content may still be taken in. The quota is for what is put here and fetched for
 * others; the reserve of the disk is for everything, so that the chain can go on to write. Chain
 * and facts are in another file, and nothing here refuses them.
 */
import { lstatSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { AegisError } from '../errors.ts';
import { MIB } from '../units.ts';
import { integer } from './database.ts';
import type { ContentLimits, ContentSpace } from './protocol.ts';

/** After so many bytes, or so long, the disk is asked again. */
const ASK_BYTES = 8 * MIB;
const ASK_MS = 250;

export class ContentRoom {
  readonly #db: DatabaseSync;
  readonly #path: string;
  readonly #pageBytes: number;
  readonly #pages;
  readonly #freePages;
  #limits: ContentLimits | undefined;
  #diskFreeBytes = 0;
  #askedAt = Number.NEGATIVE_INFINITY;
  #sinceBytes = 0;

  constructor(db: DatabaseSync, path: string) {
    this.#db = db;
    this.#path = path;
    this.#pageBytes = integer(db, 'page_size');
    this.#pages = db.prepare('PRAGMA page_count');
    this.#freePages = db.prepare('PRAGMA freelist_count');
  }

  limit(limits: ContentLimits): void {
    this.#limits = limits;
  }

  /** @throws {AegisError} `QUOTA`, `DISK_FULL`. */
  check(sizeBytes: number, isBound: boolean): void {
    if (this.#limits === undefined) return;
    const { quotaBytes, reserveBytes } = this.#limits;
    if (isBound && this.#usedBytes() + sizeBytes > quotaBytes) {
      throw new AegisError('QUOTA', `the content of this node has reached ${quotaBytes} bytes`, {
        details: { quotaBytes },
      });
    }
    if (this.#diskFree(sizeBytes) >= reserveBytes) return;
    const kept = `${reserveBytes} bytes that are kept for the chain`;
    throw new AegisError('DISK_FULL', `the disk is full but for the ${kept}`, {
      hint: 'Free some space, or see: aegis kb gc, kb.reserve',
      details: { reserveBytes },
    });
  }

  /** As of now. */
  space(): ContentSpace {
    const sizes = [this.#path, `${this.#path}-wal`].map(
      (path) => lstatSync(path, { throwIfNoEntry: false })?.size ?? 0,
    );
    const { blocks, bavail, bsize } = statfsSync(dirname(this.#path));
    return {
      bytes: sizes.reduce((sum, size) => sum + size, 0),
      freeBytes: numberIn(this.#freePages.get()) * this.#pageBytes,
      usedBytes: this.#usedBytes(),
      diskBytes: blocks * bsize,
      diskFreeBytes: bavail * bsize,
    };
  }

  /** Free pages of the file. */
  get freePages(): number {
    return this.#db.isOpen ? numberIn(this.#freePages.get()) : 0;
  }

  #usedBytes(): number {
    const pages = numberIn(this.#pages.get()) - numberIn(this.#freePages.get());
    return pages * this.#pageBytes;
  }

  /** What will be free when so much is written. */
  #diskFree(sizeBytes: number): number {
    const now = performance.now();
    if (now - this.#askedAt > ASK_MS || this.#sinceBytes > ASK_BYTES) {
      const { bavail, bsize } = statfsSync(dirname(this.#path));
      this.#diskFreeBytes = bavail * bsize;
      this.#askedAt = now;
      this.#sinceBytes = 0;
    }
    this.#sinceBytes += sizeBytes;
    return this.#diskFreeBytes - this.#sinceBytes;
  }
}

const numberIn = (row: Record<string, unknown> | undefined): number =>
  Number(Object.values(row ?? {})[0]);
