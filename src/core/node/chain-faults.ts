/**
 * What this node has seen of others' faults in the chain (docs/history.md, Y2, Y3, Y6): peers that
 * have sent what does not hold, and certificates for another history. For people who ask; it is
 * forgotten at the end of the run, and the security log keeps it.
 */
import type { ChainOutcome, Conflict } from '../chain/chain.ts';
import type { Log, Metrics, Security } from '../ports.ts';
import { Complaints } from './complaints.ts';

export interface Lie {
  readonly nodeId: string;
  /** In words that follow upon a name: what it did last. */
  readonly what: string;
  readonly height: number;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  readonly count: number;
}

export interface ChainFaultsDeps {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly security?: Security | undefined;
}

/** Peers that are remembered; members are not many more. */
const LIARS_MAX = 1024;
const COUNTED = ['aegis_chain_liars_total', 'aegis_chain_conflicts_total'];

export class ChainFaults {
  readonly #deps: ChainFaultsDeps;
  readonly #complaints: Complaints;
  readonly #lies = new Map<string, Lie>();
  #conflict: Conflict | undefined;

  constructor(deps: ChainFaultsDeps) {
    this.#deps = deps;
    this.#complaints = new Complaints(deps.log);
    for (const name of COUNTED) deps.metrics.count(name, 0);
  }

  /** Y3: the last one. */
  get conflict(): Conflict | undefined {
    return this.#conflict;
  }

  lies(): readonly Lie[] {
    return [...this.#lies.values()];
  }

  lieOf(nodeId: string): Lie | undefined {
    return this.#lies.get(nodeId);
  }

  /** @returns whether it was about a fault of others. */
  tell(outcome: ChainOutcome, now: number): boolean {
    if (outcome.type === 'liar') this.#lied(outcome, now);
    else if (outcome.type === 'conflict') this.#conflicts(outcome);
    else if (outcome.type === 'slow') this.#slow(outcome, now);
    else return false;
    return true;
  }

  #lied({ nodeId, what, height }: Extract<ChainOutcome, { type: 'liar' }>, at: number): void {
    const { metrics, security } = this.#deps;
    this.#keep({ nodeId, what: `it has sent what does not hold (${what})`, height, at });
    metrics.count('aegis_chain_liars_total');
    security?.tell({ type: 'liar', nodeId, reason: `${what}, height ${height}` });
    const fields = { nodeId, what, height };
    this.#complaints.say('warn', 'a peer has sent what does not hold', `liar ${nodeId}`, fields);
  }

  /** Y2: no lie, but whoever asks why a node does not come on wants to know. */
  #slow({ nodeId, height }: Extract<ChainOutcome, { type: 'slow' }>, at: number): void {
    const what = 'it claims blocks and does not send them';
    this.#keep({ nodeId, what, height, at });
    this.#complaints.say('warn', what, `slow ${nodeId}`, { nodeId, height });
  }

  #keep({ nodeId, ...rest }: Omit<Lie, 'count'>): void {
    const count = (this.#lies.get(nodeId)?.count ?? 0) + 1;
    this.#lies.delete(nodeId);
    this.#lies.set(nodeId, { nodeId, ...rest, count });
    const [oldest] = this.#lies.keys();
    if (this.#lies.size > LIARS_MAX && oldest !== undefined) this.#lies.delete(oldest);
  }

  #conflicts(conflict: Conflict): void {
    const { height, ours, theirs, from } = conflict;
    this.#conflict = conflict;
    this.#deps.metrics.count('aegis_chain_conflicts_total');
    const reason = `height ${height}: ${ours} here, ${theirs} certified as well`;
    this.#deps.security?.tell({ type: 'conflict', nodeId: from, reason });
    const message = 'another block is certified at a height that is final here';
    this.#complaints.say('error', message, `conflict ${height}`, { height, ours, theirs, from });
  }
}
