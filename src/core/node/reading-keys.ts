/**
 * The keys with which this node reads what is sealed (docs/knowledge-base.md, W44 and W45): that of
 * itself, which is its network key, and those of the readers of the cluster. It says, too, whom a
 * recipient means. Secrets are in memory only; the keystore keeps what must stay.
 */
import type { Roster, RosterMember } from '../chain/roster.ts';
import {
  firstReadersSecret,
  readerOf,
  readingSecretOf,
  recipientOfSecret,
} from '../crypto/reading-key.ts';
import { isAegisError } from '../errors.ts';
import type { ReadingKeys } from './contents.ts';

export interface OwnReadingKeysDeps {
  /** W45: of names, by the genesis. */
  readonly nameKey: Uint8Array;
  /** A copy of the seed of the network key in force; it is wiped here. */
  networkSeed(): Uint8Array;
  readonly roster: Pick<Roster, 'members'>;
}

export class OwnReadingKeys implements ReadingKeys {
  readonly #deps: OwnReadingKeysDeps;
  /** Secrets by their recipients. */
  readonly #secrets = new Map<string, Uint8Array>();
  /** W45: recipients of the readers' epochs, the first one first. */
  readonly #epochs: string[] = [];

  constructor(deps: OwnReadingKeysDeps) {
    this.#deps = deps;
    const first = firstReadersSecret(deps.nameKey);
    this.#epochs.push(recipientOfSecret(first));
    this.#secrets.set(this.#epochs[0]!, first);
    this.refresh();
  }

  /** W45: whom is sealed to when nobody is named. */
  get inForce(): string {
    return this.#epochs.at(-1)!;
  }

  /** Takes the network key in force, too: it may have changed. */
  refresh(): void {
    const seed = this.#deps.networkSeed();
    const secret = readingSecretOf(seed);
    seed.fill(0);
    this.#secrets.set(recipientOfSecret(secret), secret);
  }

  among(to: readonly string[]): readonly Uint8Array[] {
    return to.flatMap((recipient) => this.#secrets.get(recipient) ?? []);
  }

  nameOf(recipient: string): string {
    const epoch = this.#epochs.indexOf(recipient);
    if (epoch >= 0) return `the readers of the cluster (epoch ${epoch})`;
    const member = this.#deps.roster.members().find((one) => readerOfMember(one) === recipient);
    return member === undefined ? recipient : member.name;
  }
}

/** The recipient that a member is; undefined when its network key is no point. */
export function readerOfMember({ keys }: Pick<RosterMember, 'keys'>): string | undefined {
  try {
    return readerOf(keys.keys.networkKey);
  } catch (error) {
    if (!isAegisError(error)) throw error;
    return undefined;
  }
}
