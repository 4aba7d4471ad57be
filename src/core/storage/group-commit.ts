/**
 * Many writes, one sync. Writes that arrive together share a transaction and are acknowledged
 * together, after it is durable. If one of them meets a full disk, none of the group is written
 * and each is told. Knows no tables; runs in a storage worker.
 *
 * What is committed is durable in the log. Moving it into the database writes it a second time, so
 * that waits for a pause, unless the log grows too long.
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
  /** Committed bytes that move into the database in the next pause. @default 16 MiB */
  readonly checkpointBytes?: number;
  /** How long nothing is asked of the store in a pause. @default 100 */
  readonly pauseMs?: number;
  /** Committed bytes that wait for no pause. @default 512 MiB */
  readonly logBytesMax?: number;
}

export interface GroupCommitDeps {
  readonly db: DatabaseSync;
  /** Hears of failed checkpoints and rollbacks: nobody waits for them. */
  fatal(error: unknown): void;
  /** Writes the last entry of each group. */
  seal?(): void;
  /** The group is durable, and nobody has heard of it yet. */
  sealed?(): void;
}

/** What work apart adds to the log moves on in pieces so small that others hardly wait for it. */
const APART_BYTES = 4 * MIB;

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class GroupCommit {
  readonly #options: Required<GroupCommitOptions>;
  readonly #db: DatabaseSync;
  readonly #deps: GroupCommitDeps;
  #waiting: Waiting[] = [];
  #groupBytes = 0;
  #openedAt = 0;
  #scheduled = false;
  #logBytes = 0;
  #pause: NodeJS.Timeout | undefined;

  constructor(options: GroupCommitOptions, dependencies: GroupCommitDeps) {
    this.#options = {
      bytesMax: 16 * MIB,
      waitMsMax: 50,
      checkpointBytes: 16 * MIB,
      pauseMs: 100,
      logBytesMax: 512 * MIB,
      ...options,
    };
    this.#db = dependencies.db;
    this.#deps = dependencies;
  }

  /** Runs `write` in the open group at once; resolves when the group is durable. */
  stage(sizeBytes: number, write: () => void): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    if (this.#waiting.length === 0) this.#openedAt = performance.now();
    this.#waiting.push({ resolve, reject });
    this.#groupBytes += sizeBytes;
    try {
      if (!this.#db.isTransaction) this.#begin();
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

  /**
   * A transaction of its own, for work that nobody waits for: should it meet a full disk, the
   * writes of others are not lost with it. What it adds to the log moves on in small pieces.
   */
  async apart(sizeBytes: number, write: () => void): Promise<void> {
    this.commit();
    const staged = this.stage(sizeBytes, write);
    this.commit();
    await staged;
    const piece = Math.min(this.#options.checkpointBytes, APART_BYTES);
    if (this.#logBytes >= piece) this.#checkpoint();
  }

  /** Makes what is open durable, and empties the log into the database as far as that goes now. */
  truncateLog(): void {
    this.commit();
    this.#checkpoint('TRUNCATE');
  }

  /** Makes the open group durable now. */
  commit(): void {
    if (this.#waiting.length === 0) return;
    try {
      this.#deps.seal?.();
      this.#db.exec('COMMIT');
    } catch (error) {
      this.#abandon(error);
      return;
    }
    this.#deps.sealed?.();
    this.#logBytes += this.#groupBytes;
    for (const { resolve } of this.#take()) resolve();
    this.touch();
  }

  /** Says that the store is in use: a pause begins anew. */
  touch(): void {
    if (this.#logBytes < this.#options.checkpointBytes) return;
    if (this.#pause !== undefined) this.#pause.refresh();
    else this.#pause = setTimeout(() => this.#checkpoint(), this.#options.pauseMs).unref();
  }

  #begin(): void {
    // Here and not after a commit, so that its acknowledgements have left.
    if (this.#logBytes >= this.#options.logBytesMax) this.#checkpoint();
    this.#db.exec('BEGIN IMMEDIATE');
  }

  #checkpoint(mode: 'PASSIVE' | 'TRUNCATE' = 'PASSIVE'): void {
    clearTimeout(this.#pause);
    this.#pause = undefined;
    if (!this.#db.isOpen) return;
    if (this.#db.isTransaction) return this.touch();
    this.#logBytes = 0;
    try {
      checkpoint(this.#db, mode);
    } catch (error) {
      // On a full disk the log stays as it is, whole, and the next checkpoint tries again.
      if (kindOf(error) !== 'full' && kindOf(error) !== 'busy') this.#deps.fatal(error);
    }
  }

  #abandon(error: unknown): void {
    const waiting = this.#take();
    try {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
    } catch (rollbackError) {
      this.#deps.fatal(rollbackError);
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
