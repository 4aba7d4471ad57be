/**
 * When the replica wants to be woken. Timers run only while there is work: an idle cluster costs
 * nothing. The wishes follow from the state alone and are looked at after every step; an alarm is
 * armed when its wish has changed.
 */
import { type Instant, instant } from '../units.ts';
import type { State } from './state.ts';

/** The keys of the alarms. */
export type AlarmKey = 'view' | 'repeat' | 'catch-up';

/** T1: what there is to do in this view. */
function hasWork(state: State): boolean {
  // A height that is decided is waited for, not worked on.
  if (state.commit !== undefined) return false;
  if (state.isWaiting || state.high !== undefined || state.proposal !== undefined) return true;
  if (state.pen.shares.length > 0) return true;
  // What f + 1 others work on, one of them does that follows the rules.
  const { faultyMax, self, custodians } = state.setting;
  const own = self === undefined ? undefined : custodians[self];
  return state.tally.heardSince(state.view) > faultyMax || state.ahead.senders(own) > faultyMax;
}

/** T1: how long the view may last, were its leader there. */
export const timeoutMs = (state: State): number => state.pace.timeoutMs(state.view);

/** When the view ends, unless it has been given up already. */
function viewEnd(state: State): Instant | undefined {
  const { viewSince, setting, leader } = state;
  if (viewSince === undefined || state.hasShare('timeout')) return undefined;
  // C4: it is asked for again with the repetition.
  if (state.refused.has('timeout')) return undefined;
  const end = viewSince + timeoutMs(state);
  const lostAt = state.lost.get(leader);
  if (lostAt === undefined) return instant(end);
  // T1: it runs short when the connection to the leader is lost.
  return instant(Math.min(end, Math.max(lostAt, viewSince) + setting.timing.leaderLostMs));
}

/** When to say again what was said in this view. */
function nextRepeat(state: State): Instant | undefined {
  if (state.viewSince === undefined || state.saidAt === undefined) return undefined;
  const everyMs = Math.min(Math.ceil(timeoutMs(state) / 2), state.setting.timing.repeatMs);
  return instant(state.saidAt + everyMs);
}

export class Pacemaker {
  readonly #armed = new Map<AlarmKey, Instant>();
  /** When blocks or statuses were asked for last. */
  #askedAt: Instant | undefined;

  /** An alarm has gone off; it is not armed any more. */
  fired(key: AlarmKey): void {
    this.#armed.delete(key);
    if (key === 'catch-up') this.#askedAt = undefined;
  }

  isViewOver(state: State): boolean {
    const end = state.isVoting ? viewEnd(state) : undefined;
    return end !== undefined && state.now >= end;
  }

  isRepeatDue(state: State): boolean {
    const at = state.isVoting ? nextRepeat(state) : undefined;
    return at !== undefined && state.now >= at;
  }

  /** Arms, moves and cancels alarms as the state now wants them. */
  update(state: State): void {
    const { now } = state;
    if (!hasWork(state)) state.viewSince = undefined;
    // A clock that was set back must not make a view endless.
    else if (state.viewSince === undefined || state.viewSince > now) state.viewSince = now;
    if (state.pen.shares.length > 0 && state.saidAt === undefined) state.saidAt = now;
    if (state.saidAt !== undefined && state.saidAt > now) state.saidAt = now;
    this.#want(state, 'view', state.isVoting ? viewEnd(state) : undefined);
    this.#want(state, 'repeat', state.isVoting ? nextRepeat(state) : undefined);
    this.#want(state, 'catch-up', this.#nextAsking(state));
  }

  #nextAsking(state: State): Instant | undefined {
    if (state.target === undefined && !state.isAsking) {
      this.#askedAt = undefined;
      return undefined;
    }
    if (this.#askedAt === undefined || this.#askedAt > state.now) this.#askedAt = state.now;
    return instant(this.#askedAt + state.setting.timing.repeatMs);
  }

  #want(state: State, key: AlarmKey, at: Instant | undefined): void {
    if (this.#armed.get(key) === at) return;
    if (at === undefined) this.#armed.delete(key);
    else this.#armed.set(key, at);
    state.out.alarm(key, at);
  }
}
