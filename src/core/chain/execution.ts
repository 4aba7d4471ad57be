/**
 * What intents and statements do to the state. A function of the state before and of the block, and
 * of nothing else, so that every node that executes a block comes to the same state root. The
 * roster and the registers are a part of that state; its leaves commit to them.
 */
import { sameBytes } from '../bytes.ts';
import { CustodianSet } from '../consensus/custodian-sets.ts';
import { AegisError } from '../errors.ts';
import type { SignedIntent } from '../model/intent.ts';
import type { Names } from '../model/names.ts';
import type { Statement } from '../model/statement.ts';
import type { StateReader } from '../ports.ts';
import { type ChangeRefusal, executeIntent, type IntentContext } from './changes.ts';
import { makeDecided, raiseProtocol } from './decided.ts';
import { Overlay } from './overlay.ts';
import { expire, forgetEnded } from './proposals.ts';
import { registerLeaves } from './register-leaves.ts';
import { type ReadRegisters, type RegisterChanges, RegistersDraft } from './registers.ts';
import { custodiansIn, type Roster, type RosterMember } from './roster.ts';
import { RosterDraft } from './roster-draft.ts';
import { RosterLeaves } from './roster-leaves.ts';
import type { StateChange } from './state-tree.ts';
import { executeStatement, type StatementContext, type StatementRefusal } from './statements.ts';

export { readAccount, readRef } from './overlay.ts';

export type RefusalReason =
  | ChangeRefusal
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
  readonly registers: RegisterChanges;
  readonly anchors: readonly { readonly nodeId: string; readonly label: string }[];
  /** E1: those of the height after, when they or keys of theirs change. */
  readonly custodians: CustodianSet | undefined;
}

/** What a block is executed upon, beside the leaves of the state. */
export interface ExecutionContext {
  readonly clusterId: string;
  readonly names: Names;
  readonly height: number;
  /** Of the block. */
  readonly time: number;
  /** As it was before the block. */
  readonly roster: Roster;
  /** As they were before the block; they say by which version it is executed (V1). */
  readonly registers: ReadRegisters;
}

/**
 * Executes what stands in a block, in its order. Statements see what those before them have done;
 * intents are judged by the members and keys before the block (A1), and see the rights that intents
 * before them have given (N3).
 * @throws {AegisError} `BAD_DATA` for a wrong sequence: such a block is invalid.
 */
export function executeIntents(
  state: StateReader,
  intents: readonly SignedIntent[],
  context: ExecutionContext,
): Executed {
  const { clusterId, names, height, time, roster } = context;
  const overlay = new Overlay(names, state);
  const draft = new RosterDraft(roster);
  const leaves = new RosterLeaves(clusterId, state);
  const registers = new RegistersDraft(context.registers);
  const statements: StatementContext = {
    draft,
    registers,
    height,
    time,
    usedBy: (id) => leaves.usedBy(id),
    use: (id, admission) => leaves.use(id, admission),
  };
  const within: IntentContext = { names, overlay, registers, height, time, roster };
  const receipts = intents.map((signed, index): Receipt => {
    const { id, intent, statement } = signed;
    const { author, sequence } = intent;
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
    return receiptOf(base, isFrozen ? 'frozen' : executeIntent(within, signed));
  });
  endBlock(statements);
  const members = draft.changed;
  const changes = [
    ...overlay.changes(),
    ...leaves.changes(roster, members),
    ...registerLeaves(context, context.registers, registers.changes),
  ];
  const { paths, anchors } = overlay;
  const custodians = nextCustodians(draft);
  return { receipts, changes, paths, members, registers: registers.changes, anchors, custodians };
}

/** What the height and the time of a block bring about, whatever stands in it. */
function endBlock(context: StatementContext): void {
  expire(context);
  makeDecided(context);
  raiseProtocol(context);
  forgetEnded(context);
}

/** E1. Undefined: they stay as they are. */
function nextCustodians(draft: RosterDraft): CustodianSet | undefined {
  const isTouched = draft.changed.some((member) => {
    const before = draft.before.get(member.nodeId);
    const roles = [before?.role, member.role];
    return roles.includes('custodian') && before !== undefined && differs(before, member);
  });
  return isTouched ? setOf(custodiansIn(draft.all())) : undefined;
}

const differs = (a: RosterMember, b: RosterMember): boolean =>
  a.role !== b.role ||
  a.status !== b.status ||
  !sameBytes(a.keys.keys.consensusKey, b.keys.keys.consensusKey) ||
  !sameBytes(a.keys.keys.identityKey, b.keys.keys.identityKey) ||
  !sameBytes(a.keys.keys.vrfKey, b.keys.keys.vrfKey);

/** The keys of custodians as they are in force. */
export const setOf = (custodians: readonly RosterMember[]): CustodianSet =>
  new CustodianSet(
    custodians.map(({ nodeId, keys }) => {
      const { consensusKey, identityKey, vrfKey } = keys.keys;
      return { nodeId, consensusKey, identityKey, vrfKey };
    }),
  );

const receiptOf = (
  base: Omit<Receipt, 'result' | 'reason'>,
  outcome: 'done' | 'unchanged' | RefusalReason,
): Receipt =>
  outcome === 'done' || outcome === 'unchanged'
    ? { ...base, result: outcome }
    : { ...base, result: 'refused', reason: outcome };
