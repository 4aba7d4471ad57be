/** What the owner of a store reads for a node that lags (Y1), and how it forgets old blocks (Z1). */
import { blockKey, heightKey, readChainRow, TABLES } from '../chain/rows.ts';
import type { BlockWindow } from '../chain/types.ts';
import { openBlock } from '../model/block.ts';
import type { SimDisk } from './disk.ts';

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
