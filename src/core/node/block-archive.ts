/** Final blocks as they lie in `chain.db`: for peers that lag behind, and for whoever looks. */
import type { Receipt } from '../chain/execution.ts';
import { LIMITS } from '../chain/limits.ts';
import { blockKey, heightKey, readChainRow, readReceipt, TABLES } from '../chain/rows.ts';
import type { BlockWindow } from '../chain/types.ts';
import { decodeCertificate } from '../consensus/certificate.ts';
import type { Certificate } from '../consensus/types.ts';
import { AegisError } from '../errors.ts';
import { type Block, openBlock } from '../model/block.ts';
import type { TableRow } from '../storage/protocol.ts';

export interface ArchiveStore {
  range(query: { table: string; from: string; to: string; limit: number }): Promise<TableRow[]>;
  getMany(table: string, keys: readonly string[]): Promise<(Uint8Array | undefined)[]>;
}

export interface ArchivedBlock {
  readonly block: Block;
  /** What shows that it is final: its own, or that of a later block of its epoch (Y1). */
  readonly certificate: Certificate;
}

interface Row {
  readonly height: number;
  readonly digest: string;
  readonly certificate?: Uint8Array | undefined;
}

/** Blocks of one question to the store, so that it can do something else in between. */
const READ_BLOCKS = 4;

export class BlockArchive {
  readonly #store: ArchiveStore;

  constructor(store: ArchiveStore) {
    this.#store = store;
  }

  /**
   * Y1: final blocks from a height on, and the certificate of the last of them. They end at the
   * last block up to `upTo` that has one, or at the first after it, and earlier where there would
   * be more than `maxBytes` of them; undefined: there are none here.
   */
  async window(from: number, upTo: number, maxBytes: number): Promise<BlockWindow | undefined> {
    // What lies between two certificates came in one message, so that it fits into one.
    const rows = await this.#rows(from, from + LIMITS.windowBlocks - 1);
    const first = rows.findIndex(({ certificate }) => certificate !== undefined);
    if (first === -1 || rows[0]?.height !== from) return undefined;
    const wanted = rows.slice(0, Math.max(upTo - from + 1, first + 1));
    const blocks: Uint8Array[] = [];
    let [bytes, end, count] = [0, 0, READ_BLOCKS];
    while (blocks.length < wanted.length && (bytes <= maxBytes || end === 0)) {
      const some = wanted.slice(blocks.length, blocks.length + count);
      const found = await this.#blocksOf(some);
      for (const block of found) {
        bytes += block.length;
        blocks.push(block);
        const isCertified = wanted[blocks.length - 1]?.certificate !== undefined;
        if (isCertified && (end === 0 || bytes <= maxBytes)) end = blocks.length;
      }
      if (found.length < some.length) break;
      // Small ones are read many at a time.
      count = Math.max(READ_BLOCKS, Math.floor((blocks.length * (maxBytes - bytes)) / bytes));
    }
    const certificate = wanted[end - 1]?.certificate;
    return certificate === undefined ? undefined : { blocks: blocks.slice(0, end), certificate };
  }

  /** @throws {AegisError} `NOT_FOUND`. */
  async block(height: number): Promise<ArchivedBlock> {
    const [found] = await this.blocks(height, height);
    if (found !== undefined) return found;
    throw new AegisError('NOT_FOUND', `there is no final block at height ${height} here`);
  }

  /** The blocks of these heights, as far as they are here; they end at the first that is not. */
  async blocks(from: number, upTo: number): Promise<ArchivedBlock[]> {
    const rows = await this.#rows(from, upTo + LIMITS.windowBlocks - 1);
    const certificates: (Certificate | undefined)[] = [];
    for (const [at, { certificate }] of [...rows.entries()].toReversed()) {
      const later = certificates[at + 1];
      certificates[at] = certificate === undefined ? later : decodeCertificate(certificate);
    }
    const found: ArchivedBlock[] = [];
    const wanted = rows.filter(({ height }) => height <= upTo);
    for (let at = 0; at < wanted.length; at += READ_BLOCKS) {
      const blocks = await this.#blocksOf(wanted.slice(at, at + READ_BLOCKS));
      for (const bytes of blocks) {
        const certificate = certificates[found.length];
        if (certificate === undefined) return found;
        found.push({ block: openBlock(bytes), certificate });
      }
      if (blocks.length < READ_BLOCKS) break;
    }
    return found;
  }

  /** Those that have been verified here. */
  async certificates(from: number, upTo: number): Promise<Certificate[]> {
    const rows = await this.#rows(from, upTo);
    return rows.flatMap(({ certificate }) =>
      certificate === undefined ? [] : [decodeCertificate(certificate)],
    );
  }

  /** What became of intents, by their ids. */
  async receipts(ids: readonly string[]): Promise<(Receipt | undefined)[]> {
    const rows = await this.#store.getMany(TABLES.receipts, ids);
    return rows.map((row, n) => (row === undefined ? undefined : readReceipt(ids[n]!, row)));
  }

  /** They end at the first that is not here. */
  async #blocksOf(rows: readonly Row[]): Promise<Uint8Array[]> {
    const keys = rows.map(({ height, digest }) => blockKey(height, digest));
    const blocks = await this.#store.getMany(TABLES.blocks, keys);
    const end = blocks.indexOf(undefined);
    return blocks.slice(0, end === -1 ? blocks.length : end).map((block) => block!);
  }

  async #rows(from: number, upTo: number): Promise<Row[]> {
    if (upTo < from) return [];
    const limit = upTo - from + 1;
    const keys = { from: heightKey(from), to: heightKey(upTo + 1) };
    const rows = await this.#store.range({ table: TABLES.chain, ...keys, limit });
    return rows.map(({ key, value }) => ({ height: Number(key), ...readChainRow(value) }));
  }
}
