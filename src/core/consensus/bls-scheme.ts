/**
 * The real signatures: BLS shares with the consensus keys, Ed25519 with the identity keys, each
 * with the key in force at its height (C1). The secrets stay in the ring.
 */
import { assert } from '../assert.ts';
import {
  aggregateBls,
  aggregateVerify,
  type BlsPublicKey,
  fastAggregateVerify,
  openBlsKey,
  verifyBls,
} from '../crypto/bls.ts';
import { verifyEd25519 } from '../crypto/sign.ts';
import { hasCode } from '../errors.ts';
import type { KeyRing } from '../ports.ts';
import type { CustodianKey, CustodianSets } from './custodian-sets.ts';
import { type SignerGroup, signOrNot, type VoteScheme } from './scheme.ts';

export interface BlsSchemeOptions {
  /** What this node signs with; undefined: it verifies only. */
  readonly self?: { readonly nodeId: string; readonly ring: KeyRing } | undefined;
  /** Every consensus key has proved its possession. */
  readonly sets: Pick<CustodianSets, 'at' | 'knows'>;
}

export function blsScheme(options: BlsSchemeOptions): VoteScheme {
  return new BlsScheme(options);
}

class BlsScheme implements VoteScheme {
  readonly #sets: BlsSchemeOptions['sets'];
  readonly #self: BlsSchemeOptions['self'];
  /** Decoded and group-checked when first needed, since that costs as much as a verification. */
  readonly #opened = new WeakMap<CustodianKey, { readonly key: BlsPublicKey | undefined }>();
  readonly #names = new WeakMap<CustodianKey, string>();

  constructor({ self, sets }: BlsSchemeOptions) {
    this.#self = self;
    this.#sets = sets;
  }

  sign(height: number, message: Uint8Array): Uint8Array | undefined {
    const own = this.#ownAt(height);
    return own?.ring.votes(own.key.consensusKey)?.sign(message);
  }

  verify(signer: number, height: number, message: Uint8Array, signature: Uint8Array): boolean {
    const key = this.#keyOf(signer, height);
    return key !== undefined && verifyBls(key, message, signature);
  }

  aggregate(signatures: readonly Uint8Array[]): Uint8Array | undefined {
    try {
      return aggregateBls(signatures);
    } catch (error) {
      if (hasCode(error, 'BAD_SIGNATURE')) return undefined;
      throw error;
    }
  }

  verifyAggregate(height: number, groups: readonly SignerGroup[], signature: Uint8Array): boolean {
    const signers = groups.flatMap((group) => group.signers);
    const keys = signers.map((signer) => this.#keyOf(signer, height));
    const known = keys.filter((key) => key !== undefined);
    if (known.length < keys.length || known.length === 0) return false;
    const [first] = groups;
    if (groups.length === 1) return fastAggregateVerify(known, first!.message, signature);
    const messages = groups.flatMap((group) => group.signers.map(() => group.message));
    return aggregateVerify(known, messages, signature);
  }

  signProposal(height: number, message: Uint8Array): Uint8Array | undefined {
    const own = this.#ownAt(height);
    return own && signOrNot(own.ring.identity(own.key.identityKey), message);
  }

  verifyProposal(
    signer: number,
    height: number,
    message: Uint8Array,
    signature: Uint8Array,
  ): boolean {
    const key = this.#keyAt(signer, height);
    return key !== undefined && verifyEd25519(key.identityKey, message, signature);
  }

  knows(height: number): boolean {
    return this.#sets.knows(height);
  }

  custodiansAt(height: number): number | undefined {
    return this.#sets.at(height)?.size;
  }

  nodeIdOf(custodian: number, height: number): string | undefined {
    return this.#keyAt(custodian, height)?.nodeId;
  }

  ownIndex(height: number): number | undefined {
    const index = this.#self === undefined ? -1 : this.#sets.at(height)?.indexOf(this.#self.nodeId);
    return index === -1 ? undefined : index;
  }

  ownKey(height: number): string | undefined {
    const key = this.#ownKeyAt(height);
    if (key === undefined || this.#self?.ring.votes(key.consensusKey) === undefined) {
      return undefined;
    }
    return this.#nameOf(key);
  }

  keyInForce(height: number): string | undefined {
    const key = this.#ownKeyAt(height);
    return key && this.#nameOf(key);
  }

  heldKeys(): readonly string[] {
    return this.#self?.ring.heldConsensusKeys() ?? [];
  }

  #ownAt(height: number): { readonly key: CustodianKey; readonly ring: KeyRing } | undefined {
    assert(this.#self !== undefined, 'who has no keys signs nothing');
    // C2: another key may be in force there, or others be the custodians.
    assert(this.#sets.knows(height), 'nothing is signed for a height whose keys may still change');
    const key = this.#ownKeyAt(height);
    return key && { key, ring: this.#self.ring };
  }

  #ownKeyAt(height: number): CustodianKey | undefined {
    const index = this.ownIndex(height);
    return index === undefined ? undefined : this.#keyAt(index, height);
  }

  #keyAt(custodian: number, height: number): CustodianKey | undefined {
    return this.#sets.at(height)?.custodians[custodian];
  }

  #keyOf(signer: number, height: number): BlsPublicKey | undefined {
    const key = this.#keyAt(signer, height);
    if (key === undefined) return undefined;
    const known = this.#opened.get(key) ?? { key: openBlsKey(key.consensusKey) };
    this.#opened.set(key, known);
    return known.key;
  }

  #nameOf(key: CustodianKey): string {
    const name = this.#names.get(key) ?? Buffer.from(key.consensusKey).toString('hex');
    this.#names.set(key, name);
    return name;
  }
}
