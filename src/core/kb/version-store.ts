/** The records of versions and merges, by CID: read when they are asked for, the latest kept. */
import type { CID } from 'multiformats/cid';
import { CID as Cid } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';
import { AegisError } from '../errors.ts';
import { readUnverifiedRecord } from '../model/merge.ts';
import type { SignedVersion } from '../model/version.ts';
import { MIB } from '../units.ts';
import { BLAKE3 } from './block.ts';
import { ByteCache } from './byte-cache.ts';
import { type KbStore, TABLES } from './store.ts';

const CACHE_BYTES = 16 * MIB;
/** What a record takes in memory beside its bytes, about. */
const OBJECT_BYTES = 2048;
const DAG_CBOR = 0x71;

/** The bytes of the hash in the CID of a version; they say all of it. */
export const DIGEST_OF_CID_BYTES = 32;

/** The CID of the version whose hash this is. */
export const versionCidOfDigest = (digest: Uint8Array): CID =>
  Cid.createV1(DAG_CBOR, Digest.create(BLAKE3, digest));

export class VersionStore {
  readonly #store: KbStore;
  readonly #cache = new ByteCache<SignedVersion>(CACHE_BYTES);

  constructor(store: KbStore) {
    this.#store = store;
  }

  has(cidText: string): boolean {
    return (
      this.#cache.get(cidText) !== undefined ||
      this.#store.get(TABLES.versions, cidText) !== undefined
    );
  }

  /** @throws {AegisError} `STORE_DAMAGED`. */
  get(cidText: string): SignedVersion | undefined {
    const cached = this.#cache.get(cidText);
    if (cached !== undefined) return cached;
    const bytes = this.#store.get(TABLES.versions, cidText);
    if (bytes === undefined) return undefined;
    const signed = read(cidText, bytes);
    this.#keep(signed);
    return signed;
  }

  put(signed: SignedVersion): void {
    this.#store.set(TABLES.versions, signed.cidText, signed.bytes);
    this.#keep(signed);
  }

  delete(cidText: string): void {
    this.#store.set(TABLES.versions, cidText, undefined);
    this.#cache.delete(cidText);
  }

  /** All of them in the order of their CIDs; those that are added meanwhile or not. */
  *all(after = ''): Generator<SignedVersion> {
    for (const { key, value } of this.#store.under(TABLES.versions, '', after)) {
      yield this.#cache.get(key) ?? read(key, value);
    }
  }

  #keep(signed: SignedVersion): void {
    this.#cache.set(signed.cidText, signed, signed.bytes.length + OBJECT_BYTES);
  }
}

/** It was checked before it was written; here only whether it is still the same. */
function read(cidText: string, bytes: Uint8Array): SignedVersion {
  let opened: ReturnType<typeof readUnverifiedRecord>;
  try {
    opened = readUnverifiedRecord(bytes);
  } catch (cause) {
    throw damaged(cidText, cause);
  }
  const { cid, version } = opened;
  if (cid.toString() !== cidText) throw damaged(cidText);
  return { cid, cidText, bytes, version };
}

const damaged = (cidText: string, cause?: unknown): AegisError =>
  new AegisError('STORE_DAMAGED', `the record of the version ${cidText} is damaged`, { cause });
