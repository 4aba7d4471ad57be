/**
 * The versions of one author by sequence, without gaps: a version counts only when the one before
 * it is known. Usually one version stands at a sequence; an author that signed two has
 * equivocated, and both are kept. Digests tell whether two nodes have the same ones. All of it
 * lies in rows; in memory is only how far it goes.
 */
import { assert } from '../assert.ts';
import { AegisError } from '../errors.ts';
import { decode, encode } from '../model/cbor.ts';
import { RecordReader } from '../model/record.ts';
import type { SignedVersion } from '../model/version.ts';
import { LoggedVersion, LogPages } from './log-pages.ts';
import { DIGEST_BYTES, type DigestTree, digestTree, SetDigest } from './set-digest.ts';
import { type KbStore, TABLES } from './store.ts';

const ROW_BYTES_MAX = 256;

export interface VersionsByCid {
  get(cidText: string): SignedVersion | undefined;
}

interface Extent {
  readonly sequence: number;
  readonly count: number;
  readonly sizeBytes: number;
  readonly digest: Uint8Array;
}

const NOTHING: Extent = {
  sequence: 0,
  count: 0,
  sizeBytes: 0,
  digest: new Uint8Array(DIGEST_BYTES),
};

export class AuthorLog {
  readonly #store: KbStore;
  readonly #author: string;
  readonly #versions: VersionsByCid;
  readonly #pages: LogPages;
  readonly #tree: DigestTree;
  #extent: Extent;

  /** The log as its rows describe it. @throws {AegisError} `STORE_DAMAGED`. */
  constructor(store: KbStore, author: string, versions: VersionsByCid) {
    this.#store = store;
    this.#author = author;
    this.#versions = versions;
    this.#pages = new LogPages(store, author);
    this.#tree = digestTree(store, author, (from, to) => this.#fold(from, to));
    const row = store.get(TABLES.authors, author);
    this.#extent = row === undefined ? NOTHING : readExtent(author, row);
  }

  /** The greatest sequence; 0 when there is none. */
  get sequence(): number {
    return this.#extent.sequence;
  }

  /** Versions of all sequences. */
  get count(): number {
    return this.#extent.count;
  }

  /** Bytes of all versions, signed. */
  get sizeBytes(): number {
    return this.#extent.sizeBytes;
  }

  /** Whether the version of this sequence could be added now. */
  accepts(sequence: number): boolean {
    return sequence <= this.sequence + 1;
  }

  /** @returns it and, before it, the first one of its sequence: two are an equivocation. */
  add(signed: SignedVersion): readonly SignedVersion[] {
    const { sequence } = signed.version;
    assert(this.accepts(sequence), 'a version is added after the one before it');
    const first = this.#pages.add(sequence, loggedOf(signed));
    this.#change(signed, 1);
    if (sequence > this.sequence) {
      this.#set({ ...this.#extent, sequence });
      this.#tree.grown(sequence);
    } else this.#tree.toggle(sequence, this.sequence, memberOf(signed));
    return first === undefined ? [signed] : [this.#open(first), signed];
  }

  /** Takes a version out again. Its sequence stays taken while later ones are there. */
  remove(signed: SignedVersion): void {
    this.#pages.remove(signed.version.sequence, loggedOf(signed));
    this.#change(signed, -1);
    this.#tree.toggle(signed.version.sequence, this.sequence, memberOf(signed));
    let { sequence } = this.#extent;
    while (sequence > 0 && this.#pages.at(sequence).length === 0) sequence -= 1;
    this.#tree.shrunk(this.sequence, sequence);
    this.#set({ ...this.#extent, sequence });
  }

  /** The versions with sequences from `from` to `to`, both included, ascending. */
  *between(from: number, to: number): Generator<SignedVersion> {
    const places = this.#pages.between(Math.max(from, 1), Math.min(to, this.sequence));
    for (const logged of places) yield this.#open(logged);
  }

  /** What the log itself says of its versions from a sequence on. */
  logged(from: number): Generator<LoggedVersion> {
    return this.#pages.between(from, this.sequence);
  }

  /** The digest of the versions with sequences from `from` to `to`, both included. */
  digest(from: number, to: number): Uint8Array {
    const digest = new SetDigest(this.#prefix(Math.min(to, this.sequence)));
    digest.toggle(this.#prefix(Math.min(from - 1, this.sequence)));
    return digest.bytes;
  }

  #prefix(to: number): Uint8Array {
    return to === this.sequence ? this.#extent.digest : this.#tree.prefix(to);
  }

  #fold(from: number, to: number): SetDigest {
    const digest = new SetDigest();
    for (const { digest: hash } of this.#pages.between(from, to)) digest.toggle(hash);
    return digest;
  }

  #open({ cidText }: LoggedVersion): SignedVersion {
    const found = this.#versions.get(cidText);
    if (found === undefined) {
      throw new AegisError('STORE_DAMAGED', `the record of the version ${cidText} is missing`);
    }
    return found;
  }

  #change(signed: SignedVersion, by: 1 | -1): void {
    const { count, sizeBytes, digest: before } = this.#extent;
    const digest = new SetDigest(before);
    digest.toggle(memberOf(signed));
    this.#set({
      ...this.#extent,
      count: count + by,
      sizeBytes: sizeBytes + by * signed.bytes.length,
      digest: digest.bytes,
    });
  }

  #set(extent: Extent): void {
    this.#extent = extent;
    this.#store.set(TABLES.authors, this.#author, encode({ v: 1, type: 'author', ...extent }));
  }
}

/**
 * What stands for a version in a `SetDigest`. An author with enough versions of one sequence can
 * find a set that folds to nothing; all it can hide so is its own equivocation.
 */
export const memberOf = (version: SignedVersion): Uint8Array =>
  version.cid.multihash.digest.subarray(0, DIGEST_BYTES);

const loggedOf = ({ cid, version }: SignedVersion): LoggedVersion =>
  new LoggedVersion(version.sequence, cid.multihash.digest, version.keyEpoch ?? 0);

/** How far the row of an author says that its log goes. @throws {AegisError} `STORE_DAMAGED`. */
export const sequenceIn = (author: string, row: Uint8Array): number =>
  readExtent(author, row).sequence;

function readExtent(author: string, row: Uint8Array): Extent {
  try {
    const names = ['sequence', 'count', 'sizeBytes', 'digest'];
    const record = new RecordReader(decode(row, { maxBytes: ROW_BYTES_MAX }), 'author', names);
    return {
      sequence: record.integer('sequence', 0),
      count: record.integer('count', 0),
      sizeBytes: record.integer('sizeBytes', 0),
      digest: record.bytes('digest', { length: DIGEST_BYTES }),
    };
  } catch (cause) {
    throw new AegisError('STORE_DAMAGED', `the log of ${author} is damaged`, { cause });
  }
}
