/** What the kinds of mutants share. */
import { sha256Hex } from '../../../../src/core/crypto/hash.ts';
import { decode } from '../../../../src/core/model/cbor.ts';
import type { Chance, Final, History } from './history.ts';
import type { GeneratedProof } from './proofs.ts';

export type Map = Record<string, unknown>;
export interface Plain {
  v: number;
  type: string;
  clusterId: string;
  links: Map[];
  claims: Map[];
}

export interface Scene {
  readonly chance: Chance;
  readonly history: History;
  readonly good: GeneratedProof;
  /** Another proof of the same history, at another height. */
  readonly other: () => Plain;
}

/** Changes the proof, unless it is none to which this can be done. */
export type Mutation = (proof: Plain, at: Scene) => void;

const MAX_BYTES = 16 * 1024 * 1024;
export const plainOf = (bytes: Uint8Array) => decode(bytes, { maxBytes: MAX_BYTES }) as Plain;
export const listOf = (value: unknown) => value as Uint8Array[];

/** The links that need a certificate, and with them the blocks. */
export function certified({ links }: Plain, { history, good }: Scene) {
  const digests = new Map(history.blocks.map((block) => [sha256Hex(block.header), block]));
  return links
    .map((link) => ({ link, block: digests.get(sha256Hex(link['header'] as Uint8Array))! }))
    .filter(({ block }) => block.height > (good.checkpoint?.height ?? 0));
}

export const aClaim = (proof: Plain, { chance }: Scene, type?: string): Map | undefined => {
  const found = proof.claims.filter((claim) => type === undefined || claim['type'] === type);
  return found.length === 0 ? undefined : chance.pick(found);
};

/** A claim has another field; what it leads to is not the root of the state then. */
export const inClaim =
  (type: string | undefined, change: (claim: Map, at: Scene) => void): Mutation =>
  (proof, at) => {
    const claim = aClaim(proof, at, type);
    return claim === undefined ? false : change(claim, at);
  };

/** A certified link changes. */
export const inLink =
  (change: (link: Map, block: Final, at: Scene) => void): Mutation =>
  (proof, at) => {
    const found = certified(proof, at);
    if (found.length === 0) return;
    const { link, block } = at.chance.pick(found);
    return change(link, block, at);
  };

export const flipped = (bytes: Uint8Array, chance: Chance): Uint8Array => {
  const copy = Uint8Array.from(bytes);
  copy[chance.below(copy.length)]! ^= 1 << chance.below(8);
  return copy;
};
