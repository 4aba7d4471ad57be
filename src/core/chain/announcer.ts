/**
 * Tells others of final heights: agents at each, since no votes reach them; custodians that lag
 * behind when it has become quiet, since a message that was lost would else be missed by nobody.
 */
import { MINUTE, SECOND } from '../units.ts';
import type { Ledger } from './ledger.ts';
import type { Announcement } from './messages.ts';
import type { Turn } from './turn.ts';

export const ANNOUNCE_ALARM = 'announce';
export const QUIET_ALARM = 'quiet';

/** Announcements to agents are at least so far apart. */
const SPACING_MS = 50;
const QUIET_MS = 2 * SECOND;
const QUIET_MS_MAX = MINUTE;

export interface Listeners {
  readonly peers: ReadonlySet<string>;
  /** The final height that a peer is known to have. */
  knownHeight(peer: string): number;
}

export class Announcer {
  readonly #ledger: Pick<Ledger, 'custodians'>;
  #announcedAt = 0;
  #isArmed = false;
  #quietMs = QUIET_MS;

  constructor(ledger: Pick<Ledger, 'custodians'>) {
    this.#ledger = ledger;
  }

  /** The tip has moved. */
  moved(turn: Turn, tip: Announcement, listeners: Listeners): void {
    this.#quietMs = QUIET_MS;
    turn.alarmIn(QUIET_ALARM, QUIET_MS);
    if (this.#announcedAt + SPACING_MS <= turn.now) this.announce(turn, tip, listeners);
    else if (!this.#isArmed) {
      this.#isArmed = true;
      turn.alarmIn(ANNOUNCE_ALARM, SPACING_MS);
    }
  }

  /** To the agents that lack it. */
  announce(turn: Turn, tip: Announcement, listeners: Listeners): void {
    this.#isArmed = false;
    this.#announcedAt = turn.now;
    const { custodians } = this.#ledger;
    const agents = behind(tip, listeners).filter((peer) => custodians.indexOf(peer) === -1);
    tellTip(turn, agents, tip);
  }

  /** Nothing has become final for a while: to all that seem to lack it, ever more rarely. */
  quiet(turn: Turn, tip: Announcement, listeners: Listeners): void {
    const late = behind(tip, listeners);
    tellTip(turn, late, tip);
    if (late.length === 0) return;
    this.#quietMs = Math.min(2 * this.#quietMs, QUIET_MS_MAX);
    turn.alarmIn(QUIET_ALARM, this.#quietMs);
  }
}

const behind = (tip: Announcement, { peers, knownHeight }: Listeners): string[] =>
  [...peers].filter((peer) => knownHeight(peer) < tip.height);

export const tellTip = (turn: Turn, to: readonly string[], tip: Announcement): void =>
  turn.send(to, tip);
