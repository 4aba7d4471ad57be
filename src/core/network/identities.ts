/**
 * Who was behind which peer id, as hello has shown. A node has several peer ids in the course of
 * its succession; an old one still says which node was meant. It knows no connections.
 */
import type { PeerId } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { AegisError } from '../errors.ts';
import { peerIdOf } from '../model/identity.ts';
import type { Heard, HelloIdentity } from './hello.ts';

/** Of members only: each has passed hello. */
const PEER_IDS_MAX = 4096;

interface Kept {
  readonly identity: HelloIdentity;
  /** Peer ids of the keys that it shows. */
  readonly shown: ReadonlySet<string>;
  /** How many reviews there had been when it was judged. */
  readonly reviews: number;
}

export class Identities {
  readonly #kept = new Map<string, Kept>();
  readonly #ownerOf: (networkKey: Uint8Array) => string | undefined;
  #reviews = 0;
  #accepts: (identity: HelloIdentity) => boolean = () => true;

  /** @param deps.ownerOf the member that has, or has had, a network key, by what is final. */
  constructor(deps: { ownerOf?: (networkKey: Uint8Array) => string | undefined }) {
    this.#ownerOf = (networkKey) => deps.ownerOf?.(networkKey);
  }

  /** Reviews so far: what was judged before the last one is reviewed when it connects. */
  get reviews(): number {
    return this.#reviews;
  }

  keep(peerId: string, { identity, networkKeys }: Heard, reviews: number): void {
    const shown = new Set(networkKeys.map(peerIdOf));
    this.#kept.delete(peerId);
    if (this.#kept.size >= PEER_IDS_MAX) {
      // The oldest is forgotten first: a Map keeps the order of insertion.
      const oldest = this.#kept.keys().next();
      if (oldest.done !== true) this.#kept.delete(oldest.value);
    }
    this.#kept.set(peerId, { identity, shown, reviews });
  }

  get(peerId: string): HelloIdentity | undefined {
    return this.#kept.get(peerId)?.identity;
  }

  /** As `get`, unless a review that came after the judgement accepts it no more. */
  accepted(peerId: string): HelloIdentity | undefined {
    const kept = this.#kept.get(peerId);
    if (kept === undefined) return undefined;
    return kept.reviews === this.#reviews || this.#accepts(kept.identity)
      ? kept.identity
      : undefined;
  }

  /** The node that has, or has had, the peer id: it has proved it here, or the chain says so. */
  ownerOf(peerId: string): string | undefined {
    const proved = this.#kept.get(peerId)?.identity.nodeId;
    if (proved !== undefined) return proved;
    const key = networkKeyIn(peerId);
    return key === undefined ? undefined : this.#ownerOf(key);
  }

  /**
   * Whether the node that has answered with one peer id is the one that another means. Where nobody
   * is known to own that, the word of the node counts: it answers at the address, whoever it is.
   */
  isMeant(answering: string, meant: string): boolean {
    const kept = this.#kept.get(answering);
    if (kept === undefined) return false;
    const owner = this.ownerOf(meant);
    return owner === undefined ? kept.shown.has(meant) : owner === kept.identity.nodeId;
  }

  review(accepts: (identity: HelloIdentity) => boolean): void {
    this.#reviews += 1;
    this.#accepts = accepts;
  }
}

/** @throws {AegisError} `BAD_REQUEST`. */
export function parsePeerId(text: string): PeerId {
  try {
    return peerIdFromString(text);
  } catch {
    throw new AegisError('BAD_REQUEST', `${text.slice(0, 128)} is not a peer id`);
  }
}

/** The raw key in a peer id of the kind that nodes have. */
function networkKeyIn(peerId: string): Uint8Array | undefined {
  try {
    const id = peerIdFromString(peerId);
    return id.type === 'Ed25519' ? id.publicKey.raw : undefined;
  } catch {
    return undefined;
  }
}
