/**
 * Many writes, one sync. Writes that arrive together share a transaction and are acknowledged
 * together, after it is durable. If one of them meets a full disk, none of the group is written
 * and each is told. Knows no tables; runs in a storage worker.
 */
import type { DatabaseSync } from 'node:sqlite';
import { MIB } from '../units.ts';
import { checkpoint } from './database.ts';
import { kindOf } from './sqlite-errors.ts';

export interface GroupCommitOptions {
  /** A group of this size is committed without waiting for more. @default 16 MiB */
  readonly bytesMax?: number;
  /** So is a group that has been open for so long. @default 50 */
  readonly waitMsMax?: number;
  /** Committed bytes after which the log moves into the database. @default 16 MiB */
  readonly checkpointBytes?: number;
}

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class GroupCommit {
  readonly #options: Required<GroupCommitOptions>;
  readonly #db: DatabaseSync;
  readonly #fatal: (error: unknown) => void;
  #waiting: Waiting[] = [];
  #groupBytes = 0;
  #openedAt = 0;
  #scheduled = false;
  #logBytes = 0;

  /** @param dependencies.fatal hears of failed checkpoints and rollbacks: nobody waits for them. */
  constructor(
    options: GroupCommitOptions,
    dependencies: { db: DatabaseSync; fatal: (error: unknown) => void },
  ) {
    this.#options = { bytesMax: 16 * MIB, waitMsMax: 50, checkpointBytes: 16 * MIB, ...options };
    this.#db = dependencies.db;
    this.#fatal = dependencies.fatal;
  }

  /** Runs `write` in the open group at once; resolves when the group is durable. */
  stage(sizeBytes: number, write: () => void): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    if (this.#waiting.length === 0) this.#openedAt = performance.now();
    this.#waiting.push({ resolve, reject });
    this.#groupBytes += sizeBytes;
    try {
      if (!this.#db.isTransaction) this.#db.exec('BEGIN IMMEDIATE');
      write();
    } catch (error) {
      this.#abandon(error);
      return promise;
    }
    const open = performance.now() - this.#openedAt;
    if (this.#groupBytes >= this.#options.bytesMax || open >= this.#options.waitMsMax) {
      this.commit();
    } else if (!this.#scheduled) {
      // Immediates run when all messages that have arrived are handled: at once when idle.
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        this.commit();
      });
    }
    return promise;
  }

  /** Makes the open group durable now. */
  commit(): void {
    if (this.#waiting.length === 0) return;
    try {
      this.#db.exec('COMMIT');
    } catch (error) {
      this.#abandon(error);
      return;
    }
    this.#logBytes += this.#groupBytes;
    for (const { resolve } of this.#take()) resolve();
    if (this.#logBytes < this.#options.checkpointBytes) return;
    this.#logBytes = 0;
    // Later, so that the acknowledgements leave first.
    setImmediate(() => this.#checkpoint());
  }

  #checkpoint(): void {
    if (!this.#db.isOpen || this.#db.isTransaction) return;
    try {
      checkpoint(this.#db, 'PASSIVE');
    } catch (error) {
      // On a full disk the log stays as it is, whole, and the next checkpoint tries again.
      if (kindOf(error) !== 'full' && kindOf(error) !== 'busy') this.#fatal(error);
    }
  }

  #abandon(error: unknown): void {
    const waiting = this.#take();
    try {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
    } catch (rollbackError) {
      this.#fatal(rollbackError);
    }
    for (const { reject } of waiting) reject(error);
  }

  #take(): Waiting[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#groupBytes = 0;
    return waiting;
  }
}
