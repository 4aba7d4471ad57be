/** Final blocks as they lie in `chain.db`: for peers that lag behind, and for whoever looks. */
import type { Receipt } from '../chain/execution.ts';
import { blockKey, heightKey, readChainRow, readReceipt, TABLES } from '../chain/rows.ts';
import type { FinalBlock } from '../chain/types.ts';
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
  readonly certificate: Certificate;
}

interface Row {
  readonly height: number;
  readonly digest: string;
  readonly certificate: Uint8Array;
}

/** Blocks of one question to the store, so that it can do something else in between. */
const READ_BLOCKS = 4;

export class BlockArchive {
  readonly #store: ArchiveStore;

  constructor(store: ArchiveStore) {
    this.#store = store;
  }

  /**
   * The blocks of these heights, as far as they are here; they end at the first that is not.
   * @param maxBytes no more are read once there are so many bytes.
   */
  async read(from: number, upTo: number, maxBytes = Number.POSITIVE_INFINITY) {
    const rows = await this.#rows(from, upTo);
    const found: FinalBlock[] = [];
    let bytes = 0;
    for (let at = 0; at < rows.length && bytes < maxBytes; at += READ_BLOCKS) {
      const some = rows.slice(at, at + READ_BLOCKS);
      const keys = some.map(({ height, digest }) => blockKey(height, digest));
      const blocks = await this.#store.getMany(TABLES.blocks, keys);
      for (const [n, block] of blocks.entries()) {
        if (block === undefined) return found;
        bytes += block.length;
        found.push({ block, certificate: some[n]!.certificate });
      }
    }
    return found;
  }

  /** @throws {AegisError} `NOT_FOUND`. */
  async block(height: number): Promise<ArchivedBlock> {
    const [found] = await this.blocks(height, height);
    if (found !== undefined) return found;
    throw new AegisError('NOT_FOUND', `there is no final block at height ${height} here`);
  }

  async blocks(from: number, upTo: number): Promise<ArchivedBlock[]> {
    const found = await this.read(from, upTo);
    return found.map(({ block, certificate }) => ({
      block: openBlock(block),
      certificate: decodeCertificate(certificate),
    }));
  }

  async certificates(from: number, upTo: number): Promise<Certificate[]> {
    const rows = await this.#rows(from, upTo);
    return rows.map(({ certificate }) => decodeCertificate(certificate));
  }

  /** What became of intents, by their ids. */
  async receipts(ids: readonly string[]): Promise<(Receipt | undefined)[]> {
    const rows = await this.#store.getMany(TABLES.receipts, ids);
    return rows.map((row, n) => (row === undefined ? undefined : readReceipt(ids[n]!, row)));
  }

  async #rows(from: number, upTo: number): Promise<Row[]> {
    if (upTo < from) return [];
    const limit = upTo - from + 1;
    const keys = { from: heightKey(from), to: heightKey(upTo + 1) };
    const rows = await this.#store.range({ table: TABLES.chain, ...keys, limit });
    return rows.map(({ key, value }) => ({ height: Number(key), ...readChainRow(value) }));
  }
}
