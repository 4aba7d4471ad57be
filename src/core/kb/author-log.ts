/**
 * The versions of one author by sequence, without gaps: a version counts only when the one before
 * it is known. Usually one version stands at a sequence; an author that signed two has
 * equivocated, and both are kept. Digests tell whether two nodes have the same ones.
 */
import { blake3 } from '../crypto/hash.ts';
import type { SignedVersion } from '../model/version.ts';

export const DIGEST_BYTES = 16;

/** A set of CIDs, folded: equal sets have equal digests. */
export class SetDigest {
  readonly #bytes = new Uint8Array(DIGEST_BYTES);

  /** Adds a member, or takes it out again. */
  toggle(member: Uint8Array): void {
    for (let i = 0; i < DIGEST_BYTES; i += 1) this.#bytes[i]! ^= member[i]!;
  }

  get bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  equals(other: Uint8Array): boolean {
    return Buffer.compare(this.#bytes, other) === 0;
  }
}

/** What stands for a version in a `SetDigest`: a hash of its CID, so that no author chooses it. */
export const memberOf = (version: SignedVersion): Uint8Array =>
  blake3(version.cid.multihash.digest).subarray(0, DIGEST_BYTES);

export class AuthorLog {
  /** Sequence 1 stands at index 0. */
  readonly #at: SignedVersion[][] = [];
  readonly #digest = new SetDigest();

  /** The greatest sequence; 0 when there is none. */
  get sequence(): number {
    return this.#at.length;
  }

  /** Whether the version of this sequence could be added now. */
  accepts(sequence: number): boolean {
    return sequence <= this.#at.length + 1;
  }

  /** @returns the versions that stand at its sequence now; more than one is an equivocation. */
  add(version: SignedVersion): readonly SignedVersion[] {
    const index = version.version.sequence - 1;
    const all = [...(this.#at[index] ?? []), version];
    this.#at[index] = all.toSorted((a, b) => (a.cidText < b.cidText ? -1 : 1));
    this.#digest.toggle(memberOf(version));
    return this.#at[index];
  }

  /** The versions with sequences from `from` to `to`, both included, ascending. */
  *between(from: number, to: number): Generator<SignedVersion> {
    for (let i = Math.max(from, 1); i <= Math.min(to, this.#at.length); i += 1) {
      yield* this.#at[i - 1]!;
    }
  }

  /** The digest of the versions with sequences from `from` to `to`. */
  digest(from: number, to: number): Uint8Array {
    if (from <= 1 && to >= this.#at.length) return this.#digest.bytes;
    const digest = new SetDigest();
    for (const version of this.between(from, to)) digest.toggle(memberOf(version));
    return digest.bytes;
  }
}
