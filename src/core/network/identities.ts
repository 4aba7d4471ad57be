/**
 * Who was behind which peer id, as hello has shown. A node has several peer ids in the course of
 * its succession; an old one still says which node was meant. It knows no connections.
 */
import { peerIdOf } from '../model/identity.ts';
import type { Heard, HelloIdentity } from './hello.ts';

/** Of members only: each has passed hello. */
const PEER_IDS_MAX = 16_384;

interface Kept {
  readonly identity: HelloIdentity;
  /** How many reviews there had been when it was judged. */
  readonly reviews: number;
}

export class Identities {
  readonly #kept = new Map<string, Kept>();
  readonly #owners = new Map<string, string>();
  #reviews = 0;
  #accepts: (identity: HelloIdentity) => boolean = () => true;

  /** Reviews so far: what was judged before the last one is reviewed when it connects. */
  get reviews(): number {
    return this.#reviews;
  }

  keep(peerId: string, { identity, networkKeys }: Heard, reviews: number): void {
    bounded(this.#kept, peerId, { identity, reviews });
    for (const key of networkKeys) bounded(this.#owners, peerIdOf(key), identity.nodeId);
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

  /** The node that has, or has had, the peer id. */
  ownerOf(peerId: string): string | undefined {
    return this.#owners.get(peerId);
  }

  review(accepts: (identity: HelloIdentity) => boolean): void {
    this.#reviews += 1;
    this.#accepts = accepts;
  }
}

/** The oldest is forgotten first: a Map keeps the order of insertion. */
function bounded<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  if (map.size >= PEER_IDS_MAX) {
    const oldest = map.keys().next();
    if (oldest.done !== true) map.delete(oldest.value);
  }
  map.set(key, value);
}
