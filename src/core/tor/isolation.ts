/**
 * SOCKS credentials that keep the circuits of one peer and purpose apart from all others (O11).
 * What is in them says nothing to whoever reads Tor's log: names are keyed hashes, and the key
 * ends with this process. It opens nothing.
 */
import { assert } from '../assert.ts';
import { hmacSha256 } from '../crypto/hash.ts';
import { TOR_LIMITS } from './limits.ts';

const NAME_HEX = 32;
const SECRET_BYTES = 32;

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** Whom a username stands for. */
export interface Isolated {
  readonly purpose: string;
  readonly peer: string;
}

export class Isolation {
  readonly #mac: (text: string) => string;
  /** By username; the latest last. */
  readonly #names = new Map<string, Isolated>();
  readonly #epochs = new Map<string, number>();
  #epoch = 0;

  /** @param secret 32 random bytes of this process. */
  constructor(secret: Uint8Array) {
    assert(secret.length === SECRET_BYTES, 'the secret of isolation has 32 bytes');
    this.#mac = hmacSha256(secret);
  }

  /** @param peer whatever names the peer: circuits are shared exactly by those with one name. */
  of(purpose: string, peer: string): Credentials {
    const username = this.#nameOf(purpose, peer);
    this.#remember(username, { purpose, peer });
    return { username, password: `${this.#epoch}.${this.#epochs.get(peer) ?? 0}` };
  }

  /** New circuits from the next dial on: for one peer, or for all. */
  renew(peer?: string): void {
    if (peer === undefined) {
      this.#epoch += 1;
      // The epoch of all is a part of every password: those of single peers may begin anew.
      this.#epochs.clear();
      return;
    }
    if (this.#epochs.size >= TOR_LIMITS.isolatedNames && !this.#epochs.has(peer)) this.renew();
    this.#epochs.set(peer, (this.#epochs.get(peer) ?? 0) + 1);
  }

  /** Whom a circuit belongs to, by the username that Tor tells of it. */
  whoIs(username: string): Isolated | undefined {
    return this.#names.get(username);
  }

  #nameOf(purpose: string, peer: string): string {
    return this.#mac(JSON.stringify([purpose, peer])).slice(0, NAME_HEX);
  }

  #remember(username: string, isolated: Isolated): void {
    this.#names.delete(username);
    this.#names.set(username, isolated);
    if (this.#names.size <= TOR_LIMITS.isolatedNames) return;
    const oldest = this.#names.keys().next();
    if (oldest.done !== true) this.#names.delete(oldest.value);
  }
}
