/**
 * The keys with which this node reads what is sealed (docs/knowledge-base.md, W44 and W45): that of
 * itself, which is its network key, and those of the readers of the cluster. It says, too, whom a
 * recipient means. Which epoch is in force, readers-desk.ts finds out.
 */
import type { Roster, RosterMember } from '../chain/roster.ts';
import {
  firstReadersSecret,
  readerOf,
  readingSecretOf,
  recipientOfSecret,
} from '../crypto/reading-key.ts';
import { hasCode, isAegisError } from '../errors.ts';
import type { ReadingKeys } from './contents.ts';

export interface OwnReadingKeysDeps {
  /** W45: of names, by the genesis. */
  readonly nameKey: Uint8Array;
  readonly keystore: {
    /** A copy of the seed of the network key in force; it is wiped here. */
    networkSeed(): Uint8Array;
    /** Copies of what was kept. */
    readingSecrets(): readonly Uint8Array[];
    keepReading(secret: Uint8Array): Promise<void>;
  };
  readonly roster: Pick<Roster, 'members'>;
}

export class OwnReadingKeys implements ReadingKeys {
  readonly #deps: OwnReadingKeysDeps;
  /** Secrets by their recipients. */
  readonly #secrets = new Map<string, Uint8Array>();
  /** W45: the numbers of the epochs of the readers, by recipients. */
  readonly #epochs = new Map<string, number>();
  #inForce: string;

  constructor(deps: OwnReadingKeysDeps) {
    this.#deps = deps;
    const first = firstReadersSecret(deps.nameKey);
    this.#inForce = this.#add(first);
    this.#epochs.set(this.#inForce, 0);
    for (const secret of deps.keystore.readingSecrets()) this.#add(secret);
    const own = this.#ownSecret();
    if (own !== undefined) this.#add(own);
  }

  /** W45: whom is sealed to when nobody is named. */
  get inForce(): string {
    return this.#inForce;
  }

  /** Keeps the key of this node: it must open what was sealed to it when it has another one. */
  async keepOwn(): Promise<void> {
    const secret = this.#ownSecret();
    if (secret === undefined) return;
    this.#add(secret);
    await this.#deps.keystore.keepReading(secret);
  }

  /** A key of the readers that this node could open. Durable when it resolves. */
  async keep(secret: Uint8Array): Promise<void> {
    await this.#deps.keystore.keepReading(secret);
    this.#add(secret);
  }

  /** What the recipient of an epoch is, whether it can be read here or not. */
  know(epoch: number, recipient: string): void {
    this.#epochs.set(recipient, epoch);
  }

  enforce(recipient: string): void {
    this.#inForce = recipient;
  }

  has(recipient: string): boolean {
    return this.#secrets.has(recipient);
  }

  among(to: readonly string[]): readonly Uint8Array[] {
    return to.flatMap((recipient) => this.#secrets.get(recipient) ?? []);
  }

  /** All own secrets that a file for members may be for. */
  all(): readonly Uint8Array[] {
    return [...this.#secrets.values()];
  }

  nameOf(recipient: string): string {
    const epoch = this.#epochs.get(recipient);
    if (epoch !== undefined) return `the readers of the cluster (epoch ${epoch})`;
    const member = this.#deps.roster.members().find((one) => readerOfMember(one) === recipient);
    return member === undefined ? recipient : member.name;
  }

  #add(secret: Uint8Array): string {
    const recipient = recipientOfSecret(secret);
    this.#secrets.set(recipient, secret);
    return recipient;
  }

  /** Undefined: the key in force is not in this home, which goes on with another one (K3). */
  #ownSecret(): Uint8Array | undefined {
    const seed = this.#ownSeed();
    if (seed === undefined) return undefined;
    const secret = readingSecretOf(seed);
    seed.fill(0);
    return secret;
  }

  #ownSeed(): Uint8Array | undefined {
    try {
      return this.#deps.keystore.networkSeed();
    } catch (error) {
      if (!hasCode(error, 'KEYS_RETIRED')) throw error;
      return undefined;
    }
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
