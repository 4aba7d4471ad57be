/**
 * A small history with all that proofs are about: custodians who come and go and change their keys,
 * real BLS certificates, and a state with directories, conflicts, deletions and erased names. It
 * follows from its seed alone and shares no code with src/core/chain but the tree of the state.
 */
import { CID } from 'multiformats/cid';
import { StateTree } from '../../../../src/core/chain/state-tree.ts';
import { base32 } from '../../../../src/core/crypto/base32.ts';
import {
  aggregateBls,
  blsPublicKeyOf,
  blsSecretOf,
  signBls,
} from '../../../../src/core/crypto/bls.ts';
import { sha256 } from '../../../../src/core/crypto/hash.ts';
import { decode, encode } from '../../../../src/core/model/cbor.ts';
import { custodiansDigest } from '../../../../src/core/model/custodians.ts';
import { createGenesis } from '../../../../src/core/model/genesis.ts';
import { Names, nameKeyOf } from '../../../../src/core/model/names.ts';
import { sortParents, versionCidOf } from '../../../../src/core/model/version.ts';
import type { Handover } from '../../../../src/core/proof/build.ts';
import { type TestNode, testNode } from '../../../helpers/nodes.ts';

export interface Custodian {
  readonly nodeId: string;
  readonly secret: Uint8Array;
  readonly consensusKey: Uint8Array;
}

export interface Written {
  readonly cid: CID;
  readonly bytes: Uint8Array;
  readonly parents: readonly CID[];
  readonly generation: number;
  readonly deleted: boolean;
  readonly root: CID;
}

interface Path {
  readonly heads: readonly Written[];
  readonly isErased: boolean;
}

/** A final block. */
export interface Final {
  readonly height: number;
  readonly time: number;
  readonly header: Uint8Array;
  readonly certificate: Uint8Array;
  /** Who were to sign it, in the order of their node ids. */
  readonly custodians: readonly Custodian[];
  readonly next: readonly Custodian[];
}

/** The same numbers for the same seed, on every machine. */
export class Chance {
  #state: Uint8Array;
  #at = 0;

  constructor(seed: string) {
    this.#state = sha256(Buffer.from(seed));
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += 1) bytes[at] = this.#byte();
    return bytes;
  }

  /** 0 to `end` - 1. */
  below(end: number): number {
    return Buffer.from(this.bytes(6)).readUIntBE(0, 6) % end;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  shuffled<T>(list: readonly T[]): T[] {
    const keyed = list.map((item) => ({ item, by: this.below(2 ** 40) }));
    return keyed.toSorted((a, b) => a.by - b.by).map(({ item }) => item);
  }

  #byte(): number {
    if (this.#at === this.#state.length) {
      this.#state = sha256(this.#state);
      this.#at = 0;
    }
    // The last half stays unseen, or the rest would follow from it.
    const byte = this.#state[this.#at]!;
    this.#at = this.#at === 15 ? this.#state.length : this.#at + 1;
    return byte;
  }
}

const RAW = 0x55;

export class History {
  readonly chance: Chance;
  readonly genesis: Uint8Array;
  readonly clusterId: string;
  readonly names: Names;
  /** Those of height 1. */
  readonly first: readonly Custodian[];
  readonly handovers: (Handover & { readonly block: Final })[] = [];
  readonly blocks: Final[] = [];
  readonly paths = new Map<string, Path>();
  readonly versions = new Map<string, Written>();
  tree = StateTree.empty;
  readonly #signed = new Map<string, Uint8Array>();
  #custodians: readonly Custodian[];
  #height = 0;
  #time = 1_700_000_000_000;

  /**
   * @param custodians how many there are at first.
   * @param names the key of names of the oldest cluster, when it is a recovered one.
   */
  constructor(seed: string, custodians = 4, names?: Uint8Array) {
    this.chance = new Chance(seed);
    const nodes = Array.from({ length: custodians }, (_, n) => testNode(n + 1));
    this.first = sorted(nodes.map(custodianOf));
    this.#custodians = this.first;
    const bundles = nodes.map(({ bundle }) => bundle);
    const made = createGenesis({ name: seed, createdAt: this.#time, bundles });
    const fields = decode(made, { maxBytes: made.length }) as object;
    // What a verifier looks at of a recovered cluster.
    this.genesis = names === undefined ? made : encode({ ...fields, origin: { names, height: 7 } });
    this.clusterId = `aegisc1${base32(sha256(this.genesis))}`;
    this.names = new Names(names ?? nameKeyOf(this.genesis));
  }

  get tip(): Final {
    return this.blocks.at(-1)!;
  }

  get custodians(): readonly Custodian[] {
    return this.#custodians;
  }

  /** A final block some heights on. @param next others, for the height after it. */
  block(next: readonly Custodian[] = this.#custodians): Final {
    // No two blocks have one state.
    this.putAccount();
    this.#height += 1 + this.chance.below(40);
    this.#time += 1 + this.chance.below(100_000);
    const [height, time, custodians] = [this.#height, this.#time, this.#custodians];
    const header = encode({
      ...{ v: 2, type: 'block', clusterId: this.clusterId, height, time },
      previous: this.chance.bytes(32),
      proposer: this.chance.pick(custodians).nodeId,
      ...{ view: this.chance.below(3), protocol: 1 + this.chance.below(2) },
      ...(this.chance.below(4) === 0 ? { seedProof: this.chance.bytes(80) } : {}),
      ...{ intents: this.chance.below(100), intentsRoot: this.chance.bytes(32) },
      stateRoot: this.tree.root,
      custodians: custodiansDigest(next),
      leaders: this.chance.bytes(32),
    });
    const faultyMax = Math.floor((custodians.length - 1) / 3);
    const count = custodians.length - this.chance.below(faultyMax + 1);
    const signers = this.chance.shuffled(custodians).slice(0, count);
    const certificate = this.certify({ header, height, custodians }, sorted(signers), {
      view: this.chance.below(3),
    });
    const block = { height, time, header, certificate, custodians, next };
    this.blocks.push(block);
    if (next !== custodians) {
      this.handovers.push({ height, header, certificate, custodians: next.map(entryOf), block });
    }
    this.#custodians = next;
    return block;
  }

  /** One custodian comes, one goes, or both. */
  changeMembers(): Final {
    const kept = [...this.#custodians];
    const kind = this.chance.below(3);
    if (kind !== 0 && kept.length > 3) kept.splice(this.chance.below(kept.length), 1);
    if (kind !== 1 || kept.length < 4) kept.push(this.#newCustodian());
    return this.block(sorted(kept));
  }

  /** One custodian has another consensus key from the next height on. */
  rotate(): Final {
    const { nodeId } = this.chance.pick(this.#custodians);
    return this.block(
      this.#custodians.map((one) => (one.nodeId === nodeId ? { nodeId, ...this.#newKey() } : one)),
    );
  }

  /** A certificate by these signers, whoever they are. */
  certify(
    { header, height, custodians }: Pick<Final, 'header' | 'height' | 'custodians'>,
    signers: readonly Custodian[],
    { phase = 'commit', view = 0, kind = 3 } = {},
  ): Uint8Array {
    const digest = sha256(header);
    const place = Buffer.alloc(13);
    place.writeUInt8(kind);
    place.writeBigUInt64BE(BigInt(height), 1);
    place.writeUInt32BE(view, 9);
    const id = Buffer.from(this.clusterId);
    const domain = Buffer.from('aegis/consensus/1\0');
    const message = Buffer.concat([domain, Buffer.of(id.length), id, place, digest]);
    const signature = aggregateBls(signers.map(({ secret }) => this.#sign(secret, message)));
    const at = signers.map(({ nodeId }) => custodians.findIndex((one) => one.nodeId === nodeId));
    return encode([phase, height, view, digest, bitmapOf(at), signature]);
  }

  /** A version of a path; it follows all heads unless it contradicts them. */
  write(path: string, kind: 'next' | 'conflict' | 'deletion' = 'next', content?: CID): void {
    const heads = this.paths.get(path)?.heads ?? [];
    const after = kind === 'conflict' ? (heads[0]?.parents ?? []) : heads.map(({ cid }) => cid);
    const parents = sortParents(after);
    const known = parents.map((cid) => this.versions.get(cid.toString())!.generation);
    const generation = 1 + Math.max(0, ...known);
    const deleted = kind === 'deletion';
    const root = content ?? CID.createV1(RAW, versionCidOf(this.chance.bytes(32)).multihash);
    const author = this.first[0]!.nodeId;
    const [time, sequence] = [this.#time, this.versions.size + 1];
    const payload = encode({
      ...{ v: 1, type: 'version', path, root, sizeBytes: this.chance.below(1e9), parents },
      ...{ generation, sequence, time, author },
      ...(deleted ? { deleted } : {}),
      ...(this.chance.below(5) === 0 ? { directory: true } : {}),
      ...(this.chance.below(3) === 0 ? { message: 'why not' } : {}),
    });
    const bytes = encode({ payload, signature: this.chance.bytes(64) });
    const cid = versionCidOf(bytes);
    const written = { cid, bytes, parents, generation, deleted, root };
    this.versions.set(cid.toString(), written);
    const rest = kind === 'conflict' ? heads : [];
    this.paths.set(path, { heads: [...rest, written], isErased: false });
    const marks = this.names.directories(path).map((dir) => ({
      key: this.names.markKey(dir),
      value: encode({ v: 1, type: 'mark', name: this.names.seal(dir) }),
    }));
    this.tree = this.tree.update([...marks, this.#leaf(path)]);
  }

  /** N4 */
  erase(path: string): void {
    this.write(path, 'deletion');
    this.paths.set(path, { ...this.paths.get(path)!, isErased: true });
    this.tree = this.tree.update([this.#leaf(path)]);
  }

  /** A leaf that no path has. */
  putAccount(): void {
    const key = Buffer.from(this.chance.bytes(32)).toString('hex');
    const value = encode({ v: 1, type: 'account', sequence: this.chance.below(1000) });
    this.tree = this.tree.update([{ key, value }]);
  }

  #leaf(path: string) {
    const { heads, isErased } = this.paths.get(path)!;
    const value = encode({
      ...{ v: 2, type: 'ref', generation: Math.max(...heads.map((head) => head.generation)) },
      ...(isErased ? {} : { name: this.names.seal(path) }),
      heads: heads.map(({ cid, generation, deleted }) =>
        deleted ? [cid, generation, true] : [cid, generation],
      ),
    });
    return { key: this.names.refKey(path), value };
  }

  /** The same is signed again and again, and takes a millisecond each time. */
  #sign(secret: Uint8Array, message: Uint8Array): Uint8Array {
    const id = Buffer.concat([secret, message]).toString('latin1');
    const known = this.#signed.get(id) ?? signBls(secret, message);
    this.#signed.set(id, known);
    return known;
  }

  #newCustodian(): Custodian {
    return { nodeId: `aegis1${base32(this.chance.bytes(32))}`, ...this.#newKey() };
  }

  #newKey() {
    const secret = blsSecretOf(this.chance.bytes(32));
    return { secret, consensusKey: blsPublicKeyOf(secret) };
  }
}

const custodianOf = ({ nodeId, consensusSecret, keys }: TestNode): Custodian => ({
  nodeId,
  secret: consensusSecret,
  consensusKey: keys.consensusKey,
});

export const entryOf = ({ nodeId, consensusKey }: Custodian) => ({ nodeId, consensusKey });

export const sorted = (list: readonly Custodian[]): Custodian[] =>
  list.toSorted((a, b) => (a.nodeId < b.nodeId ? -1 : 1));

function bitmapOf(signers: readonly number[]): Uint8Array {
  const bitmap = new Uint8Array((Math.max(...signers) >> 3) + 1);
  for (const signer of signers) bitmap[signer >> 3]! |= 1 << (signer & 7);
  return bitmap;
}
