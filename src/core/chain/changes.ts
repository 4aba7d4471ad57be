/**
 * What the changes of one intent do: all of them, or none (docs/history.md, N, Q, R4). A function
 * of the state as the intents before have left it, and of the members as they were before the
 * block.
 */
import type { CID } from 'multiformats/cid';
import { unreachable } from '../assert.ts';
import { sameBytes } from '../bytes.ts';
import { isAegisError } from '../errors.ts';
import type { Anchor, Change, Erase, Grant, Move, Revoke } from '../model/change.ts';
import type { SignedIntent } from '../model/intent.ts';
import { openMerge } from '../model/merge.ts';
import type { Names } from '../model/names.ts';
import { DraftMap } from './draft-map.ts';
import { LIMITS } from './limits.ts';
import type { Overlay } from './overlay.ts';
import { added, isOver, limitsOf, usageAt } from './quotas.ts';
import { type AnchorState, HEADS_MAX, type RefHead, type RefState } from './ref.ts';
import type { Namespace, RegistersDraft } from './registers.ts';
import { granted, mayErase, mayGrant, mayWrite, revoked } from './rights.ts';
import type { Roster } from './roster.ts';

export type ChangeRefusal =
  | 'conflict'
  | 'bad-generation'
  | 'too-many-heads'
  /** W11: the record is not what the move says. */
  | 'bad-merge'
  /** W11: other heads are there than those that it merges. */
  | 'not-heads'
  /** N3. */
  | 'not-allowed'
  /** Q1. */
  | 'over-quota'
  /** R4: it does not follow the last one under its label. */
  | 'bad-anchor'
  /** N4: not all of its heads are deletions. */
  | 'bad-erasure'
  /** V1: the protocol version in force does not have it. */
  | 'not-yet'
  | 'not-a-member';

/** V4: the first version that has anchors and erasure. */
const VERSION_2 = 2;

export interface IntentContext {
  readonly names: Names;
  readonly overlay: Overlay;
  readonly registers: RegistersDraft;
  readonly height: number;
  readonly time: number;
  /** As it was before the block. */
  readonly roster: Roster;
}

/** What an intent would change, until all of it is known to be possible. */
class Trial {
  readonly refs = new Map<string, RefState>();
  readonly anchors = new Map<string, AnchorState>();
  readonly namespaces: DraftMap<Namespace>;
  /** Q1: paths, and labels of anchors. */
  made = 0;
  labels = 0;

  constructor({ registers }: IntentContext) {
    this.namespaces = new DraftMap(registers.namespaces);
  }

  get isEmpty(): boolean {
    return this.refs.size + this.anchors.size + this.namespaces.changed.size === 0;
  }
}

export function executeIntent(
  context: IntentContext,
  signed: SignedIntent,
): 'done' | 'unchanged' | ChangeRefusal {
  const { author, changes } = signed.intent;
  const trial = new Trial(context);
  for (const change of changes) {
    const refusal = tryChange(context, trial, author, change);
    if (refusal !== undefined) return refusal;
  }
  if (!countUsage(context, signed, trial.made)) return 'over-quota';
  const { overlay, registers } = context;
  for (const [path, ref] of trial.refs) overlay.setRef(path, ref);
  for (const anchor of trial.anchors.values()) overlay.setAnchor(author, anchor);
  registers.namespaces.absorb(trial.namespaces);
  return trial.isEmpty ? 'unchanged' : 'done';
}

/** Q1. @returns false when its author is over quota; then nothing is counted. */
function countUsage(context: IntentContext, signed: SignedIntent, paths: number): boolean {
  const { overlay, registers, roster, time } = context;
  const { author, changes } = signed.intent;
  if (roster.get(author)?.role === 'custodian') return true;
  const before = usageAt(overlay.account(author), time);
  const usage = added(before, { changes: changes.length, bytes: signed.bytes.length, paths });
  if (isOver(usage, limitsOf(registers, author), paths)) return false;
  overlay.setUsage(author, usage);
  return true;
}

/** @returns why it is refused. */
function tryChange(
  context: IntentContext,
  trial: Trial,
  author: string,
  change: Change,
): ChangeRefusal | undefined {
  switch (change.op) {
    case undefined:
      return tryMove(context, trial, author, change);
    case 'grant':
      return tryGrant(context, trial, author, change);
    case 'revoke':
      return tryRevoke(context, trial, author, change);
    case 'anchor':
      return tryAnchor(context, trial, author, change);
    case 'erase':
      return tryErase(context, trial, author, change);
    default:
      return unreachable(change);
  }
}

function tryMove(
  { names, overlay, registers }: IntentContext,
  trial: Trial,
  author: string,
  move: Move,
): ChangeRefusal | undefined {
  const { path } = move;
  // N3: by the rights before the intent.
  if (!mayWrite(registers, author, path)) return 'not-allowed';
  const before = trial.refs.get(path) ?? overlay.ref(path);
  const after = moved(before, move);
  if (typeof after === 'string') return after;
  if (after === before) return undefined;
  if (before === undefined) trial.made += 1;
  trial.refs.set(path, { ...after, name: before?.name ?? names.seal(path) });
  return undefined;
}

/** N2. */
function tryGrant(
  { registers, roster }: IntentContext,
  trial: Trial,
  author: string,
  grant: Grant,
): ChangeRefusal | undefined {
  if (!mayGrant(registers.namespaces, author, grant.path)) return 'not-allowed';
  if (!roster.isMember(grant.nodeId)) return 'not-a-member';
  const before = trial.namespaces.get(grant.path);
  const after = granted(trial.namespaces, author, grant);
  if (typeof after === 'string') return after;
  if (after !== before) trial.namespaces.set(grant.path, after);
  return undefined;
}

/** N2. */
function tryRevoke(
  { registers }: IntentContext,
  trial: Trial,
  author: string,
  revoke: Revoke,
): ChangeRefusal | undefined {
  if (!mayGrant(registers.namespaces, author, revoke.path)) return 'not-allowed';
  const before = trial.namespaces.get(revoke.path);
  if (before === undefined) return undefined;
  const after = revoked(trial.namespaces, author, before, revoke);
  if (after === 'not-allowed') return after;
  if (after !== before) trial.namespaces.set(revoke.path, after === 'ended' ? undefined : after);
  return undefined;
}

/** R4. */
function tryAnchor(
  { overlay, registers, height }: IntentContext,
  trial: Trial,
  author: string,
  { label, digest, previous }: Anchor,
): ChangeRefusal | undefined {
  if (registers.protocol.version < VERSION_2) return 'not-yet';
  const before = trial.anchors.get(label) ?? overlay.anchor(author, label);
  // Whoever repeats what has been done, gets the same answer.
  if (isSame(before?.digest, digest) && isSame(before?.previous, previous)) return undefined;
  if (!isSame(before?.digest, previous)) return 'bad-anchor';
  if (before === undefined) {
    trial.labels += 1;
    trial.made += 1;
    if (overlay.labelsOf(author) + trial.labels > LIMITS.anchorLabels) return 'over-quota';
  }
  trial.anchors.set(label, { label, digest, previous, height });
  return undefined;
}

/** N4. */
function tryErase(
  { overlay, registers }: IntentContext,
  trial: Trial,
  author: string,
  { path }: Erase,
): ChangeRefusal | undefined {
  if (registers.protocol.version < VERSION_2) return 'not-yet';
  if (!mayErase(registers.namespaces, author, path)) return 'not-allowed';
  const before = trial.refs.get(path) ?? overlay.ref(path);
  if (before?.heads.every(({ deleted }) => deleted === true) !== true) return 'bad-erasure';
  if (before.name === undefined) return undefined;
  trial.refs.set(path, { heads: before.heads, generation: before.generation });
  return undefined;
}

const isSame = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a === undefined || b === undefined ? a === b : sameBytes(a, b);

/** The ref after the move; the same object when nothing changes; or why it is refused. */
function moved(before: RefState | undefined, move: Move): RefState | ChangeRefusal {
  const heads = before?.heads ?? [];
  // Whoever repeats a request that has been carried out, gets the same answer.
  if (before !== undefined && heads.some(({ version }) => isSameCid(version, move.version))) {
    return before;
  }
  if (move.merge !== undefined) {
    const refusal = mergeRefusal(heads, move, move.merge);
    if (refusal !== undefined) return refusal;
  }
  if (!isExpected(heads, move)) return 'conflict';
  const generation = before?.generation ?? 0;
  if (move.generation > generation + 1) return 'bad-generation';
  const kept = heads.filter(
    ({ version }) => !move.parents.some((parent) => isSameCid(parent, version)),
  );
  if (kept.length >= HEADS_MAX) return 'too-many-heads';
  const head: RefHead = {
    version: move.version,
    generation: move.generation,
    ...(move.deleted === true ? { deleted: true } : {}),
  };
  const sorted = [...kept, head].toSorted((a, b) => byBytes(a.version, b.version));
  return { heads: sorted, generation: Math.max(generation, move.generation) };
}

/** W11: execution reads the record and no content. */
function mergeRefusal(
  heads: readonly RefHead[],
  move: Move,
  record: Uint8Array,
): ChangeRefusal | undefined {
  if (move.expected !== undefined || !isRecordOf(record, move)) return 'bad-merge';
  const isAll =
    heads.length === move.parents.length &&
    heads.every(({ version }) => move.parents.some((parent) => isSameCid(parent, version)));
  if (!isAll) return 'not-heads';
  const generation = Math.max(...heads.map((head) => head.generation));
  return move.generation === generation + 1 ? undefined : 'bad-merge';
}

/** A record of rules that this version of the protocol does not have is none. */
function isRecordOf(record: Uint8Array, move: Move): boolean {
  try {
    const { cid, version } = openMerge(record);
    return (
      isSameCid(cid, move.version) &&
      version.path === move.path &&
      version.generation === move.generation &&
      (version.deleted === true) === (move.deleted === true) &&
      version.parents.length === move.parents.length &&
      version.parents.every((parent, n) => isSameCid(parent, move.parents[n]!))
    );
  } catch (error) {
    if (isAegisError(error)) return false;
    throw error;
  }
}

/** Compare-and-swap. */
function isExpected(heads: readonly RefHead[], { expected }: Move): boolean {
  if (expected === undefined) return true;
  if (expected === null) return heads.every(({ deleted }) => deleted === true);
  return heads.length === 1 && isSameCid(heads[0]!.version, expected);
}

/** By bytes: the text of a CID costs more than all else of an intent. */
const byBytes = (a: CID, b: CID): number => Buffer.compare(a.bytes, b.bytes);

const isSameCid = (a: CID, b: CID): boolean => byBytes(a, b) === 0;
