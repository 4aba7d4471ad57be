/**
 * Decides how what is written is sealed (docs/knowledge-base.md, W42 and W44): whether, to whom,
 * and under which key. Of the keys of a path it knows what its last version says.
 */
import type { RosterMember } from '../chain/roster.ts';
import { isRecipient } from '../crypto/reading-key.ts';
import { AegisError, hasCode } from '../errors.ts';
import type { Version } from '../model/version.ts';
import type { Hasher } from '../ports.ts';
import { MIB, SECOND } from '../units.ts';
import type { Contents } from './contents.ts';
import { readerOfMember } from './reading-keys.ts';
import { newSealing, type Sealing } from './sealing.ts';
import { timeout } from './timeout.ts';

export interface SealerDeps {
  readonly contents: Contents;
  /** W45: whom is sealed to when nobody is named. */
  readonly keys: { readonly inForce: string };
  /** Whether a content is sealed when the caller does not say. */
  readonly isDefault: boolean;
  /** By node id, the start of one or name. @throws {AegisError} `NOT_FOUND`. */
  find(member: string): RosterMember;
  /** Node ids of owners and writers of the namespace that has exactly this path. */
  group(path: string): readonly string[] | undefined;
  /** Fetches what is not here of the content of a version. */
  complete(version: Pick<Version, 'root' | 'sizeBytes'>, signal: AbortSignal): Promise<void>;
}

/** What a caller says about it. */
export interface SealWish {
  readonly plain?: boolean | undefined;
  /** Members, namespaces (with a `/` at the end) and recipients of age, with commas between. */
  readonly encryptTo?: string | undefined;
}

/** A content of before that is not here and not larger is fetched for its key. */
const FETCH_BYTES = 4 * MIB;
const FETCH_MS = 2 * SECOND;

export class Sealer {
  readonly #deps: SealerDeps;

  constructor(deps: SealerDeps) {
    this.#deps = deps;
  }

  /** Whether anything is sealed by this wish. */
  isWanted({ plain, encryptTo }: SealWish): boolean {
    return encryptTo !== undefined || (plain !== true && this.#deps.isDefault);
  }

  /**
   * @param before the version that is followed.
   * @returns undefined when the content stays plain.
   * @throws {AegisError} `NOT_FOUND` for a reader that nobody is, `BAD_REQUEST`, `TOO_LARGE`.
   */
  async sealingFor(
    wish: SealWish,
    before: Version | undefined,
    hasher: Hasher,
  ): Promise<Sealing | undefined> {
    const { keys, isDefault } = this.#deps;
    if (wish.plain === true) {
      if (wish.encryptTo === undefined) return undefined;
      throw new AegisError('BAD_REQUEST', 'what is plain is sealed to nobody');
    }
    if (wish.encryptTo === undefined && !isDefault) return undefined;
    const to = wish.encryptTo === undefined ? [keys.inForce] : this.#recipients(wish.encryptTo);
    // W44: the key stays with the path, for as long as the readers are the same.
    const isKnown = before !== undefined && before.shredded !== true;
    const known = isKnown ? await this.#sealingOf(before) : undefined;
    return known !== undefined && isSame(known.to, to) ? known : await newSealing(to, hasher);
  }

  #recipients(text: string): readonly string[] {
    const names = text.split(',').map((name) => name.trim());
    const all = names.filter((name) => name !== '').flatMap((name) => this.#recipientsOf(name));
    return [...new Set(all)].toSorted();
  }

  #recipientsOf(name: string): readonly string[] {
    if (isRecipient(name)) return [name];
    if (!name.endsWith('/')) return [this.#readerOf(this.#deps.find(name))];
    const group = this.#deps.group(name.slice(0, -1));
    if (group !== undefined) return group.map((nodeId) => this.#readerOf(this.#deps.find(nodeId)));
    throw new AegisError('NOT_FOUND', `there is no namespace ${JSON.stringify(name)}`, {
      hint: 'See who may write somewhere: aegis kb rights PATH',
    });
  }

  #readerOf(member: RosterMember): string {
    const reader = readerOfMember(member);
    if (reader !== undefined) return reader;
    throw new AegisError('BAD_DATA', `the network key of ${member.name} is no point`);
  }

  /** Undefined when it is plain, not to be had, or for others. */
  async #sealingOf(version: Version): Promise<Sealing | undefined> {
    const { contents } = this.#deps;
    try {
      const here = await contents.openHere(version.root);
      if (here !== undefined) return here.sealing;
      if (version.sizeBytes > FETCH_BYTES) return undefined;
      await this.#deps.complete(version, timeout(FETCH_MS));
      return (await contents.openHere(version.root))?.sealing;
    } catch (error) {
      if (hasCode(error, 'SEALED', 'NOT_FOUND', 'NOT_REACHABLE', 'NOT_KEPT', 'TIMEOUT')) {
        return undefined;
      }
      throw error;
    }
  }
}

const isSame = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((one, at) => one === b[at]);
