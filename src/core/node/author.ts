/**
 * The identity with which this node signs what others count: that of its key epoch in the state of
 * the chain (docs/keys.md, A1, A2), whatever the home has prepared or promoted since.
 */
import type { Roster } from '../chain/roster.ts';
import { AegisError, hasCode } from '../errors.ts';
import type { KeyState } from '../model/succession.ts';
import type { KeyRing, Signer } from '../ports.ts';

export interface AuthorDeps {
  readonly roster: Pick<Roster, 'get'>;
  readonly ring: Pick<KeyRing, 'identity' | 'reached'> & { readonly current: KeyState };
}

export class Author {
  readonly nodeId: string;
  readonly #deps: AuthorDeps;

  constructor(nodeId: string, deps: AuthorDeps) {
    this.nodeId = nodeId;
    this.#deps = deps;
  }

  /** The keys in force; of one that is no member yet, those of its home. */
  get keys(): KeyState {
    return this.#deps.roster.get(this.nodeId)?.keys ?? this.#deps.ring.current;
  }

  get keyEpoch(): number {
    return this.keys.keyEpoch;
  }

  /**
   * What `make` signs and does with it at once. It is called again when the signer was out of
   * reach, as one that is being restarted or very busy is: what that may have signed before has
   * reached nobody.
   */
  async signed<T>(make: () => T | Promise<T>): Promise<T> {
    try {
      return make();
    } catch (error) {
      if (!hasCode(error, 'SIGNER_UNREACHABLE')) throw error;
      await this.#deps.ring.reached?.();
      return make();
    }
  }

  /** @throws {AegisError} `KEYS_RETIRED` when the identity key in force is elsewhere (K3). */
  signer(): Signer {
    const signer = this.#deps.ring.identity(this.keys.keys.identityKey);
    if (signer !== undefined) return signer;
    throw new AegisError('KEYS_RETIRED', 'the identity key in force is not in this home', {
      hint: 'Its keys have changed hands elsewhere. See: aegis keys list',
    });
  }
}
