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
import { type Certificate, CUSTODIANS_MAX, type Share } from './types.ts';

export class Places {
  readonly #helpedAt = new Map<string, number>();
  readonly #answeredAt = new Map<string, number>();

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

  /**
   * Tells a peer that seems to need it, at most so often.
   * @param height where the peer is, as far as that is known.
   */
  help(state: State, to: number, height?: number): void {
    const nodeId = state.nameOf(to);
    if (!isDue(this.#helpedAt, nodeId, state.now)) return;
    const certificate = handoverFor(state, height);
    if (certificate === undefined) this.tell(state, to);
    else state.out.send(to, { type: 'certificate', certificate });
  }

  /** E5: tells a node that is no custodian here, or as an agent, what is final. */
  helpAside(state: State, to: string, height: number): void {
    const certificate = handoverFor(state, height) ?? state.final;
    if (certificate === undefined || !isDue(this.#helpedAt, to, state.now)) return;
    state.out.sendTo(to, { type: 'certificate', certificate });
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
    if (ask !== 0 && isDue(this.#answeredAt, state.nameOf(from), state.now)) {
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
    if (isBehind) this.help(state, from, height);
    if (height !== state.height || view !== state.view) return;
    // D4: in doubt it does not vote, not even again.
    if (state.doubt !== undefined) return;
    const last = state.pen.shares.at(-1);
    const lacks = last !== undefined && (seen === undefined || comparePlaces(seen, last) < 0);
    if (lacks && isDue(this.#helpedAt, state.nameOf(from), state.now)) repeatTo(state, from);
  }

  /** D5: every status tells the receiver the last vote that was seen from it. */
  #compareMemory(state: State, from: number, seen: Share): void {
    const { scheme, clusterId } = state.setting;
    const self = scheme.ownIndex(seen.height);
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

/** E5: who works at a height of the custodians before can verify nothing of those that are now. */
const handoverFor = ({ handover }: State, height: number | undefined): Certificate | undefined =>
  height !== undefined && handover !== undefined && height <= handover.height
    ? handover
    : undefined;

function isDue(times: Map<string, number>, to: string, now: number): boolean {
  const last = times.get(to);
  // A clock that was set back starts anew.
  if (last !== undefined && now >= last && now - last < LIMITS.answerIntervalMs) return false;
  if (times.size > 2 * CUSTODIANS_MAX) times.clear();
  times.set(to, now);
  return true;
}
