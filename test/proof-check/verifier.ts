/**
 * A second verifier of proofs, written from docs/proofs.md alone and in its order: it uses nothing
 * of src/, and another library for the curve. It does not compare content.
 */
import { createHash, createHmac } from 'node:crypto';
import { encode } from '@ipld/dag-cbor';
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { bls12_381 } from '@noble/curves/bls12-381.js';
import { blake3 } from '@noble/hashes/blake3.js';
import { base32 } from 'multiformats/bases/base32';
import { CID } from 'multiformats/cid';
import { create as createDigest } from 'multiformats/hashes/digest';
import * as v from 'valibot';

export class NoProof extends Error {}
function check(holds: boolean, reason: string): asserts holds {
  if (!holds) throw new NoProof(reason);
}
/** For libraries that throw errors of their own. */
function attempt<T>(run: () => T, reason: string): T {
  try {
    return run();
  } catch (cause) {
    throw new NoProof(reason, { cause });
  }
}

// Bytes.
type Bytes = Uint8Array;
const hex = (of: Bytes): string => Buffer.from(of).toString('hex');
const same = (a: Bytes, b: Bytes): boolean => Buffer.compare(a, b) === 0;
const ascend = (all: (string | number)[]) => all.every((one, i) => i === 0 || all[i - 1]! < one);
const sha256 = (...parts: readonly (string | Bytes)[]): Bytes =>
  parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();
const hmac = (key: string | Bytes, over: string | Bytes): Bytes =>
  createHmac('sha256', key).update(over).digest();

// Reads loosely, and then wants that the published encoder makes the same bytes of it: there is one
// form of everything. (The published decoder would take byte order marks out of texts.)
function decode(from: Bytes): unknown {
  let at = 0;
  const take = (count: number): Bytes => from.subarray(at, (at += count));
  const item = (left: number): unknown => {
    const first = take(1)[0] ?? 0xff;
    const [major, low] = [first >> 5, first & 31];
    const count = low < 24 ? low : take(1 << (low - 24)).reduce((sum, byte) => sum * 256 + byte, 0);
    if (major === 0) return count;
    if (major === 2) return take(count);
    if (major === 3) return Buffer.from(take(count)).toString();
    if (first >= 0xf4 && first <= 0xf6) return [false, true, null][first - 0xf4];
    check(major > 3 && major < 7 && left > 0, 'nested too deep, or what may not be there');
    if (major === 6) {
      const cid = attempt(() => CID.decode((item(0) as Bytes).subarray(1)), 'not a CID');
      return CID.createV1(cid.code, createDigest(cid.multihash.code, cid.multihash.digest));
    }
    const all: unknown[] = [];
    while (all.length < count) all.push(major === 4 ? item(left - 1) : [item(0), item(left - 1)]);
    return major === 4 ? all : Object.fromEntries(all as [string, unknown][]);
  };
  const value = item(32);
  const again = attempt(() => encode(value), 'not DAG-CBOR');
  check(same(again, from), 'not in the one form of DAG-CBOR');
  return value;
}

const [record, tuple, maybe, is] = [v.strictObject, v.strictTuple, v.optional, v.literal];
function read<S extends v.GenericSchema>(schema: S, from: Bytes, what: string): v.InferOutput<S> {
  const value = decode(from);
  return attempt(() => v.parse(schema, value), `not ${what}`);
}
const integer = (least: number, most = Infinity) =>
  v.pipe(v.number(), v.minValue(least), v.maxValue(most));
const text = (holds: (of: string) => boolean) => v.pipe(v.string(), v.check(holds));
const bytes = (least: number, most = least) =>
  v.custom<Bytes>((it) => it instanceof Uint8Array && it.length >= least && it.length <= most);
const cid = (holds: (of: CID) => boolean) =>
  v.custom<CID>((it) => it instanceof CID && it.multihash.size === 32 && holds(it));
const list = <S extends v.GenericSchema>(item: S, least: number, most: number) =>
  v.pipe(v.array(item), v.minLength(least), v.maxLength(most));
const ordered = <T>(all: v.GenericSchema<T[]>, by: (one: T) => string) =>
  v.custom<T[]>((it) => v.is(all, it) && ascend(it.map(by)));
const [hash, time] = [bytes(32), integer(0, 253_402_300_799_999)];
const nodeId = text((of) => /^aegis1[a-z2-7]{51}[aq]$/.test(of)); // The last: four bits are zero.
const isPath = (of: string): boolean =>
  Buffer.byteLength(of) <= 1024 && !of.includes('\0') && !/(^|\/)\.{0,2}(\/|$)/.test(of);
const directoryOf = (of: string): string => of.slice(0, Math.max(of.lastIndexOf('/'), 0));
const path = text(isPath);

// The genesis.
const custodians = ordered(list(tuple([nodeId, bytes(48)]), 1, 256), ([id]) => id);
const origin = maybe(v.object({ names: hash }));
const genesis = v.object({ v: is(4), type: is('genesis'), custodians, origin });
const ARMOUR = /^\s*-----BEGIN AEGIS GENESIS-----([^-]*)-----END AEGIS GENESIS-----\s*$/;
/** The bytes of the record, which may be there in its text form. */
function genesisBytes(file: Bytes): Bytes {
  const base64 = ARMOUR.exec(Buffer.from(file).toString('latin1'))?.[1]?.replaceAll(/\s/g, '');
  if (base64 === undefined) return file;
  const founding = Buffer.from(base64, 'base64');
  check(founding.toString('base64') === base64, 'the base64 of the genesis is wrong');
  return founding;
}

// The file, of which claims are read last.
const certificate = maybe(bytes(0, 512));
const link = record({ header: bytes(0, 1024), certificate, custodians: maybe(custodians) });
const [links, claims] = [list(link, 1, 4096), list(v.unknown(), 1, 256)];
const proof = record({ v: is(1), type: is('proof'), clusterId: v.string(), links, claims });

// Following the links.
/** Signatures that held before, by all that went into them. */
export type Memo = Set<string>;
type Link = v.InferOutput<typeof link>;
type Custodians = v.InferOutput<typeof custodians>;
const commit = [is('commit'), integer(1), integer(0, 2 ** 32 - 1), hash] as const;
const signedCommit = tuple([...commit, bytes(0, 32), bytes(96)]);
const fixed = (number: number, length: number): Bytes =>
  Buffer.from(number.toString(16).padStart(2 * length, '0'), 'hex');
/** FastAggregateVerify; throws if a point is none. */
function isSigned(keys: readonly Bytes[], message: Bytes, signature: Bytes): boolean {
  const curve = bls12_381.longSignatures;
  const points = keys.map((key) => bls12_381.G1.Point.fromBytes(key));
  const [sum, point] = [curve.aggregatePublicKeys(points), curve.Signature.fromBytes(signature)];
  if ([...points, sum, point].some((one) => one.is0())) return false;
  const hashed = curve.hash(message, 'BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_');
  return curve.verify(point, hashed, sum);
}

function checkCertificate(by: Custodians, block: Link, of: Header, memo: Memo): void {
  const found = read(signedCommit, block.certificate ?? NOTHING, 'a certificate');
  const [, height, view, digest, bitmap, signature] = found;
  check(height === of.height && same(digest, sha256(block.header)), 'of another block');
  const isSet = (i: number): boolean => (((bitmap[i >> 3] ?? 0) >> (i & 7)) & 1) === 1;
  const keys = by.flatMap(([, key], i) => (isSet(i) ? [key] : []));
  const bits = bitsOf(bitmap).replaceAll('0', '').length;
  check(bitmap.at(-1) !== 0 && bits === keys.length, 'a bit for nobody, or a longer bitmap');
  check(keys.length >= by.length - Math.floor((by.length - 1) / 3), 'too few signers');
  const start = [Buffer.from('aegis/consensus/1\0'), fixed(of.clusterId.length, 1)];
  const numbers = [fixed(3, 1), fixed(height, 8), fixed(view, 4)];
  const message = Buffer.concat([...start, Buffer.from(of.clusterId), ...numbers, digest]);
  const id = hex(sha256(signature, message, ...keys));
  const holds = () => isSigned(keys, message, signature);
  check(memo.has(id) || attempt(holds, 'not a point'), 'the signature does not hold');
  memo.add(id);
}

// The header.
type Header = v.InferOutput<typeof header>;
const header = record({
  ...{ v: is(2), type: is('block'), clusterId: v.string(), time, proposer: nodeId },
  ...{ height: integer(1, 2 ** 48 - 1), view: integer(0), protocol: integer(1) },
  ...{ intents: integer(0, 4096), seedProof: maybe(bytes(80)) },
  ...{ previous: hash, intentsRoot: hash, stateRoot: hash, custodians: hash, leaders: hash },
});

// The state.
const NOTHING = new Uint8Array(32);
const bitsOf = (of: Bytes) => Array.from(of, (byte) => byte.toString(2).padStart(8, '0')).join('');
const leaf = (key: Bytes, digest: Bytes): Bytes => sha256('aegis/state-leaf/1\0', key, digest);
const node = (left: Bytes, right: Bytes): Bytes => sha256('aegis/state-node/1\0', left, right);
type Leaf = readonly [bits: string, digest: Bytes];
function subtree(leaves: readonly Leaf[], depth: number): Bytes {
  if (leaves.length < 2) return leaves[0]?.[1] ?? NOTHING;
  const half = (bit: string): readonly Leaf[] => leaves.filter(([bits]) => bits[depth] === bit);
  return node(subtree(half('0'), depth + 1), subtree(half('1'), depth + 1));
}
const tagOf = (N: Bytes, of: string) => hmac(N, `aegis/directory/1\0${of}`).subarray(0, 8);
const keyOf = (N: Bytes, label: 'ref' | 'mark', of: string): Bytes =>
  Buffer.concat([tagOf(N, directoryOf(of)), hmac(N, `aegis/${label}/1\0${of}`).subarray(0, 24)]);
function openName(N: Bytes, name: Bytes): string {
  const [nonce, sealed] = [name.subarray(0, 24), name.subarray(24)];
  const key = sha256('aegis/name-key/1\0', N);
  const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const open = () => utf8.decode(xchacha20poly1305(key, nonce).decrypt(sealed));
  const found = attempt(open, 'a name does not open');
  const wanted = hmac(N, `aegis/name-nonce/1\0${found}`).subarray(0, 24);
  check(isPath(found) && same(wanted, nonce), 'a name of no path, or with another nonce');
  return found;
}

const stateValue = bytes(0, 8192);
const versionCid = cid((of) => of.multihash.code === 0x1e && of.code === 0x71);
const heads = list(tuple([versionCid, integer(1), maybe(is(true))]), 0, 32);
const refFields = { name: maybe(stateValue), generation: integer(0), heads };
const ref = record({ v: is(2), type: is('ref'), ...refFields });
const mark = record({ v: is(1), type: is('mark'), name: stateValue });

// Claims.
const [siblings, other] = [list(hash, 0, 256), maybe(tuple([hash, hash]))];
const lineage = list(bytes(0, 32_768), 0, 1024);
const leaves = ordered(list(tuple([hash, stateValue]), 0, 65_536), ([key]) => hex(key));
const directory = text((of) => of === '' || isPath(of));
const claim = v.variant('type', [
  record({ type: is('value'), path, siblings, value: stateValue, lineage }),
  record({ type: is('absence'), path, siblings, other }),
  record({ type: is('directory'), path: directory, siblings, leaves, other }),
]);
type Claim = v.InferOutput<typeof claim>;
type ClaimOf<T extends Claim['type']> = Extract<Claim, { type: T }>;
const envelope = record({ payload: bytes(0, 8192), signature: bytes(64) });
const version = record({
  ...{ v: is(1), type: is('version'), path, time, author: nodeId },
  ...{ root: cid((of) => [0x1e, 0x12].includes(of.multihash.code)), sizeBytes: integer(0) },
  ...{ parents: ordered(list(versionCid, 0, 32), String), keyEpoch: maybe(integer(1)) },
  ...{ generation: integer(1), sequence: integer(1), deleted: maybe(v.boolean()) },
  ...{ directory: maybe(v.boolean()), message: maybe(v.pipe(v.string(), v.maxBytes(4096))) },
});

const contentCid = cid((of) => [0x1e, 0x12].includes(of.multihash.code));
const where = v.pipe(v.string(), v.maxBytes(24_576));
const contents = { base: maybe(contentCid), ours: maybe(contentCid), theirs: maybe(contentCid) };
const conflict = record({ at: where, pointer: maybe(where), ...contents });
// In ASCII: first !, then #, then the digits.
const orNone = (of: Bytes | undefined): string => (of === undefined ? '' : `#${hex(of)}`);
const placeOf = ({ at, pointer, theirs }: v.InferOutput<typeof conflict>): string =>
  `${hex(Buffer.from(at))}!${orNone(pointer === undefined ? pointer : Buffer.from(pointer))}` +
  `!${orNone(theirs?.bytes)}`;
const merge = record({
  ...{ v: is(1), type: is('merge'), rule: is(1), path, time, root: contentCid },
  ...{ sizeBytes: integer(0), parents: ordered(list(versionCid, 2, 32), String) },
  ...{ generation: integer(2), deleted: maybe(is(true)), directory: maybe(is(true)) },
  ...{ conflicts: maybe(ordered(list(conflict, 1, 256), placeOf)), more: maybe(is(true)) },
});
function readVersion(from: Bytes) {
  if (Object(decode(from)).type === 'merge') return read(merge, from, 'a merge');
  return read(version, read(envelope, from, 'a signed version').payload, 'a version');
}

/** What stands at the end of the way to a key, or to a tag. */
function standing(shown: Claim, key: Bytes): Bytes {
  if (shown.type === 'value') return leaf(key, sha256(shown.value));
  const wanted = bitsOf(key);
  if (shown.type === 'directory' && shown.leaves.length > 0) {
    const under = shown.leaves.map(([at, of]): Leaf => [bitsOf(at), leaf(at, sha256(of))]);
    const areUnder = under.every(([bits]) => bits.startsWith(wanted));
    check(areUnder && shown.other === undefined, 'other leaves than of the directory');
    check(under.length === 1 || shown.siblings.length === 64, 'leaves beside the way');
    return subtree(under, 64);
  }
  if (shown.other === undefined) return NOTHING;
  const bits = bitsOf(shown.other[0]);
  check(!bits.startsWith(wanted), 'the other leaf is what the claim denies');
  check(bits.startsWith(wanted.slice(0, shown.siblings.length)), 'the other leaf is elsewhere');
  return leaf(...shown.other);
}

function show(shown: unknown, N: Bytes, stateRoot: Bytes) {
  check(v.is(claim, shown), 'not a claim');
  const key = shown.type === 'directory' ? tagOf(N, shown.path) : keyOf(N, 'ref', shown.path);
  const bits = bitsOf(key);
  check(shown.siblings.length <= bits.length, 'a way beyond the key');
  const up = (h: Bytes, by: Bytes, i: number) => (bits[i] === '0' ? node(h, by) : node(by, h));
  const root = shown.siblings.reduceRight(up, standing(shown, key));
  check(same(root, stateRoot), 'it does not lead to the root of the state');
  if (shown.type === 'value') return showValue(shown, N);
  if (shown.type === 'directory') return showDirectory(shown, N);
  return { type: shown.type, path: shown.path };
}

function showValue(shown: ClaimOf<'value'>, N: Bytes) {
  const { name, generation, heads: found } = read(ref, shown.value, 'the value of a path');
  check(name === undefined || openName(N, name) === shown.path, 'the name is of another path');
  let allowed = found.map(([of]) => String(of));
  let last: { readonly version: string; readonly root: string } | undefined;
  for (const from of shown.lineage) {
    const one = readVersion(from);
    const versionText = String(CID.createV1(0x71, createDigest(0x1e, blake3(from))));
    check(one.path === shown.path && allowed.includes(versionText), 'a version out of line');
    allowed = one.parents.map(String);
    last = { version: versionText, root: String(one.root) };
  }
  const { type, path: of } = shown;
  return { type, path: of, generation, isErased: name === undefined, heads: found, last };
}

function showDirectory(shown: ClaimOf<'directory'>, N: Bytes) {
  const found = { ref: [] as string[], mark: [] as string[], erased: 0 };
  for (const [key, of] of shown.leaves) {
    const { type } = Object(decode(of)) as { readonly type?: unknown };
    if (type !== 'ref' && type !== 'mark') continue;
    const { name } = read(type === 'ref' ? ref : mark, of, `a ${type}`);
    const named = name && openName(N, name);
    check(named === undefined || same(keyOf(N, type, named), key), 'a name under another key');
    if (named === undefined) found.erased += 1;
    else if (directoryOf(named) === shown.path) found[type].push(named);
  }
  const { ref: paths, mark: directories, erased } = found;
  return { type: shown.type, path: shown.path, paths, directories, erased };
}

// The verdict.
type Options = { checkpoint?: { height: number; digest: string } | undefined; memo?: Memo };
/** Throws the first reason why it is no proof. The digest of a checkpoint is in lower hex. */
export function verify(file: Bytes, genesisFile: Bytes, { checkpoint, memo }: Options = {}) {
  const founding = genesisBytes(genesisFile);
  check(founding.length <= 4 * 2 ** 20 && file.length <= 16 * 2 ** 20, 'a file is too long');
  const first = read(genesis, founding, 'a genesis');
  const stated = read(proof, file, 'a proof');
  const headers = stated.links.map((one) => read(header, one.header, 'a header'));
  const digests = stated.links.map((one) => hex(sha256(one.header)));
  const clusterId = `aegisc1${base32.encode(sha256(founding)).slice(1)}`;
  const areOurs = [stated, ...headers].every((one) => one.clusterId === clusterId);
  check(areOurs, 'of another cluster');
  const heights = headers.map((one) => one.height);
  check(ascend(heights), 'heights do not ascend');
  const trusted = heights.indexOf(checkpoint?.height ?? -1);
  check(digests[trusted] === checkpoint?.digest, 'no such checkpoint');
  let by = first.custodians;
  for (const [i, block] of stated.links.entries()) {
    if (i < trusted) continue;
    if (i > trusted) checkCertificate(by, block, headers[i]!, memo ?? new Set());
    check(i > trusted || block.custodians !== undefined, 'a checkpoint without custodians');
    by = block.custodians ?? by;
    const named = sha256(encode(['aegis/custodians/1', by]));
    check(same(named, headers[i]!.custodians), 'other custodians than in the header');
  }
  const last = headers.at(-1)!;
  const N = first.origin?.names ?? hmac('aegis/names/1', founding);
  const claimed = stated.claims.map((one) => show(one, N, last.stateRoot));
  return { height: last.height, time: last.time, digest: digests.at(-1)!, claims: claimed };
}
