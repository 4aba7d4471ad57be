/**
 * Who keeps a root: weighted rendezvous hashing (Schindelhauer and Schomaker, "Weighted
 * distributed hash tables", 2005), one zone after another. Every node computes the same answer
 * from the member list alone. Whether a holder is alive is not asked here.
 */
import type { CID } from 'multiformats/cid';
import { sha256 } from '../crypto/hash.ts';

export interface PlacementMember {
  readonly nodeId: string;
  /** Share of the load, against that of the others; 0 holds nothing. */
  readonly weight: number;
  readonly zone: string;
}

/**
 * @returns at most `replicas` node ids, best first. As many distinct zones as there are; then the
 * best of the rest.
 */
export function placeHolders(
  root: CID,
  members: readonly PlacementMember[],
  replicas: number,
): string[] {
  const ranked = members
    .filter((member) => member.weight > 0)
    .map((member) => ({ member, score: score(root, member) }))
    .toSorted((a, b) => b.score - a.score || (a.member.nodeId < b.member.nodeId ? -1 : 1))
    .map(({ member }) => member);
  const chosen = new Set<string>();
  const zones = new Set<string>();
  for (const { nodeId, zone } of ranked) {
    if (chosen.size === replicas) break;
    if (zones.has(zone)) continue;
    zones.add(zone);
    chosen.add(nodeId);
  }
  for (const { nodeId } of ranked) {
    if (chosen.size >= replicas) break;
    chosen.add(nodeId);
  }
  return [...chosen];
}

/** `-w / ln(u)` with u uniform in (0, 1), from the first 52 bits of a hash of both names. */
function score(root: CID, member: PlacementMember): number {
  const hash = sha256(Buffer.concat([root.multihash.digest, Buffer.from(member.nodeId)]));
  let bits = 0;
  for (let i = 0; i < 6; i += 1) bits = bits * 256 + hash[i]!;
  const uniform = (bits * 16 + (hash[6]! >> 4) + 0.5) / 2 ** 52;
  return -member.weight / Math.log(uniform);
}
