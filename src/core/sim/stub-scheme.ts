/**
 * Signatures of the simulation: keyed hashes in the sizes of the real ones. Within a run nobody can
 * forge them, since each node is handed only what signs with its own key; outside of it they are
 * worth nothing. They stand for the cost of real cryptography in all but a share of the seeds.
 */
import type { SeedScheme } from '../chain/seeds.ts';
import type { VoteScheme } from '../consensus/scheme.ts';
import { sha256, sha512 } from '../crypto/hash.ts';
import type { Signer } from '../ports.ts';

const SHARE_BYTES = 96;
const SIGNATURE_BYTES = 64;
const PROOF_BYTES = 80;
const TAG_BYTES = 32;

/** What one node may sign with, and verify all others with. */
export interface SimKeys {
  readonly votes: VoteScheme;
  readonly seeds: SeedScheme;
  /** The identity key, for intents. */
  readonly signer: Signer;
}

type Purpose = 'share' | 'proposal' | 'seed' | 'identity';

/** The keys of all nodes; whoever holds it can sign as anybody, so no node does. */
export class StubKeyring {
  readonly #seed: string;
  readonly #secrets: Readonly<Record<Purpose, Map<number | string, Uint8Array>>> = {
    share: new Map(),
    proposal: new Map(),
    seed: new Map(),
    identity: new Map(),
  };

  constructor(seed: string) {
    this.#seed = seed;
  }

  votes(self: number): VoteScheme {
    return {
      sign: (message) => pad(this.#tag('share', self, message), SHARE_BYTES),
      verify: (signer, message, signature) =>
        equal(signature, pad(this.#tag('share', signer, message), SHARE_BYTES)),
      aggregate: (signatures) => sum(signatures),
      verifyAggregate: (groups, signature) => {
        const shares = groups.flatMap(({ signers, message }) =>
          signers.map((signer) => pad(this.#tag('share', signer, message), SHARE_BYTES)),
        );
        const expected = sum(shares);
        return expected !== undefined && equal(signature, expected);
      },
      signProposal: (message) => pad(this.#tag('proposal', self, message), SIGNATURE_BYTES),
      verifyProposal: (signer, message, signature) =>
        equal(signature, pad(this.#tag('proposal', signer, message), SIGNATURE_BYTES)),
    };
  }

  seeds(self: number): SeedScheme {
    return {
      prove: (alpha) => pad(this.#tag('seed', self, alpha), PROOF_BYTES),
      verify: (custodian, alpha, proof) =>
        equal(proof, pad(this.#tag('seed', custodian, alpha), PROOF_BYTES))
          ? sha512(proof)
          : undefined,
    };
  }

  /** @param author a node id: intents are looked up by it. */
  signer(author: string, publicKey: Uint8Array): Signer {
    return {
      publicKey,
      sign: (message) => pad(this.#tag('identity', author, message), SIGNATURE_BYTES),
    };
  }

  verifyIdentity(author: string, message: Uint8Array, signature: Uint8Array): boolean {
    return equal(signature, pad(this.#tag('identity', author, message), SIGNATURE_BYTES));
  }

  #secretOf(purpose: Purpose, owner: number | string): Uint8Array {
    const secrets = this.#secrets[purpose];
    const known = secrets.get(owner);
    if (known !== undefined) return known;
    const secret = sha256(Buffer.from(`${this.#seed}/${purpose} ${owner}`));
    secrets.set(owner, secret);
    return secret;
  }

  #tag(purpose: Purpose, owner: number | string, message: Uint8Array): Uint8Array {
    const secret = this.#secretOf(purpose, owner);
    const bytes = new Uint8Array(TAG_BYTES + message.length);
    bytes.set(secret);
    bytes.set(message, TAG_BYTES);
    return sha256(bytes);
  }
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
