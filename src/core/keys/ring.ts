/**
 * The secrets of an open keystore, found by their public keys: around a rotation there are two of
 * a role. They leave it as signatures and proofs, and for libp2p as copies that their user wipes.
 */
import { signBls } from '../crypto/bls.ts';
import { type OnionKey, onionAddressOf } from '../crypto/onion.ts';
import { signerOf } from '../crypto/sign.ts';
import { proveVrf } from '../crypto/vrf.ts';
import { AegisError } from '../errors.ts';
import type { KeyRing, SeedProver, Signer, VoteSigner } from '../ports.ts';
import type { OpenRole } from './layout.ts';
import { fromHex, hex, type KeyMaterial } from './material.ts';

type SecretRole = Exclude<OpenRole, 'identity'>;

export class Ring implements KeyRing {
  readonly #remote: KeyRing | undefined;
  readonly #signers = new Map<string, Signer>();
  readonly #secrets: Readonly<Record<SecretRole, Map<string, Uint8Array>>> = {
    network: new Map(),
    consensus: new Map(),
    vrf: new Map(),
    onion: new Map(),
  };
  #isClosed = false;

  /** @param remote holds what is not here: the keys behind a signer (G1). */
  constructor(remote?: KeyRing) {
    this.#remote = remote;
  }

  /** Takes the secret over. */
  add(role: OpenRole, { secret, public: { key } }: KeyMaterial): void {
    this.#requireOpen();
    if (role !== 'identity') {
      this.#secrets[role].get(key)?.fill(0);
      this.#secrets[role].set(key, secret);
      return;
    }
    this.#signers.set(key, signerOf(secret));
    secret.fill(0);
  }

  /** Whether the key is here, or behind the signer. */
  holds(role: OpenRole, key: string): boolean {
    if (role === 'identity') return this.identity(fromHex(key)) !== undefined;
    if (this.#secrets[role].has(key)) return true;
    if (role === 'consensus') return this.#remote?.votes(fromHex(key)) !== undefined;
    return role === 'vrf' && this.#remote?.seeds(fromHex(key)) !== undefined;
  }

  identity(publicKey: Uint8Array): Signer | undefined {
    this.#requireOpen();
    const own = this.#signers.get(hex(publicKey));
    if (own === undefined) return this.#remote?.identity(publicKey);
    // Through the ring, so that what was handed out signs no more once it is closed.
    return {
      publicKey: own.publicKey,
      sign: (message) => this.#requireOpen() && own.sign(message),
    };
  }

  votes(publicKey: Uint8Array): VoteSigner | undefined {
    const secret = this.#secretOf('consensus', publicKey);
    if (secret === undefined) return this.#remote?.votes(publicKey);
    const sign = (message: Uint8Array) => this.#requireOpen() && signBls(secret, message);
    return { publicKey, sign };
  }

  seeds(publicKey: Uint8Array): SeedProver | undefined {
    const secret = this.#secretOf('vrf', publicKey);
    if (secret === undefined) return this.#remote?.seeds(publicKey);
    return { publicKey, prove: (alpha) => this.#requireOpen() && proveVrf(secret, alpha) };
  }

  heldConsensusKeys(): readonly string[] {
    const behind = this.#remote?.heldConsensusKeys() ?? [];
    return [...new Set([...this.#secrets.consensus.keys(), ...behind])];
  }

  async reached(): Promise<void> {
    await this.#remote?.reached?.();
  }

  settled(succession: readonly Uint8Array[]): void {
    this.#remote?.settled?.(succession);
  }

  /** With a copy of the secret, which the caller wipes. */
  onion(publicKey: Uint8Array): OnionKey | undefined {
    const expandedSecret = this.copyOf('onion', hex(publicKey));
    return expandedSecret && { expandedSecret, publicKey, address: onionAddressOf(publicKey) };
  }

  /** A copy of a secret; the caller wipes it. */
  copyOf(role: SecretRole, key: string): Uint8Array | undefined {
    this.#requireOpen();
    return this.#secrets[role].get(key)?.slice();
  }

  /** A4: wipes what is not in `wanted`. */
  keepOnly(role: OpenRole, wanted: ReadonlySet<string>): void {
    const keys: Map<string, unknown> = role === 'identity' ? this.#signers : this.#secrets[role];
    for (const [key, secret] of keys) {
      if (wanted.has(key)) continue;
      if (secret instanceof Uint8Array) secret.fill(0);
      keys.delete(key);
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const role of ['identity', 'network', 'consensus', 'vrf', 'onion'] as const) {
      this.keepOnly(role, new Set());
    }
  }

  #secretOf(role: SecretRole, publicKey: Uint8Array): Uint8Array | undefined {
    this.#requireOpen();
    return this.#secrets[role].get(hex(publicKey));
  }

  #requireOpen(): true {
    if (this.#isClosed) throw new AegisError('STOPPING', 'the keystore is closed');
    return true;
  }
}
