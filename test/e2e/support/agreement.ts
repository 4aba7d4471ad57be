/** What must hold of a cluster when all its nodes run and are connected, through its API. */
import { expect } from 'vitest';
import type { BlockSummary } from '../../../src/core/api/contract/consensus.ts';
import type { Result } from '../../../src/core/api/contract/endpoints.ts';
import { clientOf, putFinal, statusOf } from './api.ts';
import type { Cluster } from './cluster.ts';
import type { Reported } from './workload.ts';

type Page = Result<'consensus.blocks'>;

const PAGE = 200;
const FINAL_MS = 60_000;
/** Of so many heights the whole blocks are compared, beside the last one. */
const SAMPLES = 20;

const nodesOf = (cluster: Cluster): number[] => cluster.devnet.nodes.map((_, n) => n + 1);

let asked = 0;

/** A new document by each node becomes final, on all of them. @returns the last height. */
export async function expectLiveness(cluster: Cluster, nodes = nodesOf(cluster)): Promise<number> {
  let last = 0;
  // One that was there would be final without anybody's doing.
  asked += 1;
  for (const node of nodes) {
    const path = `alive/${asked}/${node}`;
    const { height } = await putFinal(cluster, node, path, path, { timeoutMs: FINAL_MS });
    last = height!;
  }
  await untilHeight(cluster, last);
  return last;
}

/** Until the blocks up to this height are final on all nodes, and can be read there. */
export async function untilHeight(
  cluster: Cluster,
  height: number,
  nodes = nodesOf(cluster),
): Promise<void> {
  const query = { for: `height=${height}`, timeoutMs: FINAL_MS };
  const waits = nodes.map((node) => clientOf(cluster, node).call('node.wait', { query }));
  await Promise.all(waits);
}

/**
 * No fork: one digest and one state at each height, once all nodes have come so far. The digest
 * covers the root of the state.
 */
export async function expectOneChain(cluster: Cluster, height: number): Promise<void> {
  await untilHeight(cluster, height);
  const chains = await Promise.all(nodesOf(cluster).map((node) => chainOf(cluster, node, height)));
  for (const [n, chain] of chains.entries()) {
    expect(chain.length, `blocks of node ${n + 1}`).toBe(height);
    for (const [i, { digest }] of chain.entries()) {
      expect(digest, `height ${i + 1} on node ${n + 1}`).toBe(chains[0]![i]!.digest);
    }
  }
  const step = Math.max(1, Math.floor(height / SAMPLES));
  for (let at = height; at > 0; at -= step) {
    const blocks = await Promise.all(nodesOf(cluster).map((node) => blockAt(cluster, node, at)));
    const found = blocks.map(({ digest, stateRoot, intents }) => ({ digest, stateRoot, intents }));
    for (const one of found) expect(one).toEqual(found[0]);
  }
}

/** What was once reported is still so, at the same height, wherever one asks. */
export async function expectKept(cluster: Cluster, reported: readonly Reported[]): Promise<void> {
  const nodes = nodesOf(cluster);
  const byHeight = Map.groupBy(reported, ({ height }) => height);
  for (const [height, intents] of byHeight) {
    // The chains are equal, so that any node may be asked.
    const block = await blockAt(cluster, nodes[height % nodes.length]!, height);
    for (const { intent, result } of intents) {
      const found = block.intents.find(({ id }) => id === intent);
      expect(found?.result, `intent ${intent} at height ${height}`).toBe(result);
    }
  }
}

/** Nobody broke a rule, and nobody seems to; every custodian votes. */
export async function expectPeace(cluster: Cluster): Promise<void> {
  for (const node of nodesOf(cluster)) {
    const { evidence, total } = await clientOf(cluster, node).call('consensus.evidence');
    expect({ evidence, total }, `evidence on node ${node}`).toEqual({ evidence: [], total: 0 });
    const { doubt, isVoting, keyElsewhere, role } = await statusOf(cluster, node);
    const isCustodian = role === 'custodian';
    expect({ doubt, isVoting, keyElsewhere }, `node ${node}`).toEqual({
      doubt: null,
      isVoting: isCustodian,
      keyElsewhere: null,
    });
  }
}

const blockAt = (cluster: Cluster, node: number, height: number) =>
  clientOf(cluster, node).call('consensus.block', { params: { id: String(height) } });

/** From height 1 upwards. */
async function chainOf(cluster: Cluster, node: number, upTo: number): Promise<BlockSummary[]> {
  const blocks: BlockSummary[] = [];
  let from: number | null = upTo;
  while (from !== null) {
    const query: { from: number; limit: number } = { from, limit: PAGE };
    const page: Page = await clientOf(cluster, node).call('consensus.blocks', { query });
    blocks.push(...page.blocks);
    from = page.next;
  }
  return blocks.toReversed();
}
