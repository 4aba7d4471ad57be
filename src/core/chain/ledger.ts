/**
 * What is final: the tip, the state after it, the members and their keys, and what lately became of
 * intents. It takes blocks that have been executed and decides nothing.
 */

import { assert } from '../assert.ts';
import { sameBytes } from '../bytes.ts';
import { decodeCertificate, encodeCertificate } from '../consensus/certificate.ts';
import type { CustodianSet } from '../consensus/custodian-sets.ts';
import type { Certificate } from '../consensus/types.ts';
import { sha256Hex } from '../crypto/hash.ts';
import { AegisError } from '../errors.ts';
import { readHeader } from '../model/block.ts';
import { custodiansDigest } from '../model/custodians.ts';
import type { Names } from '../model/names.ts';
import type { ExecutedBlock } from './block-rules.ts';
import { type Receipt, readAccount, readRef, setOf } from './execution.ts';
import { handoverRow, readHandover } from './handovers.ts';
import { LIMITS } from './limits.ts';
import { checkContinued, readFormer } from './origin.ts';
import {
  type Account,
  type AnchorState,
  anchorKey,
  anchorTag,
  decodeAnchor,
  type RefState,
} from './ref.ts';
import { restoreRegisters } from './register-leaves.ts';
import type { Registers } from './registers.ts';
import { custodiansIn, firstMembers, Roster } from './roster.ts';
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
import type {
  ChainGenesis,
  ChainOptions,
  Handover,
  ProvenDirectory,
  ProvenRef,
  StoredRow,
  Tip,
} from './types.ts';

const NO_DIGEST = '00'.repeat(32);

export interface FinalReceipt {
  readonly receipt: Receipt;
  /** Of the intent. */
  readonly digest: string;
}

export class Ledger {
  readonly names: Names;
  /** One object for ever, as of the tip. */
  readonly roster: Roster;
  /** One object for ever, as of the tip. */
  readonly registers: Registers;
  #tip: Tip;
  #tree: StateTree;
  #certificate: Certificate | undefined;
  #custodians: CustodianSet;
  #handovers: Handover[];
  #provenRows: StoredRow[];
  readonly #receipts = new Map<string, FinalReceipt>();

  private constructor(names: Names, found: Found, decided: Decided) {
    this.names = names;
    this.#tip = found.tip;
    this.#tree = found.tree;
    this.#certificate = found.certificate;
    this.#handovers = [...found.handovers];
    this.#provenRows = [...found.provenRows];
    this.roster = decided.roster;
    this.registers = decided.registers;
    this.#custodians = setOf(this.roster.custodians());
  }

  /**
   * @param tree of the leaves, if they are not among the rows.
   * @returns also the entries of successions that are final, in the order of their heights.
   * @throws {AegisError} `STORE_DAMAGED` when the leaves do not give the root of the tip, or the
   * members, custodians or registers are not those of the state.
   */
  static recover(
    { clusterId, genesis }: Pick<ChainOptions, 'clusterId' | 'genesis'>,
    rows: SortedRows,
    tree?: StateTree,
  ): { readonly ledger: Ledger; readonly entries: readonly StoredEntry[] } {
    const found = readFound(rows, tree);
    const { tip } = found;
    // R2
    const first = genesis.origin?.stateRoot ?? StateTree.empty.root;
    if (!sameBytes(tip.header?.stateRoot ?? first, found.tree.root)) {
      throw damaged(`the state is not that of block ${tip.height}`);
    }
    const { entries, ...decided } = readDecided(clusterId, genesis, rows, found.tree);
    const ledger = new Ledger(genesis.names, found, decided);
    const { digest } = ledger.custodians;
    if (!sameBytes(tip.header?.custodians ?? digest, digest)) {
      throw damaged(`the custodians are not those that block ${tip.height} names`);
    }
    checkHandovers(ledger, genesis);
    return { ledger, entries };
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

  /** E1: those of the next height. */
  get custodians(): CustodianSet {
    return this.#custodians;
  }

  /** In the order of their heights. */
  get handovers(): readonly Handover[] {
    return this.#handovers;
  }

  /** Of members, successions and clusters before: leaves commit to them. It only ever grows. */
  get provenRows(): readonly StoredRow[] {
    return this.#provenRows;
  }

  /** V1: by which the next block is executed. */
  get protocol(): number {
    return this.registers.protocol.version;
  }

  ref(path: string): RefState | undefined {
    return readRef(this.#tree, this.names, path);
  }

  account(author: string): Account {
    return readAccount(this.#tree, this.names, author);
  }

  /** The last sequence of an author that is decided. */
  sequenceOf(author: string): number {
    return this.account(author).sequence;
  }

  /** R4: the last of each label, in the order of their keys. */
  anchors(nodeId: string): readonly AnchorState[] {
    const rows = this.#tree.under(anchorTag(this.names, nodeId), LIMITS.anchorLabels) ?? [];
    return rows.map(({ value }) => decodeAnchor(value));
  }

  anchor(nodeId: string, label: string): AnchorState | undefined {
    const bytes = this.#tree.get(anchorKey(this.names, nodeId, label));
    return bytes === undefined ? undefined : decodeAnchor(bytes);
  }

  prove(path: string): ProvenRef {
    const key = this.names.refKey(path);
    const { height } = this.#tip;
    const [stateRoot, proof, value] = [this.#tree.root, this.#tree.prove(key), this.#tree.get(key)];
    return { height, stateRoot, proof, value };
  }

  /** @param dir '' is the root. @throws {AegisError} `TOO_LARGE`. */
  proveDirectory(dir: string): ProvenDirectory {
    const max = LIMITS.directoryLeaves;
    const proof = this.#tree.proveUnder(this.names.tagOf(dir), max);
    if (proof === undefined) {
      throw new AegisError('TOO_LARGE', `more than ${max} names lie in the directory`, {
        hint: 'Prove its paths one by one: aegis kb get PATH --proof F',
      });
    }
    return { height: this.#tip.height, stateRoot: this.#tree.root, proof };
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
    this.#provenRows.push(...persistRoster(turn, this.roster, members, height));
    this.roster.apply(members);
    this.registers.apply(executed.registers);
    this.#handOver(turn, executed, bytes);
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
    this.#tip = { height, digest: block.digest, header: block.header, headerBytes };
    tree.settle();
    this.#tree = tree;
    this.#certificate = certificate ?? this.#certificate;
  }

  /** E1. */
  #handOver(
    turn: Turn,
    { block, custodians }: ExecutedBlock,
    certificate: Uint8Array | undefined,
  ): void {
    if (custodians === undefined) return;
    const isEnd = !sameBytes(custodians.digest, this.#custodians.digest);
    this.#custodians = custodians;
    if (!isEnd) return;
    // Y1: windows end with each epoch, so that this block comes with a certificate of its own.
    assert(certificate !== undefined, 'the last block of an epoch has its certificate');
    const { height } = block.header;
    const entries = custodians.custodians.map(({ nodeId, consensusKey }) => ({
      nodeId,
      consensusKey,
    }));
    const handover = { height, header: block.headerBytes, certificate, custodians: entries };
    this.#handovers.push(handover);
    turn.persist(TABLES.handovers, heightKey(height), handoverRow(handover));
  }

  /** Y4: a later state takes the place of this one. What was decided lately is known no more. */
  replaceBy(turn: Turn, other: Ledger): void {
    const differences = [...this.#tree.differences(other.#tree)];
    for (const { key, value } of differences) turn.persist(TABLES.state, key, value);
    other.#tree.replace(this.#tree, differences);
    this.#tip = other.#tip;
    this.#tree = other.#tree;
    this.#certificate = other.#certificate;
    this.#custodians = other.#custodians;
    this.#handovers = other.#handovers;
    this.#provenRows = other.#provenRows;
    this.roster.replaceBy(other.roster);
    this.registers.replaceBy(other.registers);
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
  readonly handovers: readonly Handover[];
  readonly provenRows: readonly StoredRow[];
}

/** What members and the cluster have decided about themselves. */
interface Decided {
  readonly roster: Roster;
  readonly registers: Registers;
}

/** @throws {AegisError} `STORE_DAMAGED`. */
function readFound(rows: SortedRows, made: StateTree | undefined): Found {
  try {
    const tree = made ?? StateTree.of(rows.state);
    const sorted = rows.handovers.toSorted((a, b) => (a.key < b.key ? -1 : 1));
    const handovers = sorted.map(({ value }) => readHandover(value));
    const provenRows = [...rows.members, ...rows.successions, ...rows.former];
    const row = rows.meta.get(META.tip);
    if (row === undefined) {
      const tip = { height: 0, digest: NO_DIGEST };
      return { tip, tree, certificate: undefined, handovers, provenRows };
    }
    const { height, headerBytes, certificate } = readTip(row);
    const header = readHeader(headerBytes);
    const tip = { height, digest: sha256Hex(headerBytes), header, headerBytes };
    const read = certificate === undefined ? undefined : decodeCertificate(certificate);
    return { tip, tree, certificate: read, handovers, provenRows };
  } catch (error) {
    throw damaged(`the last block cannot be read: ${(error as Error).message}`);
  }
}

/** @throws {AegisError} `STORE_DAMAGED`. */
function readDecided(
  clusterId: string,
  genesis: ChainGenesis,
  rows: SortedRows,
  tree: StateTree,
): Decided & { readonly entries: readonly StoredEntry[] } {
  try {
    const first = firstMembers(genesis.members);
    const { members, entries } = restoreRoster(clusterId, first, rows, tree);
    const former = readFormer(genesis, rows, tree);
    checkContinued(first, former);
    const { names, protocol } = genesis;
    const registers = restoreRegisters({ clusterId, names }, protocol, tree);
    return { roster: new Roster(members, former), registers, entries };
  } catch (error) {
    throw damaged(`the members cannot be read: ${(error as Error).message}`);
  }
}

/** E1: the last one leads to the custodians that the state has. @throws `STORE_DAMAGED`. */
function checkHandovers({ handovers, custodians, tip }: Ledger, genesis: ChainGenesis): void {
  const last = handovers.at(-1);
  const first = (): Uint8Array => setOf(custodiansIn(firstMembers(genesis.members))).digest;
  const digest = last === undefined ? first() : custodiansDigest(last.custodians);
  const isPast = last === undefined || last.height <= tip.height;
  if (isPast && sameBytes(digest, custodians.digest)) return;
  throw damaged('the last hand-over does not lead to the custodians of the state');
}

const damaged = (why: string): AegisError =>
  new AegisError('STORE_DAMAGED', `the chain on this disk is damaged: ${why}`, {
    hint: 'Take the home from a backup, or make a new node; the others have the chain.',
  });
