/** Rows as of final blocks, made up: what is in them is not looked at by whoever prunes them. */
import {
  blockKey,
  chainRow,
  heightKey,
  META,
  readBase,
  receiptRow,
  TABLES,
} from '../../../../src/core/chain/rows.ts';
import { sha256Hex } from '../../../../src/core/crypto/hash.ts';
import type { LogEntry } from '../../../../src/core/machine.ts';
import type { Metrics } from '../../../../src/core/ports.ts';
import type { ChainStore } from '../../../../src/core/storage/chain-store.ts';

export const silentMetrics: Metrics = { count: () => {}, gauge: () => {}, observe: () => {} };

const INTENTS = 3;
const BLOCK_BYTES = 1200;
const TIP = { table: 'test/tip', key: '' };
const text = new TextEncoder();

export const digestOf = (height: number): string => sha256Hex(text.encode(`block ${height}`));

/** The intent n of a height; every tenth comes again ten heights later, and the last one counts. */
export const idOf = (height: number, n: number): string => {
  const isAgain = n === 0 && height % 20 >= 10;
  return sha256Hex(text.encode(`intent ${isAgain ? height - 10 : height}/${n}`));
};

export const idsIn = (height: number): string[] =>
  Array.from({ length: INTENTS }, (_, n) => idOf(height, n));

/** Its ids, each a line, and what fills it up. */
export const blockBytes = (height: number): Uint8Array =>
  text.encode(`${idsIn(height).join('\n')}\n${'.'.repeat(BLOCK_BYTES)}`);

export const idsOf = (block: Uint8Array): string[] =>
  new TextDecoder().decode(block).split('\n').slice(0, INTENTS);

export function receiptOf(height: number, n: number): Uint8Array {
  const common = { author: 'n'.repeat(60), sequence: height, height, index: n };
  return receiptRow({ id: idOf(height, n), ...common, result: 'done' });
}

/** All that becomes durable with a block. */
export function blockRows(height: number): LogEntry[] {
  const digest = digestOf(height);
  const certificate = new Uint8Array(200);
  return [
    { table: TABLES.blocks, key: blockKey(height, digest), value: blockBytes(height) },
    // Another that was proposed at this height, and left behind.
    ...(height % 7 === 0
      ? [{ table: TABLES.blocks, key: blockKey(height, '00'.repeat(32)), value: text.encode('') }]
      : []),
    { table: TABLES.chain, key: heightKey(height), value: chainRow({ digest, certificate }) },
    ...idsIn(height).map((key, n) => ({
      table: TABLES.receipts,
      key,
      value: receiptOf(height, n),
    })),
    { table: TABLES.state, key: digestOf(height % 50), value: text.encode(`state ${height}`) },
    { ...TIP, value: text.encode(String(height)) },
  ];
}

export async function tipOf(store: ChainStore): Promise<number> {
  const bytes = await store.get(TIP.table, TIP.key);
  return bytes === undefined ? 0 : Number(new TextDecoder().decode(bytes));
}

export const baseOf = async (store: ChainStore): Promise<number> =>
  readBase(await store.get(TABLES.meta, META.base));
