/**
 * The versions of one author by sequence, without gaps: a version counts only when the one before
 * it is known. Usually one version stands at a sequence; an author that signed two has
 * equivocated, and both are kept. Digests tell whether two nodes have the same ones.
 */
import { assert } from '../assert.ts';
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

/**
 * What stands for a version in a `SetDigest`. An author with enough versions of one sequence can
 * find a set that folds to nothing; all it can hide so is its own equivocation.
 */
export const memberOf = (version: SignedVersion): Uint8Array =>
  version.cid.multihash.digest.subarray(0, DIGEST_BYTES);

/** Digests of prefixes are kept at multiples of this. */
const CHECKPOINT = 256;

export class AuthorLog {
  /** Sequence 1 stands at index 0. */
  readonly #at: SignedVersion[][] = [];
  #count = 0;
  #sizeBytes = 0;
  /** The digest of the first `CHECKPOINT * i` sequences, as far as it has been asked for. */
  #checkpoints: Uint8Array[] = [new Uint8Array(DIGEST_BYTES)];

  /** The greatest sequence; 0 when there is none. */
  get sequence(): number {
    return this.#at.length;
  }

  /** Versions of all sequences. */
  get count(): number {
    return this.#count;
  }

  /** Bytes of all versions, signed. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Whether the version of this sequence could be added now. */
  accepts(sequence: number): boolean {
    return sequence <= this.#at.length + 1;
  }

  /** @returns the versions that stand at its sequence now; more than one is an equivocation. */
  add(version: SignedVersion): readonly SignedVersion[] {
    const index = version.version.sequence - 1;
    assert(index <= this.#at.length, 'a version is added after the one before it');
    const others = this.#at[index] ?? [];
    this.#at[index] = others.toSpliced(placeOf(others, version), 0, version);
    this.#count += 1;
    this.#sizeBytes += version.bytes.length;
    this.#checkpoints = this.#checkpoints.slice(0, Math.floor(index / CHECKPOINT) + 1);
    return this.#at[index];
  }

  /** The versions with sequences from `from` to `to`, both included, ascending. */
  *between(from: number, to: number): Generator<SignedVersion> {
    for (let i = Math.max(from, 1); i <= Math.min(to, this.#at.length); i += 1) {
      yield* this.#at[i - 1]!;
    }
  }

  /** The digest of the versions with sequences from `from` to `to`, both included. */
  digest(from: number, to: number): Uint8Array {
    const digest = this.#prefix(Math.min(to, this.#at.length));
    digest.toggle(this.#prefix(Math.min(from - 1, this.#at.length)).bytes);
    return digest.bytes;
  }

  #prefix(to: number): SetDigest {
    const whole = Math.floor(to / CHECKPOINT);
    for (let i = this.#checkpoints.length; i <= whole; i += 1) {
      const digest = this.#fold(
        this.#checkpoints[i - 1]!,
        (i - 1) * CHECKPOINT + 1,
        i * CHECKPOINT,
      );
      this.#checkpoints.push(digest.bytes);
    }
    return this.#fold(this.#checkpoints[whole]!, whole * CHECKPOINT + 1, to);
  }

  #fold(start: Uint8Array, from: number, to: number): SetDigest {
    const digest = new SetDigest();
    digest.toggle(start);
    for (const version of this.between(from, to)) digest.toggle(memberOf(version));
    return digest;
  }
}

/** By bisection: an author may have signed very many versions of one sequence. */
function placeOf(sorted: readonly SignedVersion[], { cidText }: SignedVersion): number {
  let from = 0;
  let to = sorted.length;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (sorted[middle]!.cidText < cidText) from = middle + 1;
    else to = middle;
  }
  return from;
}
