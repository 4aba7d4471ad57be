/**
 * G2: what was signed last with each key, durable before the signature leaves. A guard is a small
 * file with two records, each in a sector of its own, written in turn: a torn write spoils one of
 * them and is seen. It names its file (inode, time of birth), so that a copy, which may be an
 * older one, is seen too. Written in place, since this costs one flush of the disk where a rename
 * costs two.
 *
 * It decides by places only. That a vote fits the locks of the votes before is for the replica.
 * Not seen: a machine that is set back as a whole, disk and all.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { assert } from '../assert.ts';
import type { SignedPlace } from '../consensus/signed-bytes.ts';
import { sha256 } from '../crypto/hash.ts';

const MAGIC = Buffer.from('aegisGd1', 'ascii');
const DIGEST_BYTES = 32;
/** How much of the id of a guard is the same for all guards of a key. */
export const ID_KEY_BYTES = 8;
/** Disks write sectors of 4 KiB at most in one piece. */
const SECTOR_BYTES = 4096;
const FILE_BYTES = 2 * SECTOR_BYTES;

/** Within a view, in the order in which a replica signs. */
const KINDS = ['proposal', 'prepare', 'commit', 'timeout'] as const;
type Kind = (typeof KINDS)[number];

const SUMMED_BYTES = MAGIC.length + 8 + 16 + DIGEST_BYTES + 8 + 4 + 4 + KINDS.length * DIGEST_BYTES;
const RECORD_BYTES = SUMMED_BYTES + DIGEST_BYTES;

/** The last view in which was signed, and the hash of what was signed in it. */
interface Slot {
  readonly height: number;
  readonly view: number;
  readonly digests: Readonly<Partial<Record<Kind, Buffer>>>;
}

interface Found {
  readonly sequence: number;
  readonly file: FileName;
  readonly slot: Slot;
}

/** Inodes are used again, so the time of birth belongs to the name of a file. */
interface FileName {
  readonly inode: bigint;
  readonly bornNs: bigint;
}

const nameOf = (file: number): FileName => {
  const { ino, birthtimeNs } = fstatSync(file, { bigint: true });
  return { inode: BigInt.asUintN(64, ino), bornNs: BigInt.asUintN(64, birthtimeNs) };
};

/**
 * The name of a file that was just made. Where the system keeps no time of birth, Node gives that
 * of the last change, which moves; then 0 stands for it.
 */
function lastingNameOf(file: number): FileName {
  const name = nameOf(file);
  const changedNs = (): bigint => fstatSync(file, { bigint: true }).ctimeNs;
  for (const before = changedNs(); changedNs() === before; ) fchmodSync(file, 0o600);
  return nameOf(file).bornNs === name.bornNs ? name : { ...name, bornNs: 0n };
}

const isSameFile = (written: FileName, found: FileName): boolean =>
  written.inode === found.inode && (written.bornNs === found.bornNs || written.bornNs === 0n);

/** `new`: durable now, and to be signed; `same`: signed before, so it may be signed again. */
export type GuardVerdict = 'new' | 'same' | 'double';

export class Guard {
  readonly #id: Buffer;
  readonly #file: number;
  readonly #name: FileName;
  #sequence: number;
  #slot: Slot;
  #broken = false;

  private constructor(id: Buffer, file: number, found: Found) {
    this.#id = id;
    this.#file = file;
    this.#name = found.file;
    this.#sequence = found.sequence;
    this.#slot = found.slot;
  }

  /** Of which key and cluster a guard is: 32 bytes, of which the first 8 say the key. */
  static idOf(key: Uint8Array, clusterId: string): Buffer {
    const both = sha256(Buffer.concat([key, Buffer.from(clusterId)]));
    const [ofKey, ofBoth] = [sha256(key).subarray(0, ID_KEY_BYTES), both.subarray(ID_KEY_BYTES)];
    return Buffer.concat([ofKey, ofBoth]);
  }

  /**
   * The guard in a file. Undefined when the file is missing, damaged, torn, of another key, or a
   * copy of the one that was written.
   */
  static open(path: string, id: Buffer): Guard | undefined {
    const file = openIfPresent(path);
    if (file === undefined) return undefined;
    const name = nameOf(file);
    const [first, second] = readBoth(file, id);
    const last = first && second && latest(first, second);
    const isWhole = last && isSameFile(first.file, name) && isSameFile(second.file, name);
    if (isWhole && Math.abs(first.sequence - second.sequence) === 1) {
      return new Guard(id, file, last);
    }
    closeSync(file);
    return undefined;
  }

  /**
   * Makes a guard anew. What a damaged file or a copy still tells is kept: it is less than the
   * truth, and more than nothing.
   */
  static create(path: string, id: Buffer): Guard {
    const known = salvage(path, id);
    const temporary = `${path}.new`;
    const { O_RDWR, O_CREAT, O_TRUNC, O_NOFOLLOW } = constants;
    const file = openSync(temporary, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600);
    const slot = known ?? { height: 0, view: 0, digests: {} };
    writeSync(file, Buffer.alloc(FILE_BYTES), 0, FILE_BYTES, 0);
    const guard = new Guard(id, file, { sequence: 0, file: lastingNameOf(file), slot });
    guard.#write(slot);
    guard.#write(slot);
    fsyncSync(file);
    renameSync(temporary, path);
    syncDirectorySync(dirname(path));
    return guard;
  }

  /** Once it has failed to write, what is on the disk is not known, and nothing is signed. */
  get isBroken(): boolean {
    return this.#broken;
  }

  /** @throws what the disk says; the guard is broken then. */
  claim(place: SignedPlace, message: Uint8Array): GuardVerdict {
    assert(!this.#broken, 'a broken guard guards nothing');
    const { height, view } = this.#slot;
    const digest = Buffer.from(sha256(message));
    const order = place.height - height || place.view - view;
    if (order < 0) return 'double';
    const digests = order === 0 ? this.#slot.digests : {};
    const before = digests[place.kind];
    if (before !== undefined) return before.equals(digest) ? 'same' : 'double';
    const later = KINDS.slice(KINDS.indexOf(place.kind) + 1);
    if (later.some((kind) => digests[kind] !== undefined)) return 'double';
    this.#broken = true;
    const slot = { ...place, digests: { ...digests, [place.kind]: digest } };
    this.#write(slot);
    // A failed sync is not repeated: the kernel may have dropped the pages (LWN 752063).
    fdatasyncSync(this.#file);
    this.#broken = false;
    return 'new';
  }

  close(): void {
    closeSync(this.#file);
  }

  /** Over the older of the two records. */
  #write(slot: Slot): void {
    const sequence = this.#sequence + 1;
    const bytes = render(this.#id, { sequence, file: this.#name, slot });
    const at = (sequence % 2) * SECTOR_BYTES;
    assert(writeSync(this.#file, bytes, 0, RECORD_BYTES, at) === RECORD_BYTES, 'all is written');
    this.#sequence = sequence;
    this.#slot = slot;
  }
}

const latest = (a: Found, b: Found): Found => (a.sequence > b.sequence ? a : b);

function openIfPresent(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDWR | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The highest slot of what can be read, whatever file it was written to. */
function salvage(path: string, id: Buffer): Slot | undefined {
  const file = openIfPresent(path);
  if (file === undefined) return undefined;
  const found = readBoth(file, id).filter((one) => one !== undefined);
  closeSync(file);
  return found.length === 0 ? undefined : found.reduce(latest).slot;
}

function readBoth(file: number, id: Buffer): readonly [Found | undefined, Found | undefined] {
  const bytes = Buffer.alloc(FILE_BYTES);
  readSync(file, bytes, 0, FILE_BYTES, 0);
  const at = (offset: number) => parse(id, bytes.subarray(offset, offset + RECORD_BYTES));
  return [at(0), at(SECTOR_BYTES)];
}

function render(id: Buffer, { sequence, file, slot }: Found): Buffer {
  const bytes = Buffer.alloc(RECORD_BYTES);
  let at = MAGIC.copy(bytes);
  at = bytes.writeBigUInt64BE(BigInt(sequence), at);
  at = bytes.writeBigUInt64BE(file.inode, at);
  at = bytes.writeBigUInt64BE(file.bornNs, at);
  at += id.copy(bytes, at);
  at = bytes.writeBigUInt64BE(BigInt(slot.height), at);
  at = bytes.writeUInt32BE(slot.view, at);
  const present = KINDS.reduce((bits, kind, n) => bits | (slot.digests[kind] ? 1 << n : 0), 0);
  at = bytes.writeUInt32BE(present, at);
  for (const [n, kind] of KINDS.entries()) slot.digests[kind]?.copy(bytes, at + n * DIGEST_BYTES);
  Buffer.from(sha256(bytes.subarray(0, SUMMED_BYTES))).copy(bytes, SUMMED_BYTES);
  return bytes;
}

function parse(id: Buffer, bytes: Buffer): Found | undefined {
  const sum = Buffer.from(sha256(bytes.subarray(0, SUMMED_BYTES)));
  if (!sum.equals(bytes.subarray(SUMMED_BYTES))) return undefined;
  let at = MAGIC.length;
  if (!bytes.subarray(0, at).equals(MAGIC)) return undefined;
  const sequence = Number(bytes.readBigUInt64BE(at));
  const file = { inode: bytes.readBigUInt64BE(at + 8), bornNs: bytes.readBigUInt64BE(at + 16) };
  at += 24;
  if (!bytes.subarray(at, at + DIGEST_BYTES).equals(id)) return undefined;
  at += DIGEST_BYTES;
  const [height, view] = [Number(bytes.readBigUInt64BE(at)), bytes.readUInt32BE(at + 8)];
  const present = bytes.readUInt32BE(at + 12);
  at += 16;
  const digests: Partial<Record<Kind, Buffer>> = {};
  for (const [n, kind] of KINDS.entries()) {
    const from = at + n * DIGEST_BYTES;
    if (present & (1 << n)) digests[kind] = Buffer.from(bytes.subarray(from, from + DIGEST_BYTES));
  }
  return { sequence, file, slot: { height, view, digests } };
}

function syncDirectorySync(path: string): void {
  const file = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  fsyncSync(file);
  closeSync(file);
}
