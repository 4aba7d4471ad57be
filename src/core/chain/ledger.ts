/**
 * What is final: the tip, the state after it, and what lately became of intents. It takes blocks
 * that have been executed and decides nothing.
 */
import { decodeCertificate, encodeCertificate } from '../consensus/certificate.ts';
import type { Certificate } from '../consensus/types.ts';
import { sha256Hex } from '../crypto/hash.ts';
import { AegisError } from '../errors.ts';
import { readHeader } from '../model/block.ts';
import type { ExecutedBlock } from './block-rules.ts';
import { type Receipt, readRef, readSequence } from './execution.ts';
import { LIMITS } from './limits.ts';
import { type RefState, refKey } from './ref.ts';
import {
  chainRow,
  heightKey,
  META,
  readTip,
  receiptRow,
  type SortedRows,
  TABLES,
  tipRow,
} from './rows.ts';
import { StateTree } from './state-tree.ts';
import type { Turn } from './turn.ts';
import type { ProvenRef, Tip } from './types.ts';

const NO_DIGEST = '00'.repeat(32);

export interface FinalReceipt {
  readonly receipt: Receipt;
  /** Of the intent. */
  readonly digest: string;
}

export class Ledger {
  readonly #clusterId: string;
  #tip: Tip = { height: 0, digest: NO_DIGEST };
  #tree = StateTree.empty;
  #certificate: Certificate | undefined;
  readonly #receipts = new Map<string, FinalReceipt>();

  constructor(clusterId: string) {
    this.#clusterId = clusterId;
  }

  /** @throws {AegisError} `STORE_DAMAGED` when the leaves do not give the root of the tip. */
  static recover(clusterId: string, rows: SortedRows): Ledger {
    const ledger = new Ledger(clusterId);
    const tip = rows.meta.get(META.tip);
    try {
      ledger.#tree = StateTree.of(rows.state);
      if (tip !== undefined) ledger.#restoreTip(tip);
    } catch (error) {
      throw damaged(`the last block cannot be read: ${(error as Error).message}`);
    }
    const root = ledger.#tip.header?.stateRoot ?? StateTree.empty.root;
    if (Buffer.compare(root, ledger.#tree.root) !== 0) {
      throw damaged(`the state is not that of block ${ledger.#tip.height}`);
    }
    return ledger;
  }

  #restoreTip(row: Uint8Array): void {
    const { height, headerBytes, certificate } = readTip(row);
    this.#certificate = decodeCertificate(certificate);
    const header = readHeader(headerBytes);
    this.#tip = { height, digest: sha256Hex(headerBytes), header };
  }

  get tip(): Tip {
    return this.#tip;
  }

  /** Of the tip. */
  get certificate(): Certificate | undefined {
    return this.#certificate;
  }

  /** The state after the tip. */
  get tree(): StateTree {
    return this.#tree;
  }

  ref(path: string): RefState | undefined {
    return readRef(this.#tree, this.#clusterId, path);
  }

  /** The last sequence of an author that is decided. */
  sequenceOf(author: string): number {
    return readSequence(this.#tree, this.#clusterId, author);
  }

  prove(path: string): ProvenRef {
    const key = refKey(this.#clusterId, path);
    const { height } = this.#tip;
    const [stateRoot, proof, value] = [this.#tree.root, this.#tree.prove(key), this.#tree.get(key)];
    return { height, stateRoot, proof, value };
  }

  /** What became of an intent lately. */
  receipt(id: string): FinalReceipt | undefined {
    return this.#receipts.get(id);
  }

  /** One block further, whose bytes are durable. All of it belongs to one transaction. */
  advance(turn: Turn, executed: ExecutedBlock, certificate: Certificate): void {
    const { block, tree, changes, receipts, intents } = executed;
    const { height } = block.header;
    const bytes = encodeCertificate(certificate);
    for (const { key, value } of changes) turn.persist(TABLES.state, key, value);
    for (const [at, receipt] of receipts.entries()) {
      turn.persist(TABLES.receipts, receipt.id, receiptRow(receipt));
      this.#remember({ receipt, digest: intents[at]!.digest });
    }
    turn.persist(
      TABLES.chain,
      heightKey(height),
      chainRow({ digest: block.digest, certificate: bytes }),
    );
    const { headerBytes } = block;
    turn.persist(TABLES.meta, META.tip, tipRow({ height, headerBytes, certificate: bytes }));
    this.#tip = { height, digest: block.digest, header: block.header };
    this.#tree = tree;
    this.#certificate = certificate;
  }

  #remember(final: FinalReceipt): void {
    const { id } = final.receipt;
    this.#receipts.delete(id);
    this.#receipts.set(id, final);
    if (this.#receipts.size <= LIMITS.receipts) return;
    for (const oldest of this.#receipts.keys()) {
      this.#receipts.delete(oldest);
      return;
    }
  }
}

const damaged = (why: string): AegisError =>
  new AegisError('STORE_DAMAGED', `the chain on this disk is damaged: ${why}`, {
    hint: 'Take the home from a backup, or make a new node; the others have the chain.',
  });
