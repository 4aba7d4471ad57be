/**
 * Whose keys are whose (docs/keys.md, S6): every key that a member has, or has had. An identity key
 * and a successor have signed something, so they are their owner's; any other key an entry may just
 * name. The answer is that of a set, and so the same in whatever order members were recorded.
 */
import { hex } from '../bytes.ts';
import type { KeySet, KeyState, Succession } from '../model/succession.ts';

/** Nothing proves these to be of whoever names them: a proof of possession can be copied. */
const namedIn = ({ networkKey, consensusKey, vrfKey, onionKey }: KeySet): Uint8Array[] => [
  networkKey,
  consensusKey,
  vrfKey,
  onionKey,
];

function namedAnewIn({ keys, replaced }: Succession): Uint8Array[] {
  const { networkKey, consensusKey, vrfKey, onionKey } = keys;
  const fresh: Uint8Array[] = [];
  if (replaced.includes('network')) fresh.push(networkKey);
  if (replaced.includes('consensus')) fresh.push(consensusKey, vrfKey);
  if (replaced.includes('onion')) fresh.push(onionKey);
  return fresh;
}

export class KeyOwners {
  readonly #below: KeyOwners | undefined;
  readonly #named = new Map<string, readonly string[]>();
  readonly #proved = new Map<string, readonly string[]>();

  /** @param below what is known already; it stays as it is. */
  constructor(below?: KeyOwners) {
    this.#below = below;
  }

  /** The member has these keys from now on. */
  add(nodeId: string, states: readonly KeyState[]): void {
    for (const { keys, last } of states) {
      for (const key of namedIn(keys)) put(this.#named, key, nodeId);
      put(this.#proved, keys.identityKey, nodeId);
      if (last !== undefined) put(this.#proved, last.revealed, nodeId);
    }
  }

  /** Nothing is known any more. */
  clear(): void {
    this.#named.clear();
    this.#proved.clear();
  }

  /** Who has named the key as one of theirs. */
  named(key: Uint8Array): readonly string[] {
    return [...(this.#below?.named(key) ?? []), ...(this.#named.get(hex(key)) ?? [])];
  }

  /** Who has signed with the key, as identity or as successor. */
  proved(key: Uint8Array): readonly string[] {
    return [...(this.#below?.proved(key) ?? []), ...(this.#proved.get(hex(key)) ?? [])];
  }

  /** S6: whether a key that is new with the entry belongs to another member. */
  isOfOther(entry: Succession): boolean {
    return this.#isAny(entry, (owner) => owner !== entry.nodeId);
  }

  /** The same; or one that is named anew was one of the node's own before: K1 relies on that. */
  isTaken(entry: Succession): boolean {
    return this.isOfOther(entry) || namedAnewIn(entry).some((key) => this.#of(key).length > 0);
  }

  /** S6 for all keys with which a node comes. */
  isAnyOfOther(nodeId: string, states: readonly KeyState[]): boolean {
    const isOther = (owner: string): boolean => owner !== nodeId;
    return states.some(
      ({ keys }) =>
        this.proved(keys.identityKey).some(isOther) ||
        namedIn(keys).some((key) => this.#of(key).some(isOther)),
    );
  }

  #isAny(entry: Succession, isMeant: (owner: string) => boolean): boolean {
    const { keys, replaced } = entry;
    // That others name it keeps nobody from an identity key.
    const identity = replaced.includes('identity') ? this.proved(keys.identityKey) : [];
    return [...identity, ...namedAnewIn(entry).flatMap((key) => this.#of(key))].some(isMeant);
  }

  #of(key: Uint8Array): readonly string[] {
    return [...this.named(key), ...this.proved(key)];
  }
}

function put(owners: Map<string, readonly string[]>, key: Uint8Array, nodeId: string): void {
  const known = owners.get(hex(key)) ?? [];
  if (!known.includes(nodeId)) owners.set(hex(key), [...known, nodeId]);
}
