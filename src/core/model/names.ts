/**
 * Names in the state and in blocks (docs/history.md, N4; docs/proofs.md, "The state"): keyed
 * hashes, so that a proof of one leaf tells no other name, and names encrypted by a key that is
 * made from the genesis. Whoever has the genesis can read them all: nothing is hidden from members.
 */
import { assert } from '../assert.ts';
import { sameBytes } from '../bytes.ts';
import { AEAD_NONCE_BYTES, AEAD_TAG_BYTES, seal, unseal } from '../crypto/aead.ts';
import { hmacSha256, hmacSha256Of, sha256 } from '../crypto/hash.ts';
import { AegisError } from '../errors.ts';
import { PATH_BYTES_MAX, parsePath } from './path.ts';
import { bytesOfText } from './record.ts';

export const NAME_KEY_BYTES = 32;
/** Hex digits of the tag of a directory, with which the keys of all that lies in it begin. */
export const TAG_DIGITS = 16;
const REST_DIGITS = 48;
/** What encryption adds to a record. */
export const SEALED_RECORD_EXTRA_BYTES = AEAD_NONCE_BYTES + AEAD_TAG_BYTES;
/** Longest encrypted name. */
export const SEALED_NAME_BYTES_MAX = AEAD_NONCE_BYTES + PATH_BYTES_MAX + AEAD_TAG_BYTES;
/** Characters of names of each kind, after which the older half is forgotten. */
const REMEMBERED_CHARS = 1024 * 1024;
/** What an entry costs beside its name, counted as characters. */
const ENTRY_CHARS = 64;

const NO_BYTES = new Uint8Array();

/** The key of names of a cluster, by its genesis. A recovered cluster keeps that of the oldest. */
export const nameKeyOf = (genesisBytes: Uint8Array): Uint8Array =>
  hmacSha256Of(bytesOfText('aegis/names/1'), genesisBytes);

const bad = (why: string, cause?: unknown): AegisError =>
  new AegisError('BAD_ENCODING', `the encrypted name ${why}`, { cause });

/** What follows from names alone, for as many of them as are in use; which ones nobody can tell. */
class Remembered<T> {
  #young = new Map<string, T>();
  #old = new Map<string, T>();
  #chars = 0;

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get(name: string): T | undefined {
    const young = this.#young.get(name);
    if (young !== undefined) return young;
    const old = this.#old.get(name);
    if (old !== undefined) this.set(name, old);
    return old;
  }

  set(name: string, value: T): T {
    this.#chars += name.length + ENTRY_CHARS;
    if (this.#chars > REMEMBERED_CHARS) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#chars = 0;
    }
    this.#young.set(name, value);
    return value;
  }
}

export class Names {
  /** 32 bytes. */
  readonly key: Uint8Array;
  readonly #hmac: (text: string) => string;
  readonly #sealKey: Uint8Array;
  readonly #recordKey: Uint8Array;
  readonly #tags = new Remembered<string>();
  readonly #refs = new Remembered<string>();
  readonly #marks = new Remembered<string>();
  readonly #sealed = new Remembered<Uint8Array>();
  /** By the bytes, one a character. */
  readonly #opened = new Remembered<string>();

  constructor(key: Uint8Array) {
    assert(key.length === NAME_KEY_BYTES, 'a key of names has 32 bytes');
    this.key = key;
    this.#hmac = hmacSha256(key);
    this.#sealKey = sha256(Buffer.concat([bytesOfText('aegis/name-key/1\0'), key]));
    this.#recordKey = sha256(Buffer.concat([bytesOfText('aegis/record-key/1\0'), key]));
  }

  /** Entries of all kinds. */
  get remembered(): number {
    const all = [this.#tags, this.#refs, this.#marks, this.#sealed, this.#opened];
    return all.reduce((sum, { size }) => sum + size, 0);
  }

  /** The keyed hash of a text (hex): for keys of the state that belong to no directory. */
  hmac(text: string): string {
    return this.#hmac(text);
  }

  /** With what the keys of all that lies in a directory begin (hex). @param dir '' is the root. */
  tagOf(dir: string): string {
    return (
      this.#tags.get(dir) ??
      this.#tags.set(dir, this.#hmac(`aegis/directory/1\0${dir}`).slice(0, TAG_DIGITS))
    );
  }

  /** The key of a path in the state (hex). */
  refKey(path: string): string {
    return this.#refs.get(path) ?? this.#refs.set(path, this.#keyIn('ref', path));
  }

  /** The key of the mark of a directory in the state (hex). */
  markKey(dir: string): string {
    return this.#marks.get(dir) ?? this.#marks.set(dir, this.#keyIn('mark', dir));
  }

  #keyIn(kind: 'ref' | 'mark', path: string): string {
    return (
      this.tagOf(parentOf(path)) + this.#hmac(`aegis/${kind}/1\0${path}`).slice(0, REST_DIGITS)
    );
  }

  /** The directories around a path, the innermost first: 'a/b' and 'a' for 'a/b/c'. */
  directories(path: string): string[] {
    const found: string[] = [];
    for (let dir = parentOf(path); dir !== ''; dir = parentOf(dir)) found.push(dir);
    return found;
  }

  /**
   * Encrypts a path. The same path gives the same bytes, so that a request keeps its id.
   * @throws {AegisError} `BAD_REQUEST` for what is no path.
   */
  seal(path: string): Uint8Array {
    const known = this.#sealed.get(path);
    if (known !== undefined) return known;
    const nonce = this.#nonceOf(parsePath(path));
    const ciphertext = seal(this.#sealKey, nonce, bytesOfText(path), NO_BYTES);
    const sealed = new Uint8Array(Buffer.concat([nonce, ciphertext]));
    this.#opened.set(latin1(sealed), path);
    return this.#sealed.set(path, sealed);
  }

  /** @throws {AegisError} `BAD_ENCODING` for what `seal` does not make of a path. */
  open(sealed: Uint8Array): string {
    const id = latin1(sealed);
    return this.#opened.get(id) ?? this.#opened.set(id, this.#open(sealed));
  }

  /** Encrypts a record that names paths (W11). The same record gives the same bytes. */
  sealRecord(record: Uint8Array): Uint8Array {
    const nonce = this.#recordNonceOf(record);
    const ciphertext = seal(this.#recordKey, nonce, record, NO_BYTES);
    return new Uint8Array(Buffer.concat([nonce, ciphertext]));
  }

  /** @throws {AegisError} `BAD_ENCODING` for what `sealRecord` does not make. */
  openRecord(sealed: Uint8Array): Uint8Array {
    const nonce = sealed.subarray(0, AEAD_NONCE_BYTES);
    const record = this.#recordIn(nonce, sealed.subarray(AEAD_NONCE_BYTES));
    if (!sameBytes(nonce, this.#recordNonceOf(record))) throw bad('has the nonce of another');
    return record;
  }

  #recordIn(nonce: Uint8Array, ciphertext: Uint8Array): Uint8Array {
    try {
      return unseal(this.#recordKey, nonce, ciphertext, NO_BYTES);
    } catch (error) {
      throw bad('is none of this cluster, or not of a record', error);
    }
  }

  #recordNonceOf(record: Uint8Array): Uint8Array {
    const digest = Buffer.from(sha256(record)).toString('hex');
    const digits = this.#hmac(`aegis/record-nonce/1\0${digest}`).slice(0, 2 * AEAD_NONCE_BYTES);
    return new Uint8Array(Buffer.from(digits, 'hex'));
  }

  #open(sealed: Uint8Array): string {
    if (sealed.length > SEALED_NAME_BYTES_MAX) throw bad('is too long');
    const nonce = sealed.subarray(0, AEAD_NONCE_BYTES);
    const path = this.#pathIn(nonce, sealed.subarray(AEAD_NONCE_BYTES));
    // Every member has the key, and could write one path in many ways.
    if (!sameBytes(nonce, this.#nonceOf(path))) throw bad('has the nonce of another');
    // What comes in an intent will stand in the state. Its own memory: the intent need not stay.
    if (this.#sealed.get(path) === undefined) this.#sealed.set(path, new Uint8Array(sealed));
    return path;
  }

  #pathIn(nonce: Uint8Array, ciphertext: Uint8Array): string {
    try {
      const bytes = unseal(this.#sealKey, nonce, ciphertext, NO_BYTES);
      return parsePath(utf8.decode(bytes));
    } catch (error) {
      throw bad('is none of this cluster, or not of a path', error);
    }
  }

  #nonceOf(path: string): Uint8Array {
    const digits = this.#hmac(`aegis/name-nonce/1\0${path}`).slice(0, 2 * AEAD_NONCE_BYTES);
    return new Uint8Array(Buffer.from(digits, 'hex'));
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');

/** The directory in which a path lies; '' is the root. */
const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')));
