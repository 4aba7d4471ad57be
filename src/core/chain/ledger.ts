/**
 * What is final: the tip, the state after it, the members and their keys, and what lately became of
 * intents. It takes blocks that have been executed and decides nothing.
 */
import { decodeCertificate, encodeCertificate } from '../consensus/certificate.ts';
import type { Certificate } from '../consensus/types.ts';
import { sha256Hex } from '../crypto/hash.ts';
import { AegisError } from '../errors.ts';
import { readHeader } from '../model/block.ts';
import type { ExecutedBlock } from './block-rules.ts';
import { type Receipt, readRef, readSequence } from './execution.ts';
import { LIMITS } from './limits.ts';
import { checkContinued, namespaceOf, readFormer } from './origin.ts';
import { type RefState, refKey } from './ref.ts';
import { firstMembers, Roster } from './roster.ts';
import { persistRoster, restoreRoster, type StoredEntry } from './roster-rows.ts';
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
import type { ChainGenesis, ChainOptions, ProvenRef, Tip } from './types.ts';

const NO_DIGEST = '00'.repeat(32);

export interface FinalReceipt {
  readonly receipt: Receipt;
  /** Of the intent. */
  readonly digest: string;
}

export class Ledger {
  readonly #namespace: string;
  /** One object for ever, as of the tip. */
  readonly roster: Roster;
  #tip: Tip;
  #tree: StateTree;
  #certificate: Certificate | undefined;
  readonly #receipts = new Map<string, FinalReceipt>();

  private constructor(namespace: string, found: Found, roster: Roster) {
    this.#namespace = namespace;
    this.#tip = found.tip;
    this.#tree = found.tree;
    this.#certificate = found.certificate;
    this.roster = roster;
  }

  /**
   * @param built the tree of the leaves, where it has been made before.
   * @returns also the entries of successions that are final, in the order of their heights.
   * @throws {AegisError} `STORE_DAMAGED` when the leaves do not give the root of the tip, or the
   * members are not those of the state.
   */
  static recover(
    { clusterId, genesis }: Pick<ChainOptions, 'clusterId' | 'genesis'>,
    rows: SortedRows,
    built?: StateTree,
  ): { readonly ledger: Ledger; readonly entries: readonly StoredEntry[] } {
    const found = readFound(rows, built);
    const { tip, tree } = found;
    // R2
    const first = genesis.origin?.stateRoot ?? StateTree.empty.root;
    if (Buffer.compare(tip.header?.stateRoot ?? first, tree.root) !== 0) {
      throw damaged(`the state is not that of block ${tip.height}`);
    }
    const { roster, entries } = readMembers(clusterId, genesis, rows, tree);
    return { ledger: new Ledger(namespaceOf(clusterId, genesis), found, roster), entries };
  }

  get tip(): Tip {
    return this.#tip;
  }

  /** Of the tip; undefined in the middle of a window. */
  get certificate(): Certificate | undefined {
    return this.#certificate;
  }

  /** The state after the tip. */
  get tree(): StateTree {
    return this.#tree;
  }

  ref(path: string): RefState | undefined {
    return readRef(this.#tree, this.#namespace, path);
  }

  /** The last sequence of an author that is decided. */
  sequenceOf(author: string): number {
    return readSequence(this.#tree, this.#namespace, author);
  }

  prove(path: string): ProvenRef {
    const key = refKey(this.#namespace, path);
    const { height } = this.#tip;
    const [stateRoot, proof, value] = [this.#tree.root, this.#tree.prove(key), this.#tree.get(key)];
    return { height, stateRoot, proof, value };
  }

  /** What became of an intent lately. */
  receipt(id: string): FinalReceipt | undefined {
    return this.#receipts.get(id);
  }

  /**
   * One block further, whose bytes are durable. All of it belongs to one transaction.
   * @param certificate its own; undefined: a later block of its epoch has one (Y1).
   */
  advance(turn: Turn, executed: ExecutedBlock, certificate: Certificate | undefined): void {
    const { block, tree, changes, receipts, intents, members } = executed;
    const { height } = block.header;
    const bytes = certificate === undefined ? undefined : encodeCertificate(certificate);
    for (const { key, value } of changes) turn.persist(TABLES.state, key, value);
    persistRoster(turn, this.roster, members, height);
    this.roster.apply(members);
    for (const [at, receipt] of receipts.entries()) {
      // What was decided about a statement stays told when it comes again.
      if (receipt.statement !== undefined && receipt.result === 'unchanged') continue;
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

  /** Y4: a later state takes the place of this one. What was decided lately is not known any more. */
  replaceBy(other: Ledger): void {
    this.#tip = other.#tip;
    this.#tree = other.#tree;
    this.#certificate = other.#certificate;
    this.roster.replaceBy(other.roster);
    this.#receipts.clear();
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

interface Found {
  readonly tip: Tip;
  readonly tree: StateTree;
  readonly certificate: Certificate | undefined;
}

/** @throws {AegisError} `STORE_DAMAGED`. */
function readFound(rows: SortedRows, built: StateTree | undefined): Found {
  try {
    const tree = built ?? StateTree.of(rows.state);
    const row = rows.meta.get(META.tip);
    if (row === undefined) {
      return { tip: { height: 0, digest: NO_DIGEST }, tree, certificate: undefined };
    }
    const { height, headerBytes, certificate } = readTip(row);
    const header = readHeader(headerBytes);
    const tip = { height, digest: sha256Hex(headerBytes), header };
    const own = certificate === undefined ? undefined : decodeCertificate(certificate);
    return { tip, tree, certificate: own };
  } catch (error) {
    throw damaged(`the last block cannot be read: ${(error as Error).message}`);
  }
}

/** @throws {AegisError} `STORE_DAMAGED`. */
function readMembers(
  clusterId: string,
  genesis: ChainGenesis,
  rows: SortedRows,
  tree: StateTree,
): { readonly roster: Roster; readonly entries: readonly StoredEntry[] } {
  try {
    const first = firstMembers(genesis.members);
    const { members, entries } = restoreRoster(clusterId, first, rows, tree);
    const former = readFormer(genesis, rows, tree);
    checkContinued(first, former);
    return { roster: new Roster(members, former), entries };
  } catch (error) {
    throw damaged(`the members cannot be read: ${(error as Error).message}`);
  }
}

const damaged = (why: string): AegisError =>
  new AegisError('STORE_DAMAGED', `the chain on this disk is damaged: ${why}`, {
    hint: 'Take the home from a backup, or make a new node; the others have the chain.',
  });
