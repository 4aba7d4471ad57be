/**
 * Signatures of the simulation: keyed hashes in the sizes of the real ones. Within a run nobody can
 * forge them, since each node is handed only what signs with its own keys; outside of it they are
 * worth nothing. They stand for the cost of real cryptography in all but a share of the seeds.
 */
import type { SeedScheme } from '../chain/seeds.ts';
import type { CustodianKey, CustodianSets } from '../consensus/custodian-sets.ts';
import { signOrNot, type VoteScheme } from '../consensus/scheme.ts';
import { sha256, sha512 } from '../crypto/hash.ts';
import type { KeyRing, SeedProver, Signer, VoteSigner } from '../ports.ts';

const SHARE_BYTES = 96;
const SIGNATURE_BYTES = 64;
const PROOF_BYTES = 80;
const TAG_BYTES = 32;

type Purpose = 'share' | 'seed' | 'identity';

/** What a scheme over stub keys needs: whose key is in force where, and the own secrets. */
export interface StubSchemeOptions {
  readonly sets: Pick<CustodianSets, 'at' | 'knows'>;
  readonly self?: { readonly nodeId: string; readonly ring: KeyRing } | undefined;
}

/**
 * The secrets of all keys, which follow from the public keys; whoever holds it can sign as anybody,
 * so no node does.
 */
export class StubKeyring {
  readonly #seed: string;
  readonly #secrets = new Map<Purpose, WeakMap<Uint8Array, Uint8Array>>();
  readonly #fixed: CustodianKey[] = [];

  constructor(seed: string) {
    this.#seed = seed;
  }

  /** Votes of so many custodians who never change, known at all heights. */
  votes(self: number, custodians: number): VoteScheme {
    const at = (index: number) => (index < custodians ? this.#fixedKey(index) : undefined);
    return this.#votes({ at, count: () => custodians, knows: () => true, ownAt: () => self });
  }

  /** Votes over keys that change, with what is in the ring. */
  votesOver(options: StubSchemeOptions): VoteScheme {
    const { sets, self } = options;
    return this.#votes({
      at: (index, height) => sets.at(height)?.custodians[index],
      count: (height) => sets.at(height)?.size,
      knows: (height) => sets.knows(height),
      ownAt: (height) => ownIndexOf(options, height),
      ring: self?.ring,
    });
  }

  /** Seeds of custodians whose keys never change. */
  seeds(self: number): SeedScheme {
    const prover = (): SeedProver => this.prover(this.#fixedKey(self).vrfKey);
    return this.#seeds((index) => this.#fixedKey(index), prover);
  }

  seedsOver(options: StubSchemeOptions): SeedScheme {
    const { sets, self } = options;
    return this.#seeds(
      (index, height) => sets.at(height)?.custodians[index],
      (height) => {
        const own = sets.at(height)?.custodians[ownIndexOf(options, height) ?? -1];
        return own && self?.ring.seeds(own.vrfKey);
      },
    );
  }

  voter(publicKey: Uint8Array): VoteSigner {
    return {
      publicKey,
      sign: (message) => pad(this.#tag('share', publicKey, message), SHARE_BYTES),
    };
  }

  prover(publicKey: Uint8Array): SeedProver {
    return {
      publicKey,
      prove: (alpha) => pad(this.#tag('seed', publicKey, alpha), PROOF_BYTES),
    };
  }

  /** An identity key, for intents and proposals. */
  signer(publicKey: Uint8Array): Signer {
    return {
      publicKey,
      sign: (message) => pad(this.#tag('identity', publicKey, message), SIGNATURE_BYTES),
    };
  }

  verifyIdentity(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
    return equal(signature, pad(this.#tag('identity', publicKey, message), SIGNATURE_BYTES));
  }

  #votes(parts: {
    readonly at: (index: number, height: number) => CustodianKey | undefined;
    readonly count: (height: number) => number | undefined;
    readonly knows: (height: number) => boolean;
    readonly ownAt: (height: number) => number | undefined;
    /** Left out: the secrets of all own keys are at hand. */
    readonly ring?: KeyRing | undefined;
  }): VoteScheme {
    const { at, count, knows, ring } = parts;
    const ownAt = (height: number) => at(parts.ownAt(height) ?? -1, height);
    const share = (signer: number, height: number, message: Uint8Array) => {
      const key = at(signer, height)?.consensusKey;
      return key && pad(this.#tag('share', key, message), SHARE_BYTES);
    };
    const voterAt = (height: number): VoteSigner | undefined => {
      const own = ownAt(height);
      if (own === undefined) return undefined;
      return ring === undefined ? this.voter(own.consensusKey) : ring.votes(own.consensusKey);
    };
    return {
      sign: (height, message) => voterAt(height)?.sign(message),
      verify: (signer, height, message, signature) => {
        const expected = share(signer, height, message);
        return expected !== undefined && equal(signature, expected);
      },
      aggregate: (signatures) => sum(signatures),
      verifyAggregate: (height, groups, signature) => {
        const shares = groups.flatMap(({ signers, message }) =>
          signers.map((signer) => share(signer, height, message)),
        );
        const known = shares.filter((one) => one !== undefined);
        const expected = known.length < shares.length ? undefined : sum(known);
        return expected !== undefined && equal(signature, expected);
      },
      signProposal: (height, message) => {
        const own = ownAt(height);
        if (own === undefined) return undefined;
        const { identityKey } = own;
        const signer = ring === undefined ? this.signer(identityKey) : ring.identity(identityKey);
        return signOrNot(signer, message);
      },
      verifyProposal: (signer, height, message, signature) => {
        const key = at(signer, height)?.identityKey;
        return key !== undefined && this.verifyIdentity(key, message, signature);
      },
      knows,
      custodiansAt: count,
      nodeIdOf: (custodian, height) => at(custodian, height)?.nodeId,
      ownIndex: parts.ownAt,
      ownKey: (height) => (voterAt(height) === undefined ? undefined : nameOf(ownAt(height))),
      keyInForce: (height) => nameOf(ownAt(height)),
      heldKeys: () => ring?.heldConsensusKeys() ?? [],
    };
  }

  #seeds(
    at: (index: number, height: number) => CustodianKey | undefined,
    proverAt: (height: number) => SeedProver | undefined,
  ): SeedScheme {
    return {
      prove: (height, alpha) => proverAt(height)?.prove(alpha),
      verify: (custodian, height, alpha, proof) => {
        const key = at(custodian, height)?.vrfKey;
        if (key === undefined) return undefined;
        const expected = pad(this.#tag('seed', key, alpha), PROOF_BYTES);
        return equal(proof, expected) ? sha512(proof) : undefined;
      },
      output: (proof) => sha512(proof),
    };
  }

  #fixedKey(index: number): CustodianKey {
    const keyOf = (role: string, bytes: number) =>
      pad(sha256(Buffer.from(`${this.#seed}/${role} ${index}`)), bytes);
    this.#fixed[index] ??= {
      nodeId: `node-${index}`,
      consensusKey: keyOf('consensus', 48),
      identityKey: keyOf('identity', 32),
      vrfKey: keyOf('vrf', 32),
    };
    return this.#fixed[index];
  }

  #secretOf(purpose: Purpose, publicKey: Uint8Array): Uint8Array {
    const secrets = this.#secrets.get(purpose) ?? new WeakMap<Uint8Array, Uint8Array>();
    this.#secrets.set(purpose, secrets);
    const known = secrets.get(publicKey);
    if (known !== undefined) return known;
    const key = Buffer.from(publicKey).toString('hex');
    const secret = sha256(Buffer.from(`${this.#seed}/${purpose} ${key}`));
    secrets.set(publicKey, secret);
    return secret;
  }

  #tag(purpose: Purpose, publicKey: Uint8Array, message: Uint8Array): Uint8Array {
    const secret = this.#secretOf(purpose, publicKey);
    const bytes = new Uint8Array(TAG_BYTES + message.length);
    bytes.set(secret);
    bytes.set(message, TAG_BYTES);
    return sha256(bytes);
  }
}

function ownIndexOf({ sets, self }: StubSchemeOptions, height: number): number | undefined {
  const index = self === undefined ? -1 : sets.at(height)?.indexOf(self.nodeId);
  return index === -1 ? undefined : index;
}

function nameOf(key: CustodianKey | undefined): string | undefined {
  if (key === undefined) return undefined;
  const { buffer, byteOffset, byteLength } = key.consensusKey;
  return Buffer.from(buffer, byteOffset, byteLength).toString('hex');
}

function pad(tag: Uint8Array, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.set(tag);
  return bytes;
}

const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** Adds tags as eight numbers of 32 bits each, so that a share that is added twice shows. */
function sum(shares: readonly Uint8Array[]): Uint8Array | undefined {
  const total = new Uint8Array(SHARE_BYTES);
  const into = new DataView(total.buffer);
  for (const share of shares) {
    if (share.length !== SHARE_BYTES) return undefined;
    const from = new DataView(share.buffer, share.byteOffset, share.byteLength);
    for (let at = 0; at < SHARE_BYTES; at += 4) {
      into.setUint32(at, (into.getUint32(at) + from.getUint32(at)) >>> 0);
    }
  }
  return shares.length === 0 ? undefined : total;
}
