/**
 * How far the succession of a node reaches, by what is known of it and what is shown, in whatever
 * order (H1), and whether it contradicts itself (S8). Entries that do not follow are no evidence of
 * anything: anyone can make them. It keeps nothing and tells nobody.
 */
import { hex } from '../bytes.ts';
import type { Verified } from '../units.ts';
import {
  follow,
  type KeySet,
  type KeyState,
  type SignedSuccession,
  successionFault,
} from './succession.ts';

type Entry = Verified<SignedSuccession>;

export interface Furthest {
  /** The keys after the last entry that follows. */
  readonly state: KeyState;
  /** All entries that follow, from the first on: those that were held, and then the fresh ones. */
  readonly entries: readonly Entry[];
  /** Those of them that were not held. */
  readonly fresh: readonly Entry[];
  /**
   * S8: two entries that both follow the same one; the lower digest first. None that somebody with
   * the running home could have signed, since the successor has become the identity key.
   */
  readonly duplicity?: readonly [Entry, Entry];
}

/**
 * @param held the entries that are known, each following the one before, from the first on.
 * @param shown what somebody told: in any order, twice, of any node, signed by any key.
 * @throws {AegisError} `BAD_DATA` when an entry that is held does not follow.
 */
export function furthest(
  origin: KeyState,
  held: readonly Entry[],
  shown: readonly Entry[],
): Furthest {
  const places = placesOf(origin.nodeId, shown);
  const run = new Set(
    [origin.keys, ...held.map(keysAfter)].map(({ identityKey }) => hex(identityKey)),
  );
  const entries: Entry[] = [];
  let state = origin;
  let duplicity: readonly [Entry, Entry] | undefined;
  for (;;) {
    const own = held[entries.length];
    const others = (places.get(state.number + 1) ?? []).filter(
      ({ digest, succession }) =>
        digest !== own?.digest &&
        !(own !== undefined && run.has(hex(succession.revealed))) &&
        successionFault(state, succession) === undefined,
    );
    const [one, other] = own === undefined ? others : [own, ...others];
    const isProof = own !== undefined || !others.some(isPromotion);
    if (one !== undefined && other !== undefined && isProof) duplicity ??= inOrder(one, other);
    // Which of two that are both new counts, blocks decide: beyond, nothing fresh is followed.
    const isClear = duplicity === undefined && other === undefined;
    const next = own ?? (isClear ? one : undefined);
    if (next === undefined) break;
    state = follow(state, next);
    entries.push(next);
  }
  const fresh = entries.slice(held.length);
  return { state, entries, fresh, ...(duplicity === undefined ? {} : { duplicity }) };
}

const keysAfter = ({ succession }: Entry): KeySet => succession.keys;

/** Who signs it is in the running home from then on, and with whoever steals that. */
const isPromotion = ({ succession }: Entry): boolean => succession.replaced.includes('identity');

const inOrder = (one: Entry, other: Entry): readonly [Entry, Entry] =>
  one.digest < other.digest ? [one, other] : [other, one];

/** The entries of the node by their numbers, each once, those of a number by their digests. */
function placesOf(nodeId: string, shown: readonly Entry[]): ReadonlyMap<number, readonly Entry[]> {
  const places = new Map<number, Map<string, Entry>>();
  for (const entry of shown) {
    if (entry.succession.nodeId !== nodeId) continue;
    const { number } = entry.succession;
    const place = places.get(number) ?? new Map<string, Entry>();
    places.set(number, place.set(entry.digest, entry));
  }
  return new Map(
    [...places].map(([number, place]) => [
      number,
      [...place.values()].toSorted((a, b) => (a.digest < b.digest ? -1 : 1)),
    ]),
  );
}
