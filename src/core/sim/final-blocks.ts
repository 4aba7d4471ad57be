/** What the owner of a store reads for a node that lags (Y1), and how it forgets blocks (Z1). */
import type { Chain } from '../chain/chain.ts';
import {
  baseRow,
  blockKey,
  heightKey,
  META,
  readBase,
  readChainRow,
  TABLES,
} from '../chain/rows.ts';
import type { BlockWindow } from '../chain/types.ts';
import type { LogEntry } from '../machine.ts';
import { openBlock } from '../model/block.ts';
import type { CommitFault, SimDisk } from './disk.ts';
import type { SimNode } from './node.ts';

const WINDOW_BLOCKS = 32;

/** Up to the last block to `upTo` that has a certificate, or the first after it; one epoch. */
export function windowOf(disk: SimDisk, from: number, upTo: number): BlockWindow | undefined {
  const blocks: Uint8Array[] = [];
  let window: BlockWindow | undefined;
  let custodians: Uint8Array | undefined;
  for (let height = from; height < from + WINDOW_BLOCKS; height += 1) {
    if (height > upTo && window !== undefined) break;
    const row = disk.get(TABLES.chain, heightKey(height));
    if (row === undefined) break;
    const { digest, certificate } = readChainRow(row);
    const block = disk.get(TABLES.blocks, blockKey(height, digest));
    if (block === undefined) break;
    blocks.push(block);
    if (certificate !== undefined) window = { blocks: [...blocks], certificate };
    const { header } = openBlock(block);
    // E1: the last block of an epoch ends the window.
    if (custodians !== undefined && Buffer.compare(custodians, header.custodians) !== 0) break;
    custodians = header.custodians;
  }
  return window;
}

/** Beyond what snapshots cover, nodes keep at least so much here. */
const KEPT_LEAST = 4;

/**
 * Drops the blocks below some height that the last snapshot still covers: a real node keeps more.
 * @returns whether there are any.
 */
export function prune(
  node: SimNode,
  chain: Chain,
  force: number,
  done: (base: number) => void,
): boolean {
  const { disk } = node;
  const row = disk.get(TABLES.meta, META.base);
  const before = row === undefined ? 1 : readBase(row);
  const most = Math.min(chain.checkpoint()?.height ?? 0, chain.height - KEPT_LEAST);
  const base = Math.floor(before + (1 - force / 4) * (most - before));
  if (base <= before) return false;
  const entries: LogEntry[] = [
    { table: TABLES.meta, key: META.base, value: baseRow(base) },
    ...[TABLES.blocks, TABLES.chain].flatMap((table) =>
      disk
        .scan(table)
        .filter(({ key }) => key < heightKey(base))
        .map(({ key }) => ({ table, key, value: undefined })),
    ),
  ];
  const told = node.guard((fault?: CommitFault) => {
    if (fault === undefined) done(base);
  });
  disk.commit(entries, told);
  return true;
}
