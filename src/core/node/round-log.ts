/**
 * What this node has seen of the last heights: when views began and ended, who proposed, who gave
 * up, how long it took. For people who ask why; nothing is decided by it, and it is forgotten.
 */
import type { ChainOutcome, ChainStatus } from '../chain/types.ts';

export interface SeenView {
  readonly view: number;
  /** Index of the custodian. */
  readonly leader: number;
  readonly startedAt: number;
  endedAt: number | undefined;
  isProposed: boolean;
  /** Indices of those who gave it up. */
  timeouts: readonly number[];
}

export interface SeenHeight {
  readonly height: number;
  readonly views: SeenView[];
  startedAt: number | undefined;
  proposedAt: number | undefined;
  preparedAt: number | undefined;
  finalAt: number | undefined;
}

/** A proposal that this node did not vote for. */
export interface RefusedProposal {
  readonly height: number;
  readonly view: number;
  readonly proposer: string;
  readonly reason: 'time' | 'state' | 'invalid';
  readonly detail: string;
  readonly at: number;
}

const HEIGHTS_MAX = 256;
const DURATIONS_MAX = 100;

export interface RoundLogDeps {
  /** The last final one. */
  readonly height: number;
  status(): ChainStatus;
}

export class RoundLog {
  readonly #chain: RoundLogDeps;
  readonly #heights = new Map<number, SeenHeight>();
  #durationsMs: number[] = [];
  #lastFinalAt: number | undefined;
  #viewSince: number | undefined;
  #refused: RefusedProposal | undefined;

  constructor(chain: RoundLogDeps) {
    this.#chain = chain;
  }

  /** When this node saw its last final block become so; undefined: before it started. */
  get lastFinalAt(): number | undefined {
    return this.#lastFinalAt;
  }

  /** When the present view began. */
  get viewSince(): number | undefined {
    return this.#viewSince;
  }

  /** The last proposal that this node did not vote for. */
  get refused(): RefusedProposal | undefined {
    return this.#refused;
  }

  get(height: number): SeenHeight | undefined {
    return this.#heights.get(height);
  }

  /** Of the last blocks that were seen live, this part took no longer. */
  finalMs(part: number): number | null {
    const sorted = this.#durationsMs.toSorted((a, b) => a - b);
    return sorted[Math.ceil(sorted.length * part) - 1] ?? null;
  }

  tell(outcome: ChainOutcome, now: number): void {
    switch (outcome.type) {
      case 'entered':
        this.#entered(outcome, now);
        return;
      case 'voted':
        this.#voted(outcome, now);
        return;
      case 'finalised':
        this.#finalised(outcome.height, outcome.certificate.view, now);
        return;
      case 'proposal-refused':
        this.#refusedOne(outcome, now);
        return;
      // Work for the height that is open, if there was none before.
      case 'accepted':
        this.#at(this.#chain.height + 1).startedAt ??= now;
        return;
      default:
    }
  }

  #entered({ height, view, leader }: Extract<ChainOutcome, { type: 'entered' }>, now: number) {
    this.#viewSince = now;
    const seen = this.#at(height);
    const last = seen.views.at(-1);
    if (last !== undefined && last.endedAt === undefined) {
      last.endedAt = now;
    }
    seen.views.push({
      view,
      leader,
      startedAt: now,
      endedAt: undefined,
      isProposed: false,
      timeouts: [],
    });
  }

  #voted({ height, view, phase }: Extract<ChainOutcome, { type: 'voted' }>, now: number): void {
    const seen = this.#at(height);
    const status = this.#chain.status();
    if (status.height === height) seen.startedAt ??= status.viewSince ?? now;
    const current = seen.views.find((one) => one.view === view);
    if (phase === 'timeout') {
      if (current !== undefined && status.view === view) current.timeouts = status.timeouts;
      return;
    }
    if (current !== undefined) current.isProposed = true;
    if (phase === 'prepare') seen.proposedAt ??= now;
    else seen.preparedAt ??= now;
  }

  #refusedOne(outcome: Extract<ChainOutcome, { type: 'proposal-refused' }>, now: number): void {
    const { height, view, proposer, reason, detail } = outcome;
    this.#refused = { height, view, proposer, reason, detail, at: now };
    const seen = this.#at(height).views.find((one) => one.view === view);
    if (seen !== undefined) seen.isProposed = true;
  }

  #finalised(height: number, view: number, now: number): void {
    this.#lastFinalAt = now;
    const seen = this.#at(height);
    seen.finalAt = now;
    const last = seen.views.at(-1);
    if (last !== undefined) last.endedAt ??= now;
    for (const one of seen.views) one.isProposed ||= one.view === view;
    if (seen.startedAt === undefined) return;
    this.#durationsMs = [...this.#durationsMs, now - seen.startedAt].slice(-DURATIONS_MAX);
  }

  #at(height: number): SeenHeight {
    const known = this.#heights.get(height);
    if (known !== undefined) return known;
    const seen: SeenHeight = {
      height,
      views: [],
      startedAt: undefined,
      proposedAt: undefined,
      preparedAt: undefined,
      finalAt: undefined,
    };
    this.#heights.set(height, seen);
    const [oldest] = this.#heights.keys();
    if (this.#heights.size > HEIGHTS_MAX && oldest !== undefined) this.#heights.delete(oldest);
    return seen;
  }
}
