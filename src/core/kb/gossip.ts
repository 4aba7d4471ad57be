/** Which peers get a version that came by push: a few, others for each version. */
import { blake3 } from '../crypto/hash.ts';

const PEERS = 3;

export function chosenPeers(nodeId: string, peers: readonly string[], topic: string): string[] {
  if (peers.length <= PEERS) return [...peers];
  return peers
    .map((peer) => ({ peer, rank: blake3(Buffer.from(`${nodeId}/${peer}/${topic}`)) }))
    .toSorted((a, b) => Buffer.compare(a.rank, b.rank))
    .slice(0, PEERS)
    .map(({ peer }) => peer);
}
