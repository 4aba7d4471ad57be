/**
 * Whether `chain.db` still holds all that this node has voted (D3 of docs/consensus.md). What was
 * lost from it without a word, its node may have signed, and it must not sign something else there.
 *
 * A small record beside the file counts its transactions and names it (inode, time of birth). It is
 * written after each commit and before anybody hears of it, but synced only at open: a process that
 * is killed leaves it exact, a power cut may leave it behind. Then the tail of the write-ahead log
 * decides, which SQLite would cut where it stops making sense.
 *
 * Not seen: a machine set back as a whole to an earlier state, file system, disk and all. Rule D5
 * finds out when a peer has seen a later vote.
 *
 * The number of the device is not compared: it changes with every mount of a container, and a power
 * cut of a site would put all its nodes in doubt at once.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readFileSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { bootId } from './boot.ts';
import { tailProblem } from './wal.ts';

export type Standing = 'sound' | 'doubtful';

export interface StandingReport {
  readonly standing: Standing;
  /** Why it is doubtful, in words. */
  readonly reason: string | undefined;
}

export interface StandingOptions {
  /** The home has been in use, so a file that is not there was lost. @default false */
  readonly hasHistory?: boolean | undefined;
  /** Names the run of the kernel, for tests of a power cut. @default asks the system */
  readonly boot?: string | undefined;
}

const MAGIC = Buffer.from('aegisSt1', 'ascii');
const RECORD_BYTES = 96;
const SUMMED_BYTES = 64;

interface Record {
  readonly isDoubtful: boolean;
  /** A digest; zero when the system does not tell. */
  readonly boot: Buffer;
  readonly inode: bigint;
  readonly bornNs: bigint;
  /** Transactions that the file holds. */
  readonly sequence: bigint;
}

const recordOf = (path: string): string => `${path}.standing`;

export class StandingRecord {
  readonly #path: string;
  readonly #boot: Buffer;
  readonly #isNew: boolean;
  readonly #found: Record | undefined;
  #reason: string | undefined;
  #file: number | undefined;
  readonly #bytes = Buffer.alloc(RECORD_BYTES);

  /** Looks at the file `path` and its log before SQLite does. */
  constructor(path: string, options: StandingOptions = {}) {
    this.#path = path;
    this.#boot = bootDigest(options.boot ?? bootId());
    this.#isNew = lstatSync(path, { throwIfNoEntry: false }) === undefined;
    try {
      this.#found = read(recordOf(path));
      this.#reason = this.#problem(options.hasHistory === true);
    } catch (error) {
      this.#reason = (error as Error).message;
    }
  }

  /**
   * Takes up the record once the file is open; durable when it returns.
   * @param sequence transactions that the file holds; undefined when it has never counted.
   */
  open(sequence: bigint | undefined): StandingReport {
    const expected = this.#found?.sequence ?? 0n;
    if (this.#reason === undefined && (sequence ?? 0n) < expected) {
      const lost = expected - (sequence ?? 0n);
      this.#reason = `the last ${lost} transactions of ${this.#path} are gone`;
    }
    // Both are made at once, so one of them alone has come from somewhere else.
    if (this.#found === undefined && sequence !== undefined) {
      this.#reason ??= `${recordOf(this.#path)} is gone`;
    }
    if (this.#reason === undefined) this.#adopt(sequence ?? 0n);
    else this.#keepDoubt();
    return this.report;
  }

  get report(): StandingReport {
    const standing = this.#reason === undefined ? 'sound' : 'doubtful';
    return { standing, reason: this.#reason };
  }

  /** The file has this many transactions now. Not synced; what is in doubt stays so. */
  advance(sequence: bigint): void {
    if (this.#file === undefined || this.#reason !== undefined) return;
    this.#bytes.writeBigUInt64BE(sequence, 48);
    seal(this.#bytes);
    try {
      writeSync(this.#file, this.#bytes, 0, RECORD_BYTES, 0);
    } catch {
      // An older record says less, and nothing false. The next commit writes it again.
    }
  }

  /** What the file holds is known to suffice (D4): the doubt is over. Durable when it returns. */
  settle(sequence: bigint): void {
    this.#reason = undefined;
    this.#adopt(sequence);
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #problem(hasHistory: boolean): string | undefined {
    const found = this.#found;
    if (found === undefined) {
      return this.#isNew && hasHistory ? `${this.#path} was lost` : undefined;
    }
    if (found.isDoubtful) return 'this home was in doubt before';
    if (this.#isNew) return found.sequence === 0n ? undefined : `${this.#path} was lost`;
    const { inode, bornNs } = identityOf(this.#path);
    if (inode !== found.inode || (bornNs !== found.bornNs && knowsBirth(this.#path))) {
      return `${this.#path} is a copy: this home was copied or restored`;
    }
    // In the same run of the kernel the record is exact; what an unfinished write left is no loss.
    const isExact = found.boot.equals(this.#boot) && !this.#boot.every((byte) => byte === 0);
    return isExact ? undefined : tailProblem(`${this.#path}-wal`);
  }

  #adopt(sequence: bigint): void {
    const identity = identityOf(this.#path);
    this.#write({ isDoubtful: false, boot: this.#boot, sequence, ...identity });
  }

  /** The reasons may be gone at the next open; that there were some must not be. */
  #keepDoubt(): void {
    const nothing = { inode: 0n, bornNs: 0n, sequence: 0n };
    this.#write({ ...nothing, ...this.#found, isDoubtful: true, boot: this.#boot });
  }

  #write(record: Record): void {
    const { isDoubtful, boot, inode, bornNs, sequence } = record;
    this.#bytes.fill(0);
    this.#bytes.set(MAGIC, 0);
    this.#bytes.writeUInt8(Number(isDoubtful), 8);
    this.#bytes.set(boot, 16);
    this.#bytes.writeBigUInt64BE(inode, 32);
    this.#bytes.writeBigUInt64BE(bornNs, 40);
    this.#bytes.writeBigUInt64BE(sequence, 48);
    seal(this.#bytes);
    const path = recordOf(this.#path);
    const isNew = this.#file === undefined && sizeOf(path) === undefined;
    this.#file ??= openSync(path, isNew ? 'wx' : 'r+', 0o600);
    ftruncateSync(this.#file, RECORD_BYTES);
    writeSync(this.#file, this.#bytes, 0, RECORD_BYTES, 0);
    fsyncSync(this.#file);
    if (isNew) syncDirectory(dirname(path));
  }
}

/** @throws {Error} for a record that nobody wrote so. */
function read(path: string): Record | undefined {
  if (sizeOf(path) === undefined) return undefined;
  const bytes = readFileSync(path);
  const isOurs =
    bytes.length === RECORD_BYTES &&
    bytes.subarray(0, MAGIC.length).equals(MAGIC) &&
    bytes.subarray(SUMMED_BYTES).equals(sumOf(bytes));
  if (!isOurs) throw new Error(`${path} is damaged`);
  return {
    isDoubtful: bytes.readUInt8(8) !== 0,
    boot: Buffer.from(bytes.subarray(16, 32)),
    inode: bytes.readBigUInt64BE(32),
    bornNs: bytes.readBigUInt64BE(40),
    sequence: bytes.readBigUInt64BE(48),
  };
}

const sumOf = (bytes: Buffer): Buffer =>
  createHash('sha256').update(bytes.subarray(0, SUMMED_BYTES)).digest();

const seal = (bytes: Buffer): void => bytes.set(sumOf(bytes), SUMMED_BYTES);

const bootDigest = (id: string | undefined): Buffer =>
  id === undefined ? Buffer.alloc(16) : createHash('sha256').update(id).digest().subarray(0, 16);

function identityOf(path: string): { inode: bigint; bornNs: bigint } {
  const { ino: inode, birthtimeNs: bornNs } = lstatSync(path, { bigint: true });
  return { inode, bornNs };
}

/** Where the system keeps no time of birth, Node gives that of the last change. */
function knowsBirth(path: string): boolean {
  const { birthtimeNs, ctimeNs } = lstatSync(path, { bigint: true });
  return birthtimeNs !== ctimeNs;
}

const sizeOf = (path: string): number | undefined =>
  lstatSync(path, { throwIfNoEntry: false })?.size;

function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
