/** Proofs against a state root: that a key has a value, or that it has none. */
import { sha256Latin1 } from '../crypto/hash.ts';
import { bitOf, EMPTY_HASH, leafHash, nodeHash } from './state-tree.ts';

export interface StateProof {
  /** Hashes beside the way from the root down to where the key is or would be, 32 bytes each. */
  readonly siblings: readonly Uint8Array[];
  /** For absence: the leaf that stands where the key would be. Its value stays hidden. */
  readonly other?: { readonly key: string; readonly valueHash: Uint8Array };
}

/** What shows which leaves stand under a tag. */
export interface RangeProof {
  /** Beside the way down to the subtree of the tag, or to where it ends before. */
  readonly siblings: readonly Uint8Array[];
  /** The leaf of another tag at which the way ends. */
  readonly other?: { readonly key: string; readonly valueHash: Uint8Array };
  /** In the order of their keys. */
  readonly leaves: readonly { readonly key: string; readonly value: Uint8Array }[];
}

const HEX_KEY = /^[0-9a-f]{64}$/;
const DEPTH_MAX = 256;

const textOf = (hash: Uint8Array): string => Buffer.from(hash).toString('latin1');

/**
 * Whether the state with this root has `value` under `key` (hex), or nothing when `value` is
 * undefined. Never throws on hostile proofs.
 */
export function verifyStateProof(
  root: Uint8Array,
  key: string,
  value: Uint8Array | undefined,
  proof: StateProof,
): boolean {
  const { siblings, other } = proof;
  if (!HEX_KEY.test(key) || siblings.length > DEPTH_MAX) return false;
  if (siblings.some((sibling) => sibling.length !== 32)) return false;
  let hash = bottomHash(key, value, other, siblings.length);
  if (hash === undefined) return false;
  for (let depth = siblings.length - 1; depth >= 0; depth -= 1) {
    const sibling = textOf(siblings[depth]!);
    hash = bitOf(key, depth) === 0 ? nodeHash(hash, sibling) : nodeHash(sibling, hash);
  }
  return hash === textOf(root);
}

/** The hash at the end of the way; undefined when the end contradicts what is claimed. */
function bottomHash(
  key: string,
  value: Uint8Array | undefined,
  other: StateProof['other'],
  depth: number,
): string | undefined {
  if (value !== undefined) {
    return other === undefined ? leafHash(key, sha256Latin1(value)) : undefined;
  }
  if (other === undefined) return EMPTY_HASH;
  if (!HEX_KEY.test(other.key) || other.key === key || other.valueHash.length !== 32) {
    return undefined;
  }
  for (let at = 0; at < depth; at += 1) {
    if (bitOf(other.key, at) !== bitOf(key, at)) return undefined;
  }
  return leafHash(other.key, textOf(other.valueHash));
}
