/**
 * A version of a path: a signed commit. Which version of a path is shown, and whether a generation
 * is allowed, is for `kb/` to say; here stands only whether the bytes are one and who signed them.
 */
import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';
import { blake3 } from '../crypto/hash.ts';
import { AegisError } from '../errors.ts';
import type { Signer } from '../ports.ts';
import { type Verified, verified } from '../units.ts';
import { decode } from './cbor.ts';
import { isNodeId } from './identity.ts';
import { PATH_BYTES_MAX, parsePath } from './path.ts';
import { RecordReader } from './record.ts';
import { checkSignature, openSigned, signRecord } from './signed.ts';

/** Multicodec codes (multiformats/multicodec, table.csv). */
const DAG_CBOR = 0x71;
const BLAKE3 = 0x1e;
const SHA2_256 = 0x12;

export const PARENTS_MAX = 32;
export const MESSAGE_BYTES_MAX = 4096;
/** Longest signed version. */
export const VERSION_BYTES_MAX = 8192;

/** A part of the content of a merge that could not be merged; `ours` stands there (W15). */
export interface MergeConflict {
  /** The path inside the root; '' for the root itself. */
  readonly at: string;
  /** Of a JSON document: where in it (RFC 6901). */
  readonly pointer?: string;
  /** CIDs of contents. None: there was none, or it was deleted. */
  readonly base?: CID;
  readonly ours?: CID;
  readonly theirs?: CID;
}

export interface Version {
  readonly path: string;
  /** The content. For a deletion: the content that is taken away. */
  readonly root: CID;
  readonly sizeBytes: number;
  /** CIDs of the versions that this one follows, in the order of their text. */
  readonly parents: readonly CID[];
  /** 1 for the first; one more than the greatest of the parents at most. */
  readonly generation: number;
  /** Counts the versions of the author: 1, 2, 3, ... */
  readonly sequence: number;
  /** Milliseconds since the Unix epoch, by the author's clock. */
  readonly time: number;
  /** Node id. */
  readonly author: string;
  readonly message?: string;
  readonly deleted?: boolean;
  /** W46: of a deletion: the keys of what was there are destroyed. */
  readonly shredded?: boolean;
  /** The root is a directory. A reader that lacks the content can still show what it is. */
  readonly directory?: boolean;
  /** How often the author's identity key had changed when it signed (A3). @default 0 */
  readonly keyEpoch?: number;
  /** Of a merge, which nobody has signed (W10): by which rules it was computed. */
  readonly rule?: number;
  /** Of a merge: the parts that could not be merged (W15); none when all could be. */
  readonly conflicts?: readonly MergeConflict[];
  /** Of a merge: it has more conflicts than are listed. */
  readonly isMoreConflicts?: boolean;
}

export interface SignedVersion {
  readonly cid: CID;
  readonly cidText: string;
  /** The signed bytes, as they travel. */
  readonly bytes: Uint8Array;
  readonly version: Version;
}

const NAMES = [
  'path',
  'root',
  'sizeBytes',
  'parents',
  'generation',
  'sequence',
  'time',
  'author',
  'message',
  'deleted',
  'shredded',
  'directory',
  'keyEpoch',
];

/** The CID of signed version bytes: dag-cbor, BLAKE3. */
export const versionCidOf = (bytes: Uint8Array): CID =>
  CID.createV1(DAG_CBOR, Digest.create(BLAKE3, blake3(bytes)));

const badVersion = (why: string): AegisError =>
  new AegisError('BAD_ENCODING', `the version ${why}`);

/** Makes a signed version. `signer` holds the identity key of the author in its key epoch. */
export const createVersion = (fields: Version, signer: Signer): Verified<SignedVersion> =>
  openVersion(signVersion(fields, signer), () => signer.publicKey);

/**
 * Many by one signer. Its first signature is checked, which shows that it holds the key; checking
 * each would take longer than making it, and nobody takes one over without checking it himself.
 */
export function createVersions(all: readonly Version[], signer: Signer): Verified<SignedVersion>[] {
  return all.map((fields, n) => {
    if (n === 0) return createVersion(fields, signer);
    const bytes = signVersion(fields, signer);
    const { cid, version } = readUnverifiedVersion(bytes);
    return verified({ cid, cidText: cid.toString(), bytes, version });
  });
}

function signVersion({ keyEpoch = 0, ...rest }: Version, signer: Signer): Uint8Array {
  const parents = sortParents(rest.parents);
  // Left out when it is 0, so that a version has one encoding, and the same as ever.
  const epoch = keyEpoch === 0 ? {} : { keyEpoch };
  return signRecord({ v: 1, type: 'version', ...rest, ...epoch, parents }, signer);
}

/**
 * @param keyOf the identity key with which an author may have signed this version (A3), or
 * undefined when there is none.
 * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`, `BAD_REQUEST` (path), `DENIED` for an unknown
 * author, `BAD_SIGNATURE`.
 */
export function openVersion(
  bytes: Uint8Array,
  keyOf: (author: string, keyEpoch: number, sequence: number) => Uint8Array | undefined,
): Verified<SignedVersion> {
  const signed = openSigned(bytes, { maxBytes: VERSION_BYTES_MAX });
  const version = readVersion(decode(signed.payload, { maxBytes: VERSION_BYTES_MAX }));
  const key = keyOf(version.author, version.keyEpoch ?? 0, version.sequence);
  if (key === undefined) {
    throw new AegisError('DENIED', `the author of the version is not a member: ${version.author}`);
  }
  checkSignature('version', signed, key);
  const cid = versionCidOf(bytes);
  return verified({ cid, cidText: cid.toString(), bytes, version });
}

/**
 * What signed bytes say, for who knows them by their CID. Nobody looks at the signature.
 * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`, `BAD_REQUEST` (path).
 */
export function readUnverifiedVersion(bytes: Uint8Array): {
  readonly cid: CID;
  readonly version: Version;
} {
  const { payload } = openSigned(bytes, { maxBytes: VERSION_BYTES_MAX });
  const version = readVersion(decode(payload, { maxBytes: VERSION_BYTES_MAX }));
  return { cid: versionCidOf(bytes), version };
}

function readVersion(value: unknown): Version {
  const record = new RecordReader(value, 'version', NAMES);
  const author = record.text('author', { maxBytes: 64 });
  if (!isNodeId(author)) throw badVersion('has an author that is not a node id');
  const message = record.has('message')
    ? record.text('message', { maxBytes: MESSAGE_BYTES_MAX })
    : undefined;
  const deleted = record.has('deleted') ? record.flag('deleted') : undefined;
  const shredded = record.has('shredded') ? record.flag('shredded') : undefined;
  if (shredded !== undefined && !(shredded && deleted === true)) {
    throw badVersion('shreds what it does not delete');
  }
  const directory = record.has('directory') ? record.flag('directory') : undefined;
  return {
    path: parsePath(record.text('path', { maxBytes: PATH_BYTES_MAX })),
    root: checkRoot(record.cid('root'), badVersion),
    sizeBytes: record.integer('sizeBytes', 0),
    parents: checkParents(record.cids('parents', PARENTS_MAX), badVersion),
    generation: record.integer('generation', 1),
    sequence: record.integer('sequence', 1),
    time: record.time('time'),
    author,
    ...(message === undefined ? {} : { message }),
    ...(deleted === undefined ? {} : { deleted }),
    ...(shredded === undefined ? {} : { shredded }),
    ...(directory === undefined ? {} : { directory }),
    ...(record.has('keyEpoch') ? { keyEpoch: record.integer('keyEpoch', 1) } : {}),
  };
}

/** @throws {AegisError} what `bad` makes, when `root` cannot be one of a content. */
export function checkRoot(root: CID, bad: (why: string) => AegisError): CID {
  const { code, size } = root.multihash;
  if (root.version !== 1 || (code !== BLAKE3 && code !== SHA2_256) || size !== 32) {
    throw bad('has a root that is not a CIDv1 with BLAKE3 or SHA-256');
  }
  return root;
}

/** Whether a CID has the form of those that versions have. Says nothing about its existence. */
export function isVersionCid(cid: CID): boolean {
  const { code, size } = cid.multihash;
  return cid.version === 1 && cid.code === DAG_CBOR && code === BLAKE3 && size === 32;
}

/** In the order in which parents are written. */
export const sortParents = (parents: readonly CID[]): CID[] =>
  parents.toSorted((a, b) => (a.toString() < b.toString() ? -1 : 1));

/** @throws {AegisError} what `bad` makes, when `parents` could be written in another way. */
export function checkParents(parents: CID[], bad: (why: string) => AegisError): CID[] {
  let before = '';
  for (const parent of parents) {
    if (!isVersionCid(parent)) throw bad('has a parent that is not the CID of a version');
    // One has no order, and the text of a CID costs as much as all else of it.
    if (parents.length === 1) break;
    const text = parent.toString();
    if (text <= before) throw bad('has parents out of order or twice');
    before = text;
  }
  return parents;
}
