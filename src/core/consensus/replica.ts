/**
 * One custodian's part in consensus, as a machine: it decides one digest a height, and knows
 * nothing else of a block. Each step takes in what has come, then tries the rules of the
 * specification until none applies, and at last says what must be durable and when it wants to be
 * woken.
 *
 * It does not see intents or state, checks no block and keeps none: that is the chain's part, which
 * acts upon the outcomes at once and answers with inputs.
 */
import { assert, unreachable } from '../assert.ts';
import type { Machine, Ready } from '../machine.ts';
import type { Instant } from '../units.ts';
import { takeAside } from './aside.ts';
import type {
  ProposalInput,
  ReplicaDependencies,
  ReplicaInput,
  ReplicaOptions,
  Standing,
  VerdictInput,
} from './contract.ts';
import { isBrought, isOfOtherKeys } from './doubt.ts';
import { newcomers, stateAfter } from './follow.ts';
import { take, takeCertificate } from './intake.ts';
import { finalRow, handoverRow, type KeptDoubt, type Row, readRows } from './journal.ts';
import { type ConsensusMessage, heightOf } from './messages.ts';
import { Output } from './output.ts';
import { type AlarmKey, Pacemaker, timeoutMs } from './pacemaker.ts';
import { Places } from './places.ts';
import { giveUp, RULES, repeat, sendProposal } from './rules.ts';
import type { Leaders } from './schedule.ts';
import { settingOf } from './setting.ts';
import { State } from './state.ts';
import { type Certificate, HEIGHT_MAX, type ReplicaPhase, type ReplicaStatus } from './types.ts';

export type {
  ReplicaDependencies,
  ReplicaInput,
  ReplicaOptions,
  ReplicaOutcome,
  Standing,
} from './contract.ts';

/** How the life of a replica begins. */
interface Beginning {
  /** It is kept once there is a step that keeps it. */
  readonly doubt: KeptDoubt | undefined;
  readonly isVouched: boolean;
  /** E5: it goes on from that of the custodians before; these have not been told where it is. */
  readonly newcomers?: readonly number[];
}

export class Replica implements Machine<ReplicaInput> {
  readonly #state: State;
  readonly #pacemaker: Pacemaker;
  readonly #places = new Places();
  readonly #beginning: Beginning;
  #isStarted = false;

  private constructor(state: State, beginning: Beginning, pacemaker = new Pacemaker()) {
    this.#state = state;
    this.#beginning = beginning;
    this.#pacemaker = pacemaker;
  }

  /**
   * @param rows those of the tables of this room; others are passed over.
   * @throws {AegisError} `STORE_DAMAGED`.
   */
  static recover(
    options: ReplicaOptions,
    dependencies: ReplicaDependencies,
    rows: readonly Row[],
    standing: Standing,
  ): Replica {
    const kept = readRows(rows);
    const state = new State(settingOf(options, dependencies), dependencies.leaders, kept);
    const doubt = doubtOf(state, kept.doubt, standing);
    return new Replica(state, { doubt, isVouched: standing === 'vouched' });
  }

  /**
   * E5: the replica of the next custodians, which begins at the height after `final`. The owner
   * steps this one no more, and the other first with `keys-known`, in the same transaction.
   * @param leaders as they are after `final`.
   * @param final that of this replica, or a later one up to which the owner has executed blocks.
   */
  follow(options: ReplicaOptions, leaders: Leaders, final = this.#state.final): Replica {
    const before = this.#state;
    assert((final?.height ?? 0) >= before.finalised, 'heights only grow');
    const setting = settingOf(options, before.setting);
    const state = stateAfter(before, setting, leaders, final);
    const kept = this.#isStarted ? before.doubt?.kept : this.#beginning.doubt;
    // D4, E5: what the custodians before have answered says nothing of votes among these.
    const doubt = kept && { ...kept, until: undefined };
    const isVouched = !this.#isStarted && this.#beginning.isVouched;
    const beginning = { doubt, isVouched, newcomers: newcomers(before.setting, setting) };
    return new Replica(state, beginning, this.#pacemaker);
  }

  /** The first height that is not final. */
  get height(): number {
    return this.#state.height;
  }

  /** The last height that is final; 0 before the first. */
  get finalised(): number {
    return this.#state.finalised;
  }

  /** The highest prepare certificate of `height`: whoever has voted `commit` there has one. */
  get high(): Certificate | undefined {
    return this.#state.high;
  }

  step(input: ReplicaInput, now: Instant): Ready {
    const state = this.#state;
    state.out = new Output(state.setting);
    state.now = now;
    state.lookForKey();
    if (!this.#isStarted) this.#start();
    this.#begin();
    this.#take(input);
    this.#settle();
    this.#pacemaker.update(state);
    // D1: what was signed is durable before any message that shows it leaves.
    state.keepSlot();
    return state.out.build();
  }

  status(): ReplicaStatus {
    const state = this.#state;
    const { height, view, tally, setting, final, high } = state;
    return {
      height,
      view,
      viewSince: state.viewSince,
      leader: state.leader,
      phase: this.#phase(),
      timeoutMs: timeoutMs(state),
      quorum: setting.quorum,
      faultyMax: setting.faultyMax,
      isVoting: state.isVoting,
      doubt: this.#doubt?.reason,
      keyElsewhere: state.keyElsewhere,
      keyMissing: setting.self !== undefined && setting.scheme.ownKey(height) === undefined,
      votes: { prepare: tally.signers('prepare', view), commit: tally.signers('commit', view) },
      timeouts: tally.signers('timeout', view),
      high: high && { view: high.view, digest: high.digest },
      passedOver: state.leaders.passedOver(height),
      lastFinalised: final && { height: final.height, digest: final.digest },
      behindTo: state.target?.height,
    };
  }

  /** Of a node that votes: one that an agent has is about votes to come. */
  get #doubt(): Pick<KeptDoubt, 'reason'> | undefined {
    if (this.#state.setting.self === undefined) return undefined;
    return this.#isStarted ? this.#state.doubt : this.#beginning.doubt;
  }

  #phase(): ReplicaPhase {
    const { target, viewSince, high, view, proposal } = this.#state;
    if (target !== undefined) return 'catch-up';
    if (viewSince === undefined) return 'idle';
    if (this.#state.hasShare('timeout')) return 'timeout';
    if (high?.view === view) return 'commit';
    return proposal === undefined ? 'propose' : 'prepare';
  }

  /** D3: doubt comes before anything else, so that nothing is signed by mistake. */
  #start(): void {
    this.#isStarted = true;
    const state = this.#state;
    const { doubt, isVouched } = this.#beginning;
    if (isVouched) {
      // D7: until the next start nothing that turns up raises a doubt.
      state.endDoubt(HEIGHT_MAX);
    } else if (doubt !== undefined && isOfOtherKeys(doubt, state.ownKey)) {
      state.endDoubt();
    } else if (doubt !== undefined) {
      state.startDoubt(doubt);
      this.#askInDoubt();
    }
    if (this.#beginning.newcomers !== undefined) this.#goOn(this.#beginning.newcomers);
  }

  /** E5: the certificate of the height before shows those who begin here that they may. */
  #goOn(others: readonly number[]): void {
    const state = this.#state;
    const { final, handover, setting } = state;
    if (final !== undefined) state.out.persist(finalRow(final));
    if (handover !== undefined) state.out.persist(handoverRow(handover));
    if (setting.self === undefined) return;
    for (const to of others) this.#places.tell(state, to);
  }

  /** D4: asks for statuses until there are enough. */
  #askInDoubt(): void {
    if (this.#state.isAsking) this.#places.askAll(this.#state);
  }

  #take(input: ReplicaInput): void {
    const state = this.#state;
    switch (input.type) {
      case 'start':
      case 'keys-known':
        // Every step begins the height whose keys have become known.
        return;
      case 'alarm':
        this.#wake(input.key as AlarmKey);
        return;
      case 'peer-up':
      case 'peer-down':
        this.#takePeer(input.nodeId, input.type === 'peer-up');
        return;
      case 'message':
        this.#takeMessage(input.from, input.message);
        return;
      case 'work':
        state.isWaiting = input.isWaiting;
        return;
      case 'proposal':
        this.#takeProposal(input);
        return;
      case 'no-proposal':
        if (input.height !== state.height || input.view !== state.view) return;
        if (state.asked !== 'build') return;
        if (input.isRefused === true) {
          // C4.
          state.refuse('proposal');
          return;
        }
        state.asked = undefined;
        state.isWaiting = false;
        return;
      case 'verdict':
        this.#takeVerdict(input);
        return;
      case 'forgotten':
        // P5: without the block nothing can become final; it is fetched when it is decided.
        if (input.height === state.height) state.approved.delete(input.digest);
        return;
      case 'certified':
        takeCertificate(state, undefined, input.certificate);
        return;
      case 'caught-up':
        if (input.certificate.height < state.height) return;
        state.goOn(input.certificate, input.leaders);
        return;
      default:
        unreachable(input);
    }
  }

  #wake(key: AlarmKey): void {
    const state = this.#state;
    this.#pacemaker.fired(key);
    // T2: when the timer ends the replica signs a timeout.
    if (key === 'view' && this.#pacemaker.isViewOver(state)) giveUp(state);
    if (key === 'repeat' && this.#pacemaker.isRepeatDue(state)) {
      const wasRefused = state.refused.has('timeout');
      repeat(state);
      if (wasRefused && this.#pacemaker.isViewOver(state)) giveUp(state);
    }
    if (key !== 'catch-up') return;
    state.askForBlocks();
    this.#askInDoubt();
  }

  #takePeer(nodeId: string, isUp: boolean): void {
    const state = this.#state;
    const index = state.setting.indices.get(nodeId);
    if (index === undefined || index === state.setting.self) return;
    if (!isUp) {
      state.lost.set(index, state.now);
      return;
    }
    state.lost.delete(index);
    if (state.setting.self === undefined) return;
    const ask = state.isAsking ? state.question : 0;
    this.#places.tell(state, index, { ask });
  }

  #takeMessage(from: string, message: ConsensusMessage): void {
    const state = this.#state;
    const { self, indices } = state.setting;
    const index = indices.get(from);
    if (index !== undefined && index === self) return;
    // C2: nothing is read by keys that may have changed with the last block.
    if (!state.hasBegun) return;
    if (self === undefined || index === undefined) {
      const behind = takeAside(state, from, message);
      if (behind !== undefined) this.#places.helpAside(state, from, behind);
      return;
    }
    if (message.type === 'status') {
      this.#places.take(state, index, message);
      return;
    }
    const need = take(state, index, message);
    if (need !== 'nothing') this.#places.help(state, index, heightOf(message));
  }

  #takeProposal({ height, view, digest, payload, seed }: ProposalInput): void {
    const state = this.#state;
    if (height !== state.height || state.asked === undefined || !state.isVoting) return;
    if (state.payload !== undefined) return;
    // P2: unchanged what the timeout certificate names; else a block of this very view.
    const bound = state.pen.proposed ?? state.entry?.high?.digest;
    if (bound === undefined ? view !== state.view : digest !== bound) return;
    state.approve(digest, { view, seed });
    // P1: once it has timed out of the view, nobody would vote for it.
    if (state.hasGivenUp) return;
    const signature = state.pen.propose(digest);
    if (signature === undefined) {
      // C4.
      state.refuse('proposal');
      return;
    }
    const isBound = state.entry?.high !== undefined;
    state.payload = payload;
    state.proposal = { digest, signature, isBound, isApproved: true };
    sendProposal(state);
  }

  #takeVerdict({ height, digest, isValid, view, seed }: VerdictInput): void {
    const state = this.#state;
    if (height !== state.height) return;
    if (isValid) state.approve(digest, { view, seed });
    const { proposal } = state;
    if (proposal?.digest !== digest || proposal.isApproved !== undefined) return;
    // P2: a block that is not bound must have been made for this view, or leaders whose views did
    // not fail would be passed over.
    proposal.isApproved = isValid && (proposal.isBound || view === state.view);
  }

  /** Tries the rules in turn until none applies. */
  #settle(): void {
    const state = this.#state;
    while (RULES.some((rule) => rule(state))) this.#begin();
  }

  /**
   * A height begins when its keys are known (C2): what came early for it is taken in, and a doubt
   * may be over.
   */
  #begin(): void {
    const state = this.#state;
    const { scheme, custodians, self, indices } = state.setting;
    if (state.hasBegun || !scheme.knows(state.height)) return;
    const isOfHeight =
      scheme.custodiansAt(state.height) === custodians.length &&
      scheme.ownIndex(state.height) === self;
    assert(isOfHeight, 'where others are custodians, another replica begins (E5)');
    state.hasBegun = true;
    state.lookForKey();
    state.tellPlace();
    const isOver = self !== undefined && state.doubt?.isOver(state.finalised, state.ownKey);
    if (isOver === true) state.endDoubt();
    for (const { from, message } of state.ahead.take()) {
      const index = indices.get(from);
      // E5: it is known now who speaks here.
      if (index === undefined || self === undefined) takeAside(state, from, message);
      else if (message.type !== 'status') take(state, index, message);
    }
  }
}

const DOUBTFUL =
  'its home was copied or damaged, and it may have voted what it does not remember; ' +
  'it votes again two heights later, or when an operator vouches (aegis node start --vouch)';
const RESTORED =
  'its home was made from a backup, and its keys may have voted what it does not remember; ' +
  'it votes again with a new consensus key (aegis keys rotate), or when an operator vouches ' +
  '(aegis node start --vouch)';

/**
 * D3: the doubt with which a life begins; that of the life before goes on. An agent has one too,
 * since its home may have been a custodian's, at heights that it does not remember (E5).
 */
function doubtOf(
  { setting, ownKey }: State,
  kept: KeptDoubt | undefined,
  standing: Standing,
): KeptDoubt | undefined {
  const { held } = setting;
  if (standing === 'vouched') return undefined;
  // K1: a doubt that was kept is about the keys of then.
  if (standing === 'sound') return kept;
  const isRestored = standing === 'restored';
  const all = [...new Set([...(kept?.held ?? []), ...held])];
  const brought = [...new Set([...(kept?.brought ?? []), ...(isRestored ? held : [])])];
  const reason = isRestored || isBrought({ brought }, ownKey) ? RESTORED : DOUBTFUL;
  const fresh = { reason, until: undefined, floor: kept?.floor ?? 0, held: all, brought };
  // K2: the backup is behind a restored home once it votes with a key that was not in it.
  return isOfOtherKeys(fresh, ownKey) ? kept : fresh;
}
