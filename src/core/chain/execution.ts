/**
 * What intents and statements do to the state. A function of the state before and of the block, and
 * of nothing else, so that every node that executes a block comes to the same state root. The
 * roster is a part of that state; its leaves commit to it.
 */
import type { CID } from 'multiformats/cid';
import { assert } from '../assert.ts';
import { AegisError } from '../errors.ts';
import type { Change, SignedIntent } from '../model/intent.ts';
import type { Statement } from '../model/statement.ts';
import type { StateReader } from '../ports.ts';
import {
  accountKey,
  decodeAccount,
  decodeRef,
  encodeAccount,
  encodeRef,
  HEADS_MAX,
  type RefHead,
  type RefState,
  refKey,
  type StateKeys,
  stateKeys,
} from './ref.ts';
import type { Roster, RosterMember } from './roster.ts';
import { RosterDraft } from './roster-draft.ts';
import { RosterLeaves } from './roster-leaves.ts';
import type { StateChange } from './state-tree.ts';
import { executeStatement, type StatementContext, type StatementRefusal } from './statements.ts';

export type RefusalReason =
  | 'conflict'
  | 'bad-generation'
  | 'too-many-heads'
  // `frozen` of intents as well.
  | StatementRefusal;

/** What became of an intent in a final block. */
export interface Receipt {
  readonly id: string;
  readonly author: string;
  /** 0 of a statement. */
  readonly sequence: number;
  /** Undefined: an intent. */
  readonly statement?: Statement['type'];
  readonly height: number;
  /** Its place in the block. */
  readonly index: number;
  /** `unchanged`: every version was a head already, or there was no change to make. */
  readonly result: 'done' | 'unchanged' | 'refused';
  readonly reason?: RefusalReason;
}

export interface Executed {
  readonly receipts: readonly Receipt[];
  /** Each key once. */
  readonly changes: readonly StateChange[];
  /** Paths whose refs changed, each once. */
  readonly paths: readonly string[];
  /** Members whose records changed, each once, as they are after the block. */
  readonly members: readonly RosterMember[];
}

/** What a block is executed upon, beside the leaves of the state. */
export interface ExecutionContext {
  readonly clusterId: string;
  /** Of refs and accounts. */
  readonly namespace: string;
  readonly height: number;
  /** Of the block. */
  readonly time: number;
  /** As it was before the block. */
  readonly roster: Roster;
}

interface RefEntry {
  readonly key: string;
  ref: RefState | undefined;
  isChanged: boolean;
}

interface AccountEntry {
  readonly key: string;
  sequence: number;
  isChanged: boolean;
}

/**
 * The state as it is within a block: what the intents so far have changed, above the state before.
 * Refs are encoded once, at the end, however often the block moves them.
 */
class Overlay {
  readonly #keys: StateKeys;
  readonly #below: StateReader;
  readonly #refs = new Map<string, RefEntry>();
  readonly #accounts = new Map<string, AccountEntry>();

  constructor(namespace: string, below: StateReader) {
    this.#keys = stateKeys(namespace);
    this.#below = below;
  }

  ref(path: string): RefState | undefined {
    return this.#refEntry(path).ref;
  }

  setRef(path: string, ref: RefState): void {
    const entry = this.#refEntry(path);
    entry.ref = ref;
    entry.isChanged = true;
  }

  /** @returns false when `sequence` is not the next of the author. */
  advance(author: string, sequence: number): boolean {
    const entry = this.#account(author);
    if (sequence !== entry.sequence + 1) return false;
    entry.sequence = sequence;
    entry.isChanged = true;
    return true;
  }

  get paths(): string[] {
    return [...this.#refs].filter(([, { isChanged }]) => isChanged).map(([path]) => path);
  }

  changes(): StateChange[] {
    const changes: StateChange[] = [];
    for (const { key, ref, isChanged } of this.#refs.values()) {
      if (isChanged && ref !== undefined) changes.push({ key, value: encodeRef(ref) });
    }
    for (const { key, sequence, isChanged } of this.#accounts.values()) {
      if (isChanged) changes.push({ key, value: encodeAccount({ sequence }) });
    }
    return changes;
  }

  #refEntry(path: string): RefEntry {
    const known = this.#refs.get(path);
    if (known !== undefined) return known;
    const key = this.#keys.ref(path);
    const entry = { key, ref: refOf(this.#below.get(key)), isChanged: false };
    this.#refs.set(path, entry);
    return entry;
  }

  #account(author: string): AccountEntry {
    const known = this.#accounts.get(author);
    if (known !== undefined) return known;
    const key = this.#keys.account(author);
    const entry = { key, sequence: sequenceOf(this.#below.get(key)), isChanged: false };
    this.#accounts.set(author, entry);
    return entry;
  }
}

const refOf = (bytes: Uint8Array | undefined): RefState | undefined =>
  bytes === undefined ? undefined : decodeRef(bytes);

const sequenceOf = (bytes: Uint8Array | undefined): number =>
  bytes === undefined ? 0 : decodeAccount(bytes).sequence;

/** Where a path points in a state. */
export const readRef = (
  state: StateReader,
  namespace: string,
  path: string,
): RefState | undefined => refOf(state.get(refKey(namespace, path)));

/** The sequence of an author's last intent that was decided; 0: none. */
export const readSequence = (state: StateReader, namespace: string, author: string): number =>
  sequenceOf(state.get(accountKey(namespace, author)));

/**
 * Executes what stands in a block, in its order. Statements see what those before them have done;
 * intents are judged by the members and keys before the block (A1).
 * @throws {AegisError} `BAD_DATA` for a wrong sequence: such a block is invalid.
 */
export function executeIntents(
  state: StateReader,
  intents: readonly SignedIntent[],
  context: ExecutionContext,
): Executed {
  const { height, time, roster } = context;
  const overlay = new Overlay(context.namespace, state);
  const draft = new RosterDraft(roster);
  const leaves = new RosterLeaves(context.clusterId, state);
  const statements: StatementContext = {
    draft,
    height,
    time,
    usedBy: (id) => leaves.usedBy(id),
    use: (id, admission) => leaves.use(id, admission),
  };
  const receipts = intents.map(({ id, intent, statement }, index): Receipt => {
    const { author, sequence, changes } = intent;
    const base = { id, author, sequence, height, index };
    if (statement !== undefined) {
      const outcome = executeStatement(statements, statement);
      return receiptOf({ ...base, statement: statement.type }, outcome);
    }
    if (!overlay.advance(author, sequence)) {
      throw new AegisError('BAD_DATA', `intent ${index} does not have the next sequence`);
    }
    // S8: the sequence is used up, so that what waits behind it hears the same.
    const isFrozen = roster.get(author)?.isFrozen === true;
    return receiptOf(base, isFrozen ? 'frozen' : applyChanges(overlay, changes));
  });
  const members = draft.changed;
  const changes = [...overlay.changes(), ...leaves.changes(roster, members)];
  return { receipts, changes, paths: overlay.paths, members };
}

const receiptOf = (
  base: Omit<Receipt, 'result' | 'reason'>,
  outcome: 'done' | 'unchanged' | RefusalReason,
): Receipt =>
  outcome === 'done' || outcome === 'unchanged'
    ? { ...base, result: outcome }
    : { ...base, result: 'refused', reason: outcome };

/** All of the changes or none. */
function applyChanges(
  overlay: Overlay,
  changes: readonly Change[],
): 'done' | 'unchanged' | RefusalReason {
  const moved = new Map<string, RefState>();
  for (const change of changes) {
    const before = moved.get(change.path) ?? overlay.ref(change.path);
    const after = applyChange(before, change);
    if (typeof after === 'string') return after;
    if (after !== before) {
      assert(after !== undefined, 'a change leaves a ref');
      moved.set(change.path, after);
    }
  }
  for (const [path, ref] of moved) overlay.setRef(path, ref);
  return moved.size === 0 ? 'unchanged' : 'done';
}

/** The ref after the change; the same object when nothing changes; or why it is refused. */
function applyChange(
  before: RefState | undefined,
  change: Change,
): RefState | undefined | RefusalReason {
  const heads = before?.heads ?? [];
  // Whoever repeats a request that has been carried out, gets the same answer.
  if (heads.some(({ version }) => isSame(version, change.version))) return before;
  if (!isExpected(heads, change)) return 'conflict';
  const generation = before?.generation ?? 0;
  if (change.generation > generation + 1) return 'bad-generation';
  const kept = heads.filter(
    ({ version }) => !change.parents.some((parent) => isSame(parent, version)),
  );
  if (kept.length >= HEADS_MAX) return 'too-many-heads';
  const head: RefHead = {
    version: change.version,
    generation: change.generation,
    ...(change.deleted === true ? { deleted: true } : {}),
  };
  const sorted = [...kept, head].toSorted((a, b) => byBytes(a.version, b.version));
  return { heads: sorted, generation: Math.max(generation, change.generation) };
}

/** Compare-and-swap. */
function isExpected(heads: readonly RefHead[], { expected }: Change): boolean {
  if (expected === undefined) return true;
  if (expected === null) return heads.every(({ deleted }) => deleted === true);
  return heads.length === 1 && isSame(heads[0]!.version, expected);
}

/** By bytes: the text of a CID costs more than all else of an intent. */
const byBytes = (a: CID, b: CID): number => Buffer.compare(a.bytes, b.bytes);

const isSame = (a: CID, b: CID): boolean => byBytes(a, b) === 0;
