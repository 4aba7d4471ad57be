/**
 * When a block may follow the last final one. `judge` is a function of the chain before and of the
 * block: all nodes come to the same verdict. What only a voter asks, its own clock and the view,
 * stands apart.
 */
import { sameBytes } from '../bytes.ts';
import type { CustodianSet } from '../consensus/custodian-sets.ts';
import type { LeaderSchedule } from '../consensus/schedule.ts';
import { isAegisError } from '../errors.ts';
import type { Block, BlockHeader } from '../model/block.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import type { SignedIntent } from '../model/intent.ts';
import type { Instant } from '../units.ts';
import { type Executed, executeIntents } from './execution.ts';
import type { Ledger } from './ledger.ts';
import { LIMITS } from './limits.ts';
import { nextSeed, type SeedScheme, seedAlpha } from './seeds.ts';
import type { StateTree } from './state-tree.ts';

export interface RuleContext {
  readonly clusterId: string;
  readonly ledger: Ledger;
  /** Of the next height: another one after each block. */
  readonly leaders: LeaderSchedule;
  readonly seeds: SeedScheme;
  /** Y5. */
  readonly checkpoint?: Checkpoint | undefined;
}

/** A block that has been executed upon the last final one. */
export interface ExecutedBlock extends Executed {
  readonly block: Block;
  readonly intents: readonly SignedIntent[];
  /** The state after it. */
  readonly tree: StateTree;
  /** The next seed, when its height ends a seed epoch. */
  readonly seed: Uint8Array | undefined;
  /** After it. */
  readonly leaders: LeaderSchedule;
}

export type Judgement =
  | { readonly isValid: true; readonly executed: ExecutedBlock }
  | {
      readonly isValid: false;
      readonly why: string;
      /** Hex; undefined when it did not come to that. */
      readonly ownStateRoot?: string;
      /** The state to which it comes here. */
      readonly tree?: StateTree;
    };

const no = (why: string): Judgement => ({ isValid: false, why });

/**
 * Whether `block` follows the last final block, and its state root is what it comes to.
 * @param isFinal a quorum has made it so, and with it the leaders that its header names.
 */
export function judge(
  context: RuleContext,
  block: Block,
  intents: readonly SignedIntent[],
  isFinal = false,
): Judgement {
  const { header } = block;
  const fault =
    headerFault(context, header) ??
    checkpointFault(context, block) ??
    intentsFault(context, intents);
  if (fault !== undefined) return no(fault);
  const seed = seedOf(context, header, isFinal);
  if (typeof seed === 'string') return no(seed);
  const executed = tryExecute(context, header, intents);
  if (typeof executed === 'string') return no(executed);
  const tree = context.ledger.tree.update(executed.changes);
  const { root } = tree;
  if (Buffer.compare(root, header.stateRoot) !== 0) {
    const ownStateRoot = Buffer.from(root).toString('hex');
    return { isValid: false, why: 'it comes to another state root', ownStateRoot, tree };
  }
  const leaders = leadersAfter(context, header, executed, seed);
  if (!sameBytes(leaders.digest, header.leaders)) return no('it names other leaders to come');
  if (!sameBytes(custodiansAfter(context, executed).digest, header.custodians)) {
    return no('it names other custodians to come');
  }
  return { isValid: true, executed: { ...executed, block, intents, tree, seed, leaders } };
}

/** E1: the custodians of the height after a block. */
export const custodiansAfter = (
  { ledger }: Pick<RuleContext, 'ledger'>,
  { custodians }: Pick<Executed, 'custodians'>,
): CustodianSet => custodians ?? ledger.custodians;

/** L1, E5: the leaders after a block: the seed goes on, nobody is passed over among new members. */
export function leadersAfter(
  { ledger, leaders }: Pick<RuleContext, 'ledger' | 'leaders'>,
  { height, view }: Pick<BlockHeader, 'height' | 'view'>,
  { custodians }: Pick<Executed, 'custodians'>,
  seed: Uint8Array | undefined,
): LeaderSchedule {
  const isOther = custodians !== undefined && !custodians.hasSameMembers(ledger.custodians);
  return leaders.next({ height, view, seed }, isOther ? custodians.size : undefined);
}

function headerFault(context: RuleContext, header: BlockHeader): string | undefined {
  const { tip } = context.ledger;
  if (header.clusterId !== context.clusterId) return 'it is of another cluster';
  if (header.height !== tip.height + 1) return 'it is of another height';
  if (Buffer.from(header.previous).toString('hex') !== tip.digest) {
    return 'it follows another block';
  }
  if (tip.header !== undefined && header.time <= tip.header.time) {
    return 'it is not later than the block before';
  }
  // V1
  if (header.protocol !== context.ledger.protocol) return 'it is of another protocol version';
  const leader = context.leaders.leaderOf(header.height, header.view);
  if (context.ledger.custodians.nodeIds[leader] !== header.proposer) {
    return 'its proposer did not lead the view in which it was first proposed';
  }
  return undefined;
}

/** Y5: whichever way the block has come, and whoever has signed it. */
function checkpointFault({ checkpoint }: RuleContext, block: Block): string | undefined {
  const isIts = checkpoint?.height !== block.header.height || checkpoint.digest === block.digest;
  return isIts ? undefined : 'its history does not go through the checkpoint';
}

function intentsFault(context: RuleContext, intents: readonly SignedIntent[]): string | undefined {
  // P1: a block is made when there is work.
  if (intents.length === 0) return 'it has no intents';
  const { roster } = context.ledger;
  const statements = new Set<string>();
  for (const { intent, statement, digest } of intents) {
    if (statement !== undefined) {
      if (statements.has(digest)) return 'it has a statement twice';
      statements.add(digest);
      continue;
    }
    if (!roster.isMember(intent.author)) return 'an author is no member';
    // A2
    if (intent.keyEpoch !== roster.keyEpochOf(intent.author)) {
      return 'an intent is not of the key epoch of its author';
    }
  }
  return statements.size > LIMITS.blockStatements ? 'it has too many statements' : undefined;
}

/** L1: the next seed; undefined within an epoch; a text says what is wrong. */
export function seedOf(
  context: RuleContext,
  header: Pick<BlockHeader, 'height' | 'view' | 'seedProof' | 'proposer'>,
  isFinal = false,
): Uint8Array | undefined | string {
  const { leaders, seeds, ledger } = context;
  const { height, view, seedProof } = header;
  if (!endsEpoch(leaders, height)) {
    return seedProof === undefined ? undefined : 'it carries a seed proof within an epoch';
  }
  if (seedProof === undefined) return 'it carries no seed proof at the end of an epoch';
  const [seed, epoch] = [leaders.seed(height), leaders.epochOf(height)];
  const custodian = ledger.custodians.indexOf(header.proposer);
  const alpha = seedAlpha(seed, epoch);
  // Of what is final the quorum has verified it, and has signed which leaders follow from it.
  const beta = isFinal
    ? seeds.output(seedProof)
    : seeds.verify(custodian, height, alpha, seedProof);
  return beta === undefined ? 'its seed proof does not hold' : nextSeed(seed, epoch, view, beta);
}

export const endsEpoch = (leaders: LeaderSchedule, height: number): boolean =>
  leaders.epochOf(height) !== leaders.epochOf(height + 1);

function tryExecute(
  context: RuleContext,
  header: Pick<BlockHeader, 'height' | 'time'>,
  intents: readonly SignedIntent[],
): Executed | string {
  try {
    return executeUpon(context, header, intents);
  } catch (error) {
    if (isAegisError(error)) return error.message;
    throw error;
  }
}

/** Executes upon the last final state. @throws {AegisError} `BAD_DATA` for a wrong sequence. */
export function executeUpon(
  { clusterId, ledger }: RuleContext,
  { height, time }: Pick<BlockHeader, 'height' | 'time'>,
  intents: readonly SignedIntent[],
): Executed {
  const { tree, names, roster, registers } = ledger;
  return executeIntents(tree, intents, { clusterId, names, height, time, roster, registers });
}

/**
 * What a voter asks beside: whether the block is not far ahead of its clock, and was not first
 * proposed in a view that is still to come.
 */
export function voterFault(header: BlockHeader, view: number, now: Instant): string | undefined {
  if (header.view > view) return 'it was first proposed in a view to come';
  // What is proposed again was prepared by a quorum of clocks.
  const isFresh = header.view === view;
  if (isFresh && header.time > now + LIMITS.aheadMs)
    return 'its time is far ahead of the clock of this node';
  return undefined;
}
