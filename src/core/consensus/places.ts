/**
 * Where everybody stands: statuses go out when a connection is made, when a peer shows that it is
 * behind, and when a replica in doubt asks. They bring laggards on without anybody being trusted:
 * everything in them is proven by certificates or signatures.
 */
import { takeCertificate, takeTimeouts } from './intake.ts';
import { LIMITS } from './limits.ts';
import type { StatusMessage } from './messages.ts';
import { comparePlaces } from './pen.ts';
import { repeatTo } from './rules.ts';
import { shareMessage } from './signed-bytes.ts';
import type { State } from './state.ts';
import type { Share } from './types.ts';

export class Places {
  readonly #helpedAt = new Map<number, number>();
  readonly #answeredAt = new Map<number, number>();

  /** Tells `to` where we are, however often that has been done. */
  tell(state: State, to: number, numbers: { ask?: number; answer?: number } = {}): void {
    const { height, view, commit, final, high, entry, seen } = state;
    state.out.send(to, {
      type: 'status',
      height,
      view,
      commit: commit ?? final,
      high,
      timeout: entry,
      seen: seen.get(to),
      ask: numbers.ask ?? 0,
      answer: numbers.answer ?? 0,
    });
  }

  /** Tells a peer that seems to need it, at most so often. */
  help(state: State, to: number): void {
    if (isDue(this.#helpedAt, to, state.now)) this.tell(state, to);
  }

  /** D4: asks all custodians for their status. */
  askAll(state: State): void {
    const ask = state.doubt?.question ?? 0;
    for (const to of state.setting.custodians.keys()) {
      if (to !== state.setting.self) this.tell(state, to, { ask });
    }
  }

  take(state: State, from: number, message: StatusMessage): void {
    const { commit, high, timeout, seen, ask, answer } = message;
    const isProven = commit === undefined || takeCertificate(state, from, commit);
    if (high !== undefined) takeCertificate(state, from, high);
    if (timeout !== undefined) takeTimeouts(state, from, timeout);
    if (seen !== undefined) this.#compareMemory(state, from, seen);
    if (isProven) this.#takeAnswer(state, from, answer, (commit?.height ?? 0) + 1);
    if (ask !== 0 && isDue(this.#answeredAt, from, state.now)) {
      this.tell(state, from, { answer: ask });
      return;
    }
    this.#serve(state, from, message);
  }

  #takeAnswer(state: State, from: number, answer: number, height: number): void {
    if (state.doubt === undefined || answer !== state.doubt.question) return;
    if (state.doubt.answer(from, height, state.height)) state.keepDoubt();
  }

  /** What the sender lacks of what we have. */
  #serve(state: State, from: number, { height, view, seen }: StatusMessage): void {
    const isBehind = height < state.height || (height === state.height && view < state.view);
    if (isBehind) this.help(state, from);
    if (height !== state.height || view !== state.view) return;
    // D4: in doubt it does not vote, not even again.
    if (state.doubt !== undefined) return;
    const last = state.pen.shares.at(-1);
    const lacks = last !== undefined && (seen === undefined || comparePlaces(seen, last) < 0);
    if (lacks && isDue(this.#helpedAt, from, state.now)) repeatTo(state, from);
  }

  /** D5: every status tells the receiver the last vote that was seen from it. */
  #compareMemory(state: State, from: number, seen: Share): void {
    const { self, scheme, clusterId } = state.setting;
    const verdict = state.pen.recognise(seen);
    if (self === undefined || verdict === 'own' || verdict === 'past') return;
    if (isKnownLoss(state, verdict, seen)) return;
    // It bears the own signature, so nobody can be put in doubt by a lie. C3: of heights to come by
    // the key that is known here, which a copy of this home may have gone on with.
    const message = shareMessage(clusterId, seen);
    const isOwn = state.holds(from, 'share of the receiver in a status', seen.height, () =>
      scheme.verify(self, seen.height, message, seen.signature),
    );
    if (isOwn) state.recogniseOwn(seen, seen.signature);
  }
}

/** What has been verified and told already is not verified again. */
const isKnownLoss = (
  { doubt, keyElsewhere }: State,
  verdict: string,
  { height }: Share,
): boolean => (verdict === 'forged' ? keyElsewhere !== undefined : doubt?.covers(height) === true);

function isDue(times: Map<number, number>, to: number, now: number): boolean {
  const last = times.get(to);
  // A clock that was set back starts anew.
  if (last !== undefined && now >= last && now - last < LIMITS.answerIntervalMs) return false;
  times.set(to, now);
  return true;
}
