/** The owner of a test node: holds all its secrets and rotates its keys. */
import { blsPublicKeyOf, blsSecretOf, provePossession } from '../../src/core/crypto/bls.ts';
import { sha256 } from '../../src/core/crypto/hash.ts';
import { publicKeyOf, signerOf } from '../../src/core/crypto/sign.ts';
import type { Role } from '../../src/core/model/bundle.ts';
import { openInception } from '../../src/core/model/identity.ts';
import {
  type CertifiedRole,
  createSuccession,
  type KeySet,
  type KeyState,
  originOf,
  type SignedSuccession,
} from '../../src/core/model/succession.ts';
import type { Signer } from '../../src/core/ports.ts';
import type { Verified } from '../../src/core/units.ts';
import { seedOf, type TestNode, testNode } from './nodes.ts';

/** Fixed bytes for a text: a seed. */
export const seedFor = (text: string): Uint8Array => sha256(Buffer.from(text));

/** The keys with which a test node begins. */
function originOfNode({ inception, nodeId, keys }: TestNode): KeyState {
  const opened = openInception(inception).inception;
  return originOf({ nodeId, inception: opened, inceptionBytes: inception, ...keys });
}

type Change = Parameters<typeof createSuccession>[1];

/** The keys that a rotation of these roles needs, each from a seed of its own. */
export function freshKeys(roles: readonly CertifiedRole[], salt: string): Partial<KeySet> {
  const of = (what: string): Uint8Array => seedFor(`${salt} ${what}`);
  const key = (what: string): Uint8Array => publicKeyOf(of(what));
  const secret = roles.includes('consensus') ? blsSecretOf(of('consensus')) : undefined;
  return {
    ...(roles.includes('network') ? { networkKey: key('network') } : {}),
    ...(roles.includes('onion') ? { onionKey: key('onion') } : {}),
    ...(secret === undefined
      ? {}
      : {
          consensusKey: blsPublicKeyOf(secret),
          possession: provePossession(secret),
          vrfKey: key('vrf'),
        }),
  };
}

/** The same number and rotations give the same entries. */
export class Owner {
  readonly node: TestNode;
  readonly origin: KeyState;
  readonly #salt: string;
  state: KeyState;
  identity: Signer;
  successor: Signer;
  readonly entries: Verified<SignedSuccession>[] = [];
  /** Of the keys that are in force; the first are those of `testNode`. */
  secrets: { networkSeed: Uint8Array; consensusSecret: Uint8Array; vrfSeed: Uint8Array };

  constructor(number: number, options: { readonly role?: Role; readonly salt?: string } = {}) {
    this.node = testNode(number, undefined, options.role);
    this.origin = originOfNode(this.node);
    this.state = this.origin;
    this.identity = this.node.signer;
    this.successor = signerOf(seedOf(number + 160));
    this.#salt = `${number} ${options.salt ?? ''}`;
    const { consensusSecret, vrfSeed } = this.node;
    this.secrets = { networkSeed: seedOf(number + 80), consensusSecret, vrfSeed };
  }

  get nodeId(): string {
    return this.node.nodeId;
  }

  /** The entry that would replace these keys now; nothing changes here. */
  prepare(
    roles: readonly CertifiedRole[],
    more: Partial<Change> = {},
    salt = `${this.#salt} ${this.state.number + 1}`,
  ): Verified<SignedSuccession> {
    const isIdentity = roles.includes('identity');
    const next = isIdentity
      ? {
          identityKey: this.successor.publicKey,
          nextIdentityDigest: sha256(publicKeyOf(seedFor(`${salt} next`))),
        }
      : {};
    return createSuccession(
      this.state,
      {
        replaced: roles,
        createdAt: this.state.changedAt + 1000,
        ...(isIdentity ? { sealed: 0 } : {}),
        ...more,
        keys: { ...next, ...freshKeys(roles, salt), ...more.keys },
      },
      this.successor,
    );
  }

  /** Replaces keys: the owner goes on with them. */
  rotate(roles: readonly CertifiedRole[], more: Partial<Change> = {}): Verified<SignedSuccession> {
    const salt = `${this.#salt} ${this.state.number + 1}`;
    const entry = this.prepare(roles, more, salt);
    const { succession, digest } = entry;
    const { number, keyEpoch, keys, expiresAt, createdAt: changedAt, nodeId } = succession;
    const state = { nodeId, number, keyEpoch, digest, keys, expiresAt, changedAt };
    this.state = { ...state, last: succession };
    if (roles.includes('identity')) {
      this.identity = this.successor;
      this.successor = signerOf(seedFor(`${salt} next`));
    }
    this.secrets = {
      networkSeed: roles.includes('network')
        ? seedFor(`${salt} network`)
        : this.secrets.networkSeed,
      ...(roles.includes('consensus')
        ? {
            consensusSecret: blsSecretOf(seedFor(`${salt} consensus`)),
            vrfSeed: seedFor(`${salt} vrf`),
          }
        : {
            consensusSecret: this.secrets.consensusSecret,
            vrfSeed: this.secrets.vrfSeed,
          }),
    };
    this.entries.push(entry);
    return entry;
  }
}
