/**
 * Verifies a proof (docs/proofs.md) from its bytes, the genesis and nothing else: no node, no
 * store, no clock. It is a check on consensus/ and chain/ and uses neither: what it knows of them
 * stands in the document. It makes no proofs, and cannot say whether there is a later height.
 */
import type { CID } from 'multiformats/cid';
import { hex, sameBytes } from '../bytes.ts';
import { base32 } from '../crypto/base32.ts';
import { fastAggregateVerify } from '../crypto/bls.ts';
import { sha256, sha256Hex } from '../crypto/hash.ts';
import { AegisError, isAegisError } from '../errors.ts';
import { type BlockHeader, readHeader } from '../model/block.ts';
import { decode } from '../model/cbor.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import { type CustodianEntry, custodiansDigest, readCustodians } from '../model/custodians.ts';
import { GENESIS_BYTES_MAX } from '../model/genesis.ts';
import { readUnverifiedRecord } from '../model/merge.ts';
import { Names, nameKeyOf } from '../model/names.ts';
import { bytesOfText, RecordReader } from '../model/record.ts';
import { HEIGHT_MAX, readCommitCertificate, readProof, readStateValue } from './codec.ts';
import type {
  AbsenceClaim,
  Claim,
  DirectoryClaim,
  Finding,
  OtherLeaf,
  ProofLeaf,
  ProofLink,
  ProvenHead,
  ProvenValue,
  ProvenVersion,
  ValueClaim,
  Verdict,
} from './types.ts';

const GENESIS_VERSION = 4;
/** Bits of the tag with which the keys of a directory begin. */
const TAG_BITS = 64;
/** What a commit vote is called in the bytes under it. */
const COMMIT = 3;

export interface VerifyOptions {
  readonly checkpoint?: Checkpoint | undefined;
  /** For who verifies many proofs of one history: may remember. @default fastAggregateVerify */
  readonly holds?: typeof fastAggregateVerify | undefined;
}

interface Trust {
  readonly clusterId: string;
  readonly names: Names;
  /** Of height 1. */
  readonly custodians: readonly CustodianEntry[];
}

interface Link extends ProofLink {
  readonly read: BlockHeader;
  /** Hex. */
  readonly digest: string;
}

const bad = (why: string, hint?: string): AegisError =>
  new AegisError('BAD_PROOF', why, hint === undefined ? {} : { hint });

/**
 * What the proof shows, if it is one.
 * @throws {AegisError} `BAD_PROOF` with the first reason found; `BAD_ENCODING`, `TOO_LARGE` for
 * bytes that are no genesis.
 */
export function verifyProof(
  bytes: Uint8Array,
  genesisBytes: Uint8Array,
  options: VerifyOptions = {},
): Verdict {
  const trust = readTrust(genesisBytes);
  try {
    return verify(bytes, trust, options);
  } catch (error) {
    if (!isAegisError(error) || error.code === 'BAD_PROOF') throw error;
    throw new AegisError('BAD_PROOF', error.message, { cause: error });
  }
}

/** The genesis, as far as it is the root of trust. Whether its bundles hold is not asked here. */
function readTrust(bytes: Uint8Array): Trust {
  const value = decode(bytes, { maxBytes: GENESIS_BYTES_MAX });
  const fields = Object.keys(Object(value) as object);
  const record = new RecordReader(value, 'genesis', fields, GENESIS_VERSION);
  return {
    clusterId: `aegisc1${base32(sha256(bytes))}`,
    names: new Names(record.has('origin') ? oldNameKey(record.item('origin')) : nameKeyOf(bytes)),
    custodians: readCustodians(record.item('custodians')),
  };
}

/** R2: a recovered cluster goes on with the state, and so with the names, of the oldest one. */
function oldNameKey(origin: unknown): Uint8Array {
  const fields = Object.keys(Object(origin) as object);
  return new RecordReader(origin, 'origin', fields, null).bytes('names', { length: 32 });
}

/** The signatures come last: they cost the most, and most of what fails fails before them. */
function verify(bytes: Uint8Array, trust: Trust, options: VerifyOptions): Verdict {
  const { clusterId, names } = trust;
  const proof = readProof(bytes);
  if (proof.clusterId !== clusterId) throw bad('the proof is of another cluster than the genesis');
  const links = proof.links.map((link) => readLink(link, clusterId));
  checkAscending(links);
  const start = startOf(links, trust, options.checkpoint);
  const steps = stepsOf(links.slice(start.at), start.custodians);
  const last = links.at(-1)!;
  const claims = proof.claims.map((claim) => new Prover(claim, last.read.stateRoot, names).find());
  for (const step of steps) checkCertificate(step, clusterId, options.holds);
  const { height, time, protocol } = last.read;
  const certificates = steps.length;
  return { clusterId, height, time, digest: last.digest, protocol, certificates, claims };
}

function readLink(link: ProofLink, clusterId: string): Link {
  const read = readHeader(link.header);
  if (read.clusterId !== clusterId) throw bad('a link is of another cluster');
  if (read.height > HEIGHT_MAX) throw bad('a link has a height that no block has');
  return { ...link, read, digest: sha256Hex(link.header) };
}

function checkAscending(links: readonly Link[]): void {
  for (const [at, { read }] of links.entries()) {
    if (at > 0 && read.height <= links[at - 1]!.read.height) {
      throw bad('the links are not in the order of their heights');
    }
  }
}

interface Start {
  /** The first link that needs a certificate. */
  readonly at: number;
  /** Of the height after the one that is trusted. */
  readonly custodians: readonly CustodianEntry[];
}

/** Where trust begins: at the genesis, or at the link that is the checkpoint (Y5). */
function startOf(links: readonly Link[], trust: Trust, checkpoint: Checkpoint | undefined): Start {
  if (checkpoint === undefined) return { at: 0, custodians: trust.custodians };
  const { height } = checkpoint;
  const at = links.findIndex(({ read }) => read.height === height);
  const link = links[at];
  if (link === undefined) throw bad(`the proof has no link of height ${height}`);
  if (link.digest !== checkpoint.digest) {
    throw bad(`the block of height ${height} is not that of the checkpoint`);
  }
  if (link.custodians === undefined) {
    throw bad('the link of the checkpoint does not name the custodians after it');
  }
  checkNamed(link, link.custodians);
  return { at: at + 1, custodians: link.custodians };
}

interface Step {
  readonly link: Link;
  /** Of its height. */
  readonly custodians: readonly CustodianEntry[];
}

/** Each link with those whose certificate it needs. */
function stepsOf(links: readonly Link[], first: readonly CustodianEntry[]): Step[] {
  let custodians = first;
  return links.map((link) => {
    const step = { link, custodians };
    custodians = link.custodians ?? custodians;
    checkNamed(link, custodians);
    return step;
  });
}

/** E1: a header names the custodians of the height after it. */
function checkNamed({ read }: Link, custodians: readonly CustodianEntry[]): void {
  if (sameBytes(custodiansDigest(custodians), read.custodians)) return;
  throw bad(`the block of height ${read.height} names other custodians after it`);
}

function checkCertificate(
  { link, custodians }: Step,
  clusterId: string,
  holds = fastAggregateVerify,
): void {
  const { height } = link.read;
  if (link.certificate === undefined) {
    const hint = `It may be a checkpoint, which you trust: --checkpoint ${height}:HASH`;
    throw bad(`the block of height ${height} has no certificate`, hint);
  }
  const certificate = readCommitCertificate(link.certificate);
  const { signers, view, digest, signature } = certificate;
  if (certificate.height !== height || hex(digest) !== link.digest) {
    throw bad(`the certificate of height ${height} is not one of its block`);
  }
  const faultyMax = Math.floor((custodians.length - 1) / 3);
  if (signers.at(-1)! >= custodians.length) throw bad('a certificate is of more than there are');
  if (signers.length < custodians.length - faultyMax) {
    throw bad(`the certificate of height ${height} has too few signers`);
  }
  const keys = signers.map((at) => custodians[at]!.consensusKey);
  if (!holds(keys, commitMessage(clusterId, height, view, digest), signature)) {
    throw bad(`the signature of the certificate of height ${height} does not hold`);
  }
}

function commitMessage(id: string, height: number, view: number, digest: Uint8Array): Uint8Array {
  const cluster = Buffer.from(id);
  const place = Buffer.alloc(1 + 8 + 4);
  place.writeUInt8(COMMIT, 0);
  place.writeBigUInt64BE(BigInt(height), 1);
  place.writeUInt32BE(view, 9);
  const domain = Buffer.from('aegis/consensus/1\0');
  return Buffer.concat([domain, Buffer.of(cluster.length), cluster, place, digest]);
}

const LEAF_DOMAIN = bytesOfText('aegis/state-leaf/1\0');
const NODE_DOMAIN = bytesOfText('aegis/state-node/1\0');
const EMPTY = new Uint8Array(32);

const leafHash = (key: Uint8Array, valueHash: Uint8Array): Uint8Array =>
  sha256(Buffer.concat([LEAF_DOMAIN, key, valueHash]));

const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array =>
  sha256(Buffer.concat([NODE_DOMAIN, left, right]));

/** The highest bit of the first byte is bit 0. */
const bitOf = (key: Uint8Array, at: number): number => (key[at >> 3]! >> (7 - (at & 7))) & 1;

/** Of leaves in the order of their keys, which begin with the same `depth` bits. */
function subtreeHash(leaves: readonly ProofLeaf[], depth: number): Uint8Array {
  const [first] = leaves;
  if (first === undefined) return EMPTY;
  if (leaves.length === 1) return leafHash(first.key, sha256(first.value));
  const at = leaves.findIndex(({ key }) => bitOf(key, depth) === 1);
  const middle = at === -1 ? leaves.length : at;
  const left = subtreeHash(leaves.slice(0, middle), depth + 1);
  return nodeHash(left, subtreeHash(leaves.slice(middle), depth + 1));
}

/** Checks one claim against the root of the state. */
class Prover {
  readonly #claim: Claim;
  readonly #root: Uint8Array;
  readonly #names: Names;

  constructor(claim: Claim, root: Uint8Array, names: Names) {
    this.#claim = claim;
    this.#root = root;
    this.#names = names;
  }

  find(): Finding {
    const claim = this.#claim;
    if (claim.type === 'value') return this.#value(claim);
    return claim.type === 'absence' ? this.#absence(claim) : this.#directory(claim);
  }

  /** Whether `bottom` stands where the siblings lead, along the bits of `key`. */
  #checkPlace(key: Uint8Array, bottom: Uint8Array): void {
    const hash = this.#claim.siblings.reduceRight((below, sibling, depth) => {
      return bitOf(key, depth) === 0 ? nodeHash(below, sibling) : nodeHash(sibling, below);
    }, bottom);
    if (!sameBytes(hash, this.#root)) throw bad('a claim does not lead to the root of the state');
  }

  /** The hash of what stands where there is nothing of `key`. */
  #nothing(other: OtherLeaf | undefined, key: Uint8Array): Uint8Array {
    if (other === undefined) return EMPTY;
    // A leaf that begins like the key is that key, or lies in the directory of that tag.
    if (sameBytes(other.key.subarray(0, key.length), key)) throw bad('what is absent is there');
    const isBeside = this.#claim.siblings.every((_, at) => bitOf(other.key, at) === bitOf(key, at));
    if (!isBeside) throw bad('the other leaf of a claim stands somewhere else');
    return leafHash(other.key, other.valueHash);
  }

  #absence({ path, other }: AbsenceClaim): Finding {
    const key = fromHex(this.#names.refKey(path));
    this.#checkPlace(key, this.#nothing(other, key));
    return { type: 'absence', path };
  }

  #value({ path, value, lineage }: ValueClaim): Finding {
    const key = fromHex(this.#names.refKey(path));
    this.#checkPlace(key, leafHash(key, sha256(value)));
    const read = readStateValue(value);
    if (read?.type !== 'ref') throw bad('a value is none of a path');
    const { name, generation, heads } = read;
    const isErased = name === undefined;
    if (!isErased && this.#names.open(name) !== path) throw bad('a value has another name');
    const version = followLineage(lineage, path, heads);
    const found = { type: 'value' as const, path, generation, heads, isErased };
    return version === undefined ? found : { ...found, version };
  }

  /** All that lies in a directory: the whole subtree of the keys that begin with its tag. */
  #directory({ path, siblings, other, leaves }: DirectoryClaim): Finding {
    const tag = fromHex(this.#names.tagOf(path));
    if (leaves.some(({ key }) => !sameBytes(key.subarray(0, tag.length), tag))) {
      throw bad('a leaf is of another directory');
    }
    const isSorted = leaves.every(
      ({ key }, at) => at === 0 || Buffer.compare(leaves[at - 1]!.key, key) < 0,
    );
    if (!isSorted) throw bad('the leaves of a directory are not in the order of their keys');
    const isShort = siblings.length < TAG_BITS;
    if (siblings.length > TAG_BITS || (isShort && leaves.length > 1)) {
      throw bad('a directory begins somewhere else in the state');
    }
    if (leaves.length > 0 && other !== undefined) throw bad('a directory is and is not empty');
    const bottom = leaves.length > 0 ? subtreeHash(leaves, TAG_BITS) : this.#nothing(other, tag);
    this.#checkPlace(tag, bottom);
    return { type: 'directory', path, ...this.#contents(leaves, path) };
  }

  #contents(leaves: readonly ProofLeaf[], directory: string) {
    const values: ProvenValue[] = [];
    const directories: string[] = [];
    let erased = 0;
    for (const { key, value } of leaves) {
      const read = readStateValue(value);
      if (read?.name === undefined) {
        if (read !== undefined) erased += 1;
        continue;
      }
      const path = this.#names.open(read.name);
      const keyOf = read.type === 'ref' ? this.#names.refKey(path) : this.#names.markKey(path);
      if (keyOf !== hex(key)) throw bad('a leaf of a directory has the name of another');
      // Two directories may have one tag by chance.
      if (path.slice(0, Math.max(0, path.lastIndexOf('/'))) !== directory) continue;
      if (read.type === 'mark') directories.push(path);
      else values.push({ path, ...pick(read), isErased: false });
    }
    values.sort((a, b) => (a.path < b.path ? -1 : 1));
    return { values, directories: directories.toSorted(), erased };
  }
}

const pick = ({ generation, heads }: Pick<ProvenValue, 'generation' | 'heads'>) => ({
  generation,
  heads,
});

/** A version names its parents by their hashes, so a head stands for all that came before it. */
function followLineage(
  lineage: readonly Uint8Array[],
  path: string,
  heads: readonly ProvenHead[],
): ProvenVersion | undefined {
  let expected: readonly CID[] = heads.map(({ version }) => version);
  let last: ProvenVersion | undefined;
  for (const bytes of lineage) {
    const { cid, version } = readUnverifiedRecord(bytes);
    if (!expected.some((one) => one.equals(cid))) throw bad('a version is not in the lineage');
    if (version.path !== path) throw bad('a version is of another path');
    last = { cid, version, isHead: last === undefined };
    expected = version.parents;
  }
  return last;
}

const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));
