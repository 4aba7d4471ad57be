/**
 * The bytes of a proof and of what it brings along: one encoding each, with a limit for all that
 * can be long. Whether any of it holds is for the verifier to say.
 */
import { CID } from 'multiformats/cid';
import { AegisError } from '../errors.ts';
import { HEADER_BYTES_MAX } from '../model/block.ts';
import { decode, encode } from '../model/cbor.ts';
import { custodianPairs, readCustodians } from '../model/custodians.ts';
import { MERGE_BYTES_MAX } from '../model/merge.ts';
import { SEALED_NAME_BYTES_MAX } from '../model/names.ts';
import { PATH_BYTES_MAX, parsePath } from '../model/path.ts';
import { RecordReader } from '../model/record.ts';
import { isVersionCid } from '../model/version.ts';
import type { Claim, OtherLeaf, Proof, ProofLeaf, ProofLink, ProvenHead } from './types.ts';

export const PROOF_LIMITS = {
  proofBytesMax: 16 * 1024 * 1024,
  /** More membership epochs than a cluster sees. */
  linksMax: 4096,
  claimsMax: 256,
  /** Of a key of the state. */
  siblingsMax: 256,
  /** Versions from a head to the one that is meant. */
  lineageMax: 1024,
  /** What lies in one directory. */
  leavesMax: 65_536,
  certificateBytesMax: 512,
  stateValueBytesMax: 8192,
} as const;
const HASH_BYTES = 32;
const HEADS_MAX = 32;
const BITMAP_BYTES_MAX = 32;
const SIGNATURE_BYTES = 96;
const VIEW_MAX = 2 ** 32 - 1;
/** Heights have 48 bits wherever they are signed. */
export const HEIGHT_MAX = 2 ** 48 - 1;

/** The fields of each type of claim. */
const CLAIM_FIELDS: ReadonlyMap<unknown, readonly string[]> = new Map([
  ['value', ['type', 'path', 'siblings', 'value', 'lineage']],
  ['absence', ['type', 'path', 'siblings', 'other']],
  ['directory', ['type', 'path', 'siblings', 'other', 'leaves']],
]);

const bad = (why: string): AegisError => new AegisError('BAD_PROOF', why);

/** @throws {AegisError} `TOO_LARGE`. */
export function encodeProof({ clusterId, links, claims }: Proof): Uint8Array {
  const record = {
    ...{ v: 1, type: 'proof', clusterId },
    links: links.map(linkValue),
    claims: claims.map(claimValue),
  };
  const bytes = encode(record);
  if (bytes.length <= PROOF_LIMITS.proofBytesMax) return bytes;
  throw new AegisError('TOO_LARGE', `the proof has more than ${PROOF_LIMITS.proofBytesMax} bytes`);
}

const linkValue = ({ header, certificate, custodians }: ProofLink): unknown => ({
  header,
  ...(certificate === undefined ? {} : { certificate }),
  ...(custodians === undefined ? {} : { custodians: custodianPairs(custodians) }),
});

function claimValue(claim: Claim): unknown {
  const { type, path } = claim;
  const placed = { type, path, siblings: [...claim.siblings] };
  if (claim.type === 'value') {
    return { ...placed, value: claim.value, lineage: [...claim.lineage] };
  }
  const { other } = claim;
  const beside = other === undefined ? {} : { other: [other.key, other.valueHash] };
  if (claim.type === 'absence') return { ...placed, ...beside };
  return { ...placed, ...beside, leaves: claim.leaves.map(({ key, value }) => [key, value]) };
}

/** @throws {AegisError} `BAD_PROOF`, `BAD_ENCODING`, `TOO_LARGE`, `BAD_REQUEST` for a path. */
export function readProof(bytes: Uint8Array): Proof {
  const value = decode(bytes, { maxBytes: PROOF_LIMITS.proofBytesMax });
  const record = new RecordReader(value, 'proof', ['clusterId', 'links', 'claims']);
  const links = record.list('links', PROOF_LIMITS.linksMax).map(readLink);
  const claims = record.list('claims', PROOF_LIMITS.claimsMax).map(readClaim);
  if (links.length === 0) throw bad('the proof has no links');
  if (claims.length === 0) throw bad('the proof claims nothing');
  return { clusterId: record.text('clusterId', { maxBytes: 64 }), links, claims };
}

function readLink(value: unknown): ProofLink {
  const record = new RecordReader(value, 'link', ['header', 'certificate', 'custodians'], null);
  return {
    header: record.bytes('header', { maxBytes: HEADER_BYTES_MAX }),
    certificate: record.has('certificate')
      ? record.bytes('certificate', { maxBytes: PROOF_LIMITS.certificateBytesMax })
      : undefined,
    custodians: record.has('custodians') ? readCustodians(record.item('custodians')) : undefined,
  };
}

function readClaim(value: unknown): Claim {
  const { type } = Object(value) as { readonly type?: unknown };
  const fields = CLAIM_FIELDS.get(type);
  if (fields === undefined) throw bad('a claim has a type that this aegis does not know');
  const claim = new RecordReader(value, 'claim', fields, null);
  const text = claim.text('path', { maxBytes: PATH_BYTES_MAX });
  const path = type === 'directory' && text === '' ? text : parsePath(text);
  const siblings = claim.byteStrings('siblings', PROOF_LIMITS.siblingsMax, HASH_BYTES);
  if (siblings.some(({ length }) => length !== HASH_BYTES)) {
    throw bad('a sibling does not have 32 bytes');
  }
  if (type === 'value') {
    const lineage = claim.byteStrings('lineage', PROOF_LIMITS.lineageMax, MERGE_BYTES_MAX);
    const held = claim.bytes('value', { maxBytes: PROOF_LIMITS.stateValueBytesMax });
    return { type, path, siblings, value: held, lineage };
  }
  const other = claim.has('other') ? readOther(claim) : undefined;
  if (type !== 'directory') return { type: 'absence', path, siblings, other };
  const leaves = claim.list('leaves', PROOF_LIMITS.leavesMax).map(readLeaf);
  return { type, path, siblings, other, leaves };
}

function readOther(claim: RecordReader): OtherLeaf {
  const [key, valueHash, ...more] = claim.byteStrings('other', 2, HASH_BYTES);
  if (key?.length !== HASH_BYTES || valueHash?.length !== HASH_BYTES || more.length > 0) {
    throw bad('the other leaf of a claim is none');
  }
  return { key, valueHash };
}

function readLeaf(item: unknown): ProofLeaf {
  const [key, value, ...more] = Array.isArray(item) ? (item as unknown[]) : [];
  const isLeaf =
    key instanceof Uint8Array && key.length === HASH_BYTES && value instanceof Uint8Array;
  if (!isLeaf || value.length > PROOF_LIMITS.stateValueBytesMax || more.length > 0) {
    throw bad('a leaf of a directory is none');
  }
  return { key, value };
}

export interface CommitCertificate {
  readonly height: number;
  readonly view: number;
  readonly digest: Uint8Array;
  /** Indices of custodians, ascending. */
  readonly signers: readonly number[];
  readonly signature: Uint8Array;
}

/** @throws {AegisError} `BAD_PROOF`, `BAD_ENCODING`, `TOO_LARGE`. */
export function readCommitCertificate(bytes: Uint8Array): CommitCertificate {
  const value = decode(bytes, { maxBytes: PROOF_LIMITS.certificateBytesMax });
  const fields: readonly unknown[] = Array.isArray(value) ? value : [];
  const [phase, height, view, digest, bitmap, signature] = fields;
  const isRead =
    fields.length === 6 &&
    isInteger(height, 1, HEIGHT_MAX) &&
    isInteger(view, 0, VIEW_MAX) &&
    isBytes(digest, HASH_BYTES) &&
    isBytes(signature, SIGNATURE_BYTES) &&
    bitmap instanceof Uint8Array &&
    bitmap.length <= BITMAP_BYTES_MAX &&
    // Without a byte more than the highest bit needs; some bit is set.
    (bitmap.at(-1) ?? 0) !== 0;
  if (!isRead || phase !== 'commit') throw bad('a certificate is none of a commit');
  const indices = Array.from({ length: bitmap.length * 8 }, (_, at) => at);
  const signers = indices.filter((at) => ((bitmap[at >> 3]! >> (at & 7)) & 1) === 1);
  return { height, view, digest, signers, signature };
}

/** What a leaf of the state says; `undefined` of a leaf that is neither of a path nor a mark. */
export type StateValue =
  | {
      readonly type: 'ref';
      /** Encrypted; `undefined` once it is erased. */
      readonly name: Uint8Array | undefined;
      readonly generation: number;
      readonly heads: readonly ProvenHead[];
    }
  | { readonly type: 'mark'; readonly name: Uint8Array };

/** @throws {AegisError} `BAD_PROOF`, `BAD_ENCODING`. */
export function readStateValue(bytes: Uint8Array): StateValue | undefined {
  const value = decode(bytes, { maxBytes: PROOF_LIMITS.stateValueBytesMax });
  const { type } = Object(value) as { readonly type?: unknown };
  const nameOf = (record: RecordReader) =>
    record.bytes('name', { maxBytes: SEALED_NAME_BYTES_MAX });
  if (type === 'mark') return { type, name: nameOf(new RecordReader(value, type, ['name'])) };
  if (type !== 'ref') return undefined;
  const record = new RecordReader(value, type, ['name', 'generation', 'heads'], 2);
  return {
    type,
    name: record.has('name') ? nameOf(record) : undefined,
    generation: record.integer('generation', 0),
    heads: record.list('heads', HEADS_MAX).map(readHead),
  };
}

function readHead(item: unknown): ProvenHead {
  const [version, generation, deleted, ...more] = Array.isArray(item) ? (item as unknown[]) : [];
  const isFlagged = deleted === undefined || deleted === true;
  const isWhole = isInteger(generation, 1, Number.MAX_SAFE_INTEGER) && more.length === 0;
  if (!(version instanceof CID) || !isVersionCid(version) || !isWhole || !isFlagged) {
    throw bad('a value has a head that is none');
  }
  return { version, generation, deleted: deleted === true };
}

const isBytes = (value: unknown, length: number): value is Uint8Array =>
  value instanceof Uint8Array && value.length === length;

const isInteger = (value: unknown, min: number, max: number): value is number =>
  Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
