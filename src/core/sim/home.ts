/**
 * The secrets that the home of a simulated node holds: a ring of keys that grows with a rotation,
 * is cleared of what is retired, can be set back to a backup, and may refuse to sign for a while.
 */
import { readPlace } from '../consensus/signed-bytes.ts';
import { AegisError } from '../errors.ts';
import type { KeyRing, SeedProver, Signer, VoteSigner } from '../ports.ts';

/** A consensus and a VRF key, and what signs with them. */
export interface VotingKeys {
  readonly consensusKey: Uint8Array;
  readonly possession: Uint8Array;
  readonly vrfKey: Uint8Array;
  readonly voter: VoteSigner;
  readonly prover: SeedProver;
}

interface Secrets {
  readonly identities: ReadonlyMap<string, Signer>;
  readonly voting: ReadonlyMap<string, VotingKeys>;
}

const BACKUPS_MAX = 4;

/** Hex; a key is looked up often, so without a copy. */
export function nameOfKey(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('hex');
}

export class SimHome implements KeyRing {
  #secrets: Secrets = { identities: new Map(), voting: new Map() };
  /** The latest last. */
  #backups: Secrets[] = [];
  /** Consensus keys that a backup has brought, until another one is in force (K2). */
  #marker: readonly string[] | undefined;
  /** What the signer signed without anybody hearing of it: what it says there is settled (G2). */
  readonly #unheard = new Map<string, string>();
  /** The signer is out of reach, or says no; or it signs, and its answers are lost. */
  isRefusing: 'no' | 'lost' | undefined;

  get marker(): readonly string[] | undefined {
    return this.#marker;
  }

  identity(publicKey: Uint8Array): Signer | undefined {
    const signer = this.signer(publicKey);
    if (signer === undefined) return undefined;
    return {
      publicKey,
      sign: (message) => {
        if (this.#mayAnswer(publicKey, message)) return signer.sign(message);
        throw new AegisError('SIGNER_UNREACHABLE', 'the signer of this home does not answer');
      },
    };
  }

  votes(publicKey: Uint8Array): VoteSigner | undefined {
    const voter = this.#secrets.voting.get(nameOfKey(publicKey))?.voter;
    if (voter === undefined) return undefined;
    const sign = (message: Uint8Array): Uint8Array | undefined =>
      this.#mayAnswer(publicKey, message) ? voter.sign(message) : undefined;
    return { publicKey, sign };
  }

  seeds(publicKey: Uint8Array): SeedProver | undefined {
    const keys = [...this.#secrets.voting.values()];
    const name = nameOfKey(publicKey);
    const prover = keys.find(({ vrfKey }) => nameOfKey(vrfKey) === name)?.prover;
    if (prover === undefined || this.isRefusing === undefined) return prover;
    return { publicKey, prove: () => undefined };
  }

  heldConsensusKeys(): readonly string[] {
    return this.#marker ?? [...this.#secrets.voting.keys()];
  }

  /** What signs intents: clients are not refused, or there would be nothing to decide. */
  signer(publicKey: Uint8Array): Signer | undefined {
    return this.#secrets.identities.get(nameOfKey(publicKey));
  }

  add(identity: Signer | undefined, voting: VotingKeys | undefined): void {
    const { identities, voting: all } = this.#secrets;
    this.#change({
      identities: withEntry(identities, identity && nameOfKey(identity.publicKey), identity),
      voting: withEntry(all, voting && nameOfKey(voting.consensusKey), voting),
    });
  }

  /** A4: secrets of keys that a final block has retired. */
  erase(publicKeys: readonly Uint8Array[]): void {
    const retired = new Set(publicKeys.map(nameOfKey));
    const { identities, voting } = this.#secrets;
    const isKept = ([name]: readonly [string, unknown]): boolean => !retired.has(name);
    if ([...identities, ...voting].every(isKept)) return;
    this.#change({
      identities: new Map([...identities].filter(isKept)),
      voting: new Map([...voting].filter(isKept)),
    });
  }

  /** K2: made anew from a backup. @param force in [0, 1): how old it is. */
  restore(force: number): void {
    const age = Math.floor(force * this.#backups.length);
    const backup = this.#backups.at(-1 - age);
    if (backup !== undefined) this.#secrets = backup;
    this.#marker = [...this.#secrets.voting.keys()];
  }

  /** K2: another key is in force, and here. */
  settle(consensusKey: Uint8Array): void {
    const name = nameOfKey(consensusKey);
    if (this.#marker?.includes(name) === true || !this.#secrets.voting.has(name)) return;
    this.#marker = undefined;
  }

  #mayAnswer(publicKey: Uint8Array, message: Uint8Array): boolean {
    const place = readPlace(message);
    if (place === undefined) return this.isRefusing === undefined;
    const name = `${nameOfKey(publicKey)} ${place.kind} ${place.height}/${place.view}`;
    const bytes = Buffer.from(message).toString('latin1');
    const settled = this.#unheard.get(name);
    if (this.isRefusing === 'lost' && settled === undefined) this.#unheard.set(name, bytes);
    return this.isRefusing === undefined && (settled ?? bytes) === bytes;
  }

  #change(secrets: Secrets): void {
    this.#secrets = secrets;
    this.#backups = [...this.#backups, secrets].slice(-BACKUPS_MAX);
  }
}

function withEntry<T>(
  map: ReadonlyMap<string, T>,
  key: string | undefined,
  value: T | undefined,
): ReadonlyMap<string, T> {
  return key === undefined || value === undefined ? map : new Map([...map, [key, value]]);
}
