/**
 * Brings intents to those who can put them into a block: in batches when they are made, again while
 * they wait, to custodians that come up, to the leader when nothing has come of them, and then to
 * one after the other.
 */
import type { CustodianSet } from '../consensus/custodian-sets.ts';
import { faultyMax } from '../consensus/quorum.ts';
import type { SignedIntent } from '../model/intent.ts';
import { KIB, MIB, SECOND } from '../units.ts';
import { LIMITS } from './limits.ts';
import type { Turn } from './turn.ts';
import type { PendingIntent } from './types.ts';

export const FLUSH_ALARM = 'flush';
export const REPEAT_ALARM = 'repeat';

/** Intents wait for others so long. */
const FLUSH_MS = 2;
const FLUSH_BYTES = 64 * KIB;
export const REPEAT_MS = 2 * SECOND;
export const REPEAT_BYTES = 256 * KIB;
/** What a custodian that comes up is sent at once. */
const GREETING_BYTES = 2 * MIB;

/** Who decides the next block. */
export type Audience = () => Pick<CustodianSet, 'indexOf' | 'size'>;

export class Spread {
  readonly #audience: Audience;
  #waiting: SignedIntent[] = [];
  #waitingBytes = 0;
  #flushedAt = 0;
  #isRepeatArmed = false;
  /** Whose turn it is to be offered what waits. */
  #offers = 0;

  constructor(audience: Audience) {
    this.#audience = audience;
  }

  /** Custodians; and agents, who pass on, when a faulty f of custodians could be all there are. */
  #receivers(peers: ReadonlySet<string>): string[] {
    const custodians = this.#audience();
    const connected = [...peers].filter((peer) => custodians.indexOf(peer) !== -1);
    return connected.length > faultyMax(custodians.size) ? connected : [...peers];
  }

  /** What came together leaves together. */
  add(turn: Turn, intents: readonly SignedIntent[], peers: ReadonlySet<string>): void {
    if (intents.length === 0) return;
    const isFirst = this.#waiting.length === 0;
    this.#waiting.push(...intents);
    for (const { bytes } of intents) this.#waitingBytes += bytes.length;
    const isLate = this.#flushedAt + FLUSH_MS <= turn.now;
    if (isLate || this.#waitingBytes >= FLUSH_BYTES) this.flush(turn, peers);
    else if (isFirst) turn.alarmIn(FLUSH_ALARM, FLUSH_MS);
  }

  flush(turn: Turn, peers: ReadonlySet<string>): void {
    this.#flushedAt = turn.now;
    sendIntents(turn, this.#receivers(peers), this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  /** Arms the repetition while anything of this node waits. */
  watch(turn: Turn, pending: readonly PendingIntent[]): void {
    if (pending.length === 0 || this.#isRepeatArmed) return;
    this.#isRepeatArmed = true;
    turn.alarmIn(REPEAT_ALARM, REPEAT_MS);
  }

  repeat(turn: Turn, pending: readonly PendingIntent[], peers: ReadonlySet<string>): void {
    this.#isRepeatArmed = false;
    const old: SignedIntent[] = [];
    for (const { signed, since } of pending) {
      if (since + REPEAT_MS <= turn.now) old.push(signed);
    }
    sendIntents(turn, this.#receivers(peers), upTo(old, REPEAT_BYTES));
    this.watch(turn, pending);
  }

  /** To one at a time, each by turns: everybody who holds it does so. */
  offer(turn: Turn, intents: readonly SignedIntent[], peers: ReadonlySet<string>): void {
    const receivers = this.#receivers(peers);
    const receiver = receivers[this.#offers % receivers.length];
    this.#offers += 1;
    if (receiver !== undefined) sendIntents(turn, [receiver], intents);
  }

  /** A peer has come up. */
  greet(turn: Turn, peer: string, pending: readonly PendingIntent[]): void {
    if (this.#audience().indexOf(peer) === -1) return;
    sendIntents(
      turn,
      [peer],
      upTo(
        pending.map(({ signed }) => signed),
        GREETING_BYTES,
      ),
    );
  }
}

function upTo(intents: readonly SignedIntent[], maxBytes: number): SignedIntent[] {
  let bytes = 0;
  const end = intents.findIndex((signed) => {
    bytes += signed.bytes.length;
    return bytes > maxBytes;
  });
  return end === -1 ? [...intents] : intents.slice(0, end);
}

/** In messages that stay within the limits. */
export function sendIntents(
  turn: Turn,
  to: readonly string[],
  intents: readonly SignedIntent[],
): void {
  if (to.length === 0) return;
  for (let at = 0; at < intents.length; ) {
    const slice = intents.slice(at, at + LIMITS.messageIntents);
    const some = upTo(slice, LIMITS.messageIntentBytes);
    turn.send(to, { type: 'intents', intents: some.map(({ bytes }) => bytes) });
    at += some.length;
  }
}
