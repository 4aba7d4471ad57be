/**
 * A second verifier of proofs, written from docs/proofs.md alone: it uses nothing of src/, and
 * another library for the curve. Refuses with the first reason. It does not compare content.
 */
import { createHash, createHmac } from 'node:crypto';
import { encode } from '@ipld/dag-cbor';
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { bls12_381 } from '@noble/curves/bls12-381.js';
import { blake3 } from '@noble/hashes/blake3.js';
import { base32 } from 'multiformats/bases/base32';
import { CID } from 'multiformats/cid';
import { create as createDigest } from 'multiformats/hashes/digest';
import { attempt, check, decode, refuse, same, type Value } from './cbor.ts';
import * as records from './records.ts';

const hex = (of: Uint8Array): string => Buffer.from(of).toString('hex');
const sha256 = (...parts: readonly (string | Uint8Array)[]): Uint8Array =>
  createHash('sha256')
    .update(Buffer.concat(parts.map((part) => Buffer.from(part))))
    .digest();

// Names and the tree.

class Names {
  readonly #key: Uint8Array;

  constructor(key: Uint8Array) {
    this.#key = key;
  }

  #mac(label: string, of: string): Uint8Array {
    return createHmac('sha256', this.#key).update(`aegis/${label}/1\0${of}`).digest();
  }

  tag(directory: string): Uint8Array {
    return this.#mac('directory', directory).subarray(0, 8);
  }

  keyOf(label: 'ref' | 'mark', of: string): Uint8Array {
    return Buffer.concat([this.tag(directoryOf(of)), this.#mac(label, of).subarray(0, 24)]);
  }

  open(name: Uint8Array): string {
    const nonce = name.subarray(0, 24);
    const key = sha256('aegis/name-key/1\0', this.#key);
    const sealed = name.subarray(24);
    const opened = attempt(
      () => xchacha20poly1305(key, nonce).decrypt(sealed),
      'a name does not open',
    );
    const found = Buffer.from(opened).toString();
    const isUtf8 = same(Buffer.from(found), opened);
    check(isUtf8 && records.isPath(found), 'a name is not of a path');
    check(same(this.#mac('name-nonce', found).subarray(0, 24), nonce), 'another nonce of a name');
    return found;
  }
}

const directoryOf = (of: string): string => of.slice(0, Math.max(of.lastIndexOf('/'), 0));
const bit = (key: Uint8Array, i: number): number => (key[i >> 3]! >> (7 - (i & 7))) & 1;
const begins = (key: Uint8Array, other: Uint8Array, bits: number): boolean =>
  Array.from({ length: bits }).every((_, i) => bit(key, i) === bit(other, i));
const node = (left: Uint8Array, right: Uint8Array): Uint8Array =>
  sha256('aegis/state-node/1\0', left, right);
const leaf = (key: Uint8Array, valueHash: Uint8Array): Uint8Array =>
  sha256('aegis/state-leaf/1\0', key, valueHash);

function subtree(leaves: records.Directory['leaves'], depth: number): Uint8Array {
  const [first, second] = leaves;
  if (first === undefined) return new Uint8Array(32);
  if (second === undefined) return leaf(first[0], sha256(first[1]));
  const half = (side: number): Uint8Array =>
    subtree(
      leaves.filter(([key]) => bit(key, depth) === side),
      depth + 1,
    );
  return node(half(0), half(1));
}

/** What stands at the end of a way where no leaf with the key, or none under the tag, is. */
function nothing(
  claim: { readonly siblings: readonly unknown[]; readonly other?: records.OtherLeaf },
  key: Uint8Array,
): Uint8Array {
  if (claim.other === undefined) return new Uint8Array(32);
  const [otherKey, valueHash] = claim.other;
  check(!begins(otherKey, key, key.length * 8), 'the other leaf is what the claim denies');
  check(begins(otherKey, key, claim.siblings.length), 'the other leaf does not stand there');
  return leaf(otherKey, valueHash);
}

// Claims.

interface ShownValue {
  readonly type: 'value';
  readonly path: string;
  readonly generation: number;
  readonly isErased: boolean;
  readonly heads: readonly { version: string; generation: number; deleted: boolean }[];
  /** The version that it is about, and its content. */
  readonly last: { readonly version: string; readonly root: string } | undefined;
}
interface ShownDirectory {
  readonly type: 'directory';
  readonly path: string;
  readonly paths: readonly string[];
  readonly directories: readonly string[];
  readonly erased: number;
}
type Shown = ShownValue | ShownDirectory | { readonly type: 'absence'; readonly path: string };
interface Verdict {
  readonly height: number;
  readonly time: number;
  readonly digest: string;
  readonly claims: readonly Shown[];
}

class Claims {
  readonly #names: Names;
  readonly #stateRoot: Uint8Array;

  constructor(names: Names, stateRoot: Uint8Array) {
    this.#names = names;
    this.#stateRoot = stateRoot;
  }

  show(claim: Value): Shown {
    const type = claim instanceof Map ? claim.get('type') : undefined;
    if (type === 'value') return this.#value(records.value(claim));
    if (type === 'absence') return this.#absence(records.absence(claim));
    return this.#directory(records.directory(claim));
  }

  #stands(what: Uint8Array, key: Uint8Array, siblings: readonly Uint8Array[]): void {
    const root = siblings.reduceRight(
      (h, sibling, i) => (bit(key, i) === 0 ? node(h, sibling) : node(sibling, h)),
      what,
    );
    check(same(root, this.#stateRoot), 'it does not lead to the root of the state');
  }

  #value({ path, siblings, value, lineage }: ReturnType<typeof records.value>): Shown {
    const key = this.#names.keyOf('ref', path);
    this.#stands(leaf(key, sha256(value)), key, siblings);
    const { name, generation, heads } = records.ref(decode(value));
    check(name === undefined || this.#names.open(name) === path, 'the name is another');
    let allowed: readonly CID[] = heads.map(([version]) => version);
    let last: { version: string; root: string } | undefined;
    for (const signed of lineage) {
      const cid = CID.createV1(0x71, createDigest(0x1e, blake3(signed)));
      const isNext = allowed.some((one) => one.equals(cid));
      check(isNext, 'a version out of line');
      const version = records.version(decode(records.signed(decode(signed)).payload));
      check(version.path === path, 'a version of another path');
      check(records.ascending(version.parents.map(String)), 'parents are not in order');
      allowed = version.parents;
      last = { version: String(cid), root: String(version.root) };
    }
    const shown = heads.map(([version, ...rest]) => ({
      version: String(version),
      generation: rest[0],
      deleted: rest[1] ?? false,
    }));
    const isErased = name === undefined;
    return { type: 'value', path, generation, isErased, heads: shown, last };
  }

  #absence(claim: ReturnType<typeof records.absence>): Shown {
    const key = this.#names.keyOf('ref', claim.path);
    this.#stands(nothing(claim, key), key, claim.siblings);
    return { type: 'absence', path: claim.path };
  }

  #directory(claim: records.Directory): Shown {
    const { leaves, siblings } = claim;
    const tag = this.#names.tag(claim.path);
    const keys = leaves.map(([key]) => hex(key));
    check(
      records.ascending(keys) && keys.every((key) => key.startsWith(hex(tag))),
      'keys are wrong',
    );
    check(leaves.length === 0 || claim.other === undefined, 'leaves and another one');
    check(leaves.length < 2 || siblings.length === 64, 'leaves beside the way');
    const there = leaves.length === 0 ? nothing(claim, tag) : subtree(leaves, 64);
    this.#stands(there, tag, siblings);
    const [paths, directories]: [string[], string[]] = [[], []];
    let erased = 0;
    for (const [key, value] of leaves) {
      const read = decode(value);
      const type = read instanceof Map ? read.get('type') : undefined;
      if (type !== 'ref' && type !== 'mark') continue;
      const { name } = type === 'ref' ? records.ref(read) : records.mark(read);
      if (name === undefined) {
        erased += 1;
        continue;
      }
      const found = this.#names.open(name);
      check(same(this.#names.keyOf(type, found), key), 'a name under the key of another');
      if (directoryOf(found) === claim.path) (type === 'ref' ? paths : directories).push(found);
    }
    return { type: 'directory', path: claim.path, paths, directories, erased };
  }
}

// Links.

/** Whether signatures held that were looked at before, by all that went into them. */
export type Memo = Map<string, boolean>;
const curve = bls12_381.longSignatures;
const SUITE = 'BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_';

/** FastAggregateVerify. */
function isSigned(
  keys: readonly Uint8Array[],
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  try {
    const points = keys.map((key) => bls12_381.G1.Point.fromBytes(key));
    const point = curve.Signature.fromBytes(signature);
    const sum = curve.aggregatePublicKeys(points);
    if ([...points, sum, point].some((one) => one.is0())) return false;
    return curve.verify(point, curve.hash(message, SUITE), sum);
  } catch {
    return false;
  }
}

function checkCertificate(
  certificate: Uint8Array,
  block: { readonly header: records.Header; readonly digest: Uint8Array },
  custodians: records.Custodians,
  memo: Memo,
): void {
  const [, height, view, digest, bitmap, signature] = records.certificate(decode(certificate));
  check(
    height === block.header.height && same(digest, block.digest),
    'a certificate of another block',
  );
  check(bitmap.at(-1) !== 0 && bitmap.length <= Math.ceil(custodians.length / 8), 'a wrong bitmap');
  const indices = Array.from({ length: bitmap.length * 8 }, (_, i) => i);
  const signers = indices.filter((i) => ((bitmap[i >> 3]! >> (i & 7)) & 1) === 1);
  check(
    signers.every((i) => i < custodians.length),
    'a signer that there is not',
  );
  const faulty = Math.floor((custodians.length - 1) / 3);
  check(signers.length >= custodians.length - faulty, 'too few signers');
  const numbers = Buffer.alloc(12);
  numbers.writeUIntBE(height, 2, 6);
  numbers.writeUInt32BE(view, 8);
  const cluster = Buffer.from(block.header.clusterId);
  const message = Buffer.concat([
    Buffer.from('aegis/consensus/1\0'),
    Buffer.from([cluster.length]),
    cluster,
    Buffer.from([3]),
    numbers,
    digest,
  ]);
  const keys = signers.map((i) => custodians[i]![1]);
  const memoKey = hex(sha256(signature, message, ...keys));
  const holds = memo.get(memoKey) ?? isSigned(keys, message, signature);
  memo.set(memoKey, holds);
  check(holds, 'the signature does not hold');
}

// The whole.

interface Checkpoint {
  readonly height: number;
  /** In lower hex. */
  readonly digest: string;
}

const GENESIS_BYTES_MAX = 4 * 2 ** 20;
const FILE_BYTES_MAX = 16 * 2 ** 20;
const ARMOUR = /^-----BEGIN AEGIS GENESIS-----([^-]*)-----END AEGIS GENESIS-----$/;

/** The bytes of the record, which may be there in its text form. */
function genesisBytes(file: Uint8Array): Uint8Array {
  check(file.length <= 2 * GENESIS_BYTES_MAX, 'the genesis is too long');
  const text = Buffer.from(file).toString('latin1').trim();
  if (!text.startsWith('-----BEGIN')) return file;
  const base64 = (ARMOUR.exec(text)?.[1] ?? refuse('no genesis')).replaceAll(/\s/g, '');
  const read = Buffer.from(base64, 'base64');
  check(read.toString('base64') === base64, 'the base64 of the genesis is wrong');
  return read;
}

/** Returns the verdict, or throws the first reason why it is no proof. */
export function verify(
  file: Uint8Array,
  genesisFile: Uint8Array,
  { checkpoint, memo = new Map() }: { checkpoint?: Checkpoint | undefined; memo?: Memo } = {},
): Verdict {
  const genesisRecord = genesisBytes(genesisFile);
  check(genesisRecord.length <= GENESIS_BYTES_MAX, 'the genesis is too long');
  const genesis = records.genesis(decode(genesisRecord));
  const clusterId = `aegisc1${base32.encode(sha256(genesisRecord)).slice(1)}`;
  check(file.length <= FILE_BYTES_MAX, 'the file is too long');
  const proof = records.proof(decode(file));
  check(proof.clusterId === clusterId, 'a proof of another cluster');

  const links = proof.links.map((link) => {
    const header = records.header(decode(link.header));
    check(header.clusterId === clusterId, 'a block of another cluster');
    return { ...link, header, digest: sha256(link.header) };
  });
  const heights = links.map(({ header }) => header.height);
  check(
    heights.every((height, i) => i === 0 || heights[i - 1]! < height),
    'heights do not ascend',
  );

  let custodians: records.Custodians = genesis.custodians;
  const trusted = links.findIndex(({ header }) => header.height === checkpoint?.height);
  check(checkpoint === undefined || trusted !== -1, 'no link of the checkpoint');
  for (const [i, link] of links.entries()) {
    if (i < trusted) continue;
    if (i === trusted) {
      check(hex(link.digest) === checkpoint!.digest, 'another block than the checkpoint');
      check(link.custodians !== undefined, 'the checkpoint names no custodians');
    } else {
      check(link.certificate !== undefined, 'a link without a certificate');
      checkCertificate(link.certificate, link, custodians, memo);
    }
    custodians = link.custodians ?? custodians;
    const named = sha256(encode(['aegis/custodians/1', custodians]));
    check(same(named, link.header.custodians), 'other custodians than in the header');
  }

  const { header, digest } = links.at(-1)!;
  const names = new Names(
    genesis.origin?.names ?? createHmac('sha256', 'aegis/names/1').update(genesisRecord).digest(),
  );
  const claims = new Claims(names, header.stateRoot);
  return {
    height: header.height,
    time: header.time,
    digest: hex(digest),
    claims: proof.claims.map((claim) => claims.show(claim)),
  };
}
