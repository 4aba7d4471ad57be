/**
 * What waits for one reader of events. Bounded: changes of one key replace each other, because
 * each carries the whole state of its key; log lines give way, the oldest first, and are counted.
 */
import { unreachable } from '../../assert.ts';
import type { ApiEvent, Change } from '../contract/events.ts';

export interface EventQueueLimits {
  readonly eventQueueMax: number;
  readonly eventLogLinesMax: number;
}

export class EventQueue {
  readonly #limits: EventQueueLimits;
  /** In the order in which a key was first changed since it was last taken. */
  readonly #byKey = new Map<string, ApiEvent>();
  readonly #logKeys: string[] = [];
  #logSequence = 0;
  #droppedLines = 0;
  #overflowed = false;

  constructor(limits: EventQueueLimits) {
    this.#limits = limits;
  }

  /** The reader is too slow to be told the truth; only `end` is left for it. */
  get overflowed(): boolean {
    return this.#overflowed;
  }

  get size(): number {
    return this.#byKey.size;
  }

  push(change: Change): void {
    if (this.#overflowed) return;
    if (change.type === 'log') this.#pushLog(change);
    else this.#byKey.set(keyOf(change), change);
    if (this.#byKey.size <= this.#limits.eventQueueMax) return;
    this.#overflowed = true;
    this.#byKey.clear();
  }

  /** The oldest event, or `undefined` when there is none. */
  take(): ApiEvent | undefined {
    if (this.#droppedLines > 0) {
      const logLines = this.#droppedLines;
      this.#droppedLines = 0;
      return { type: 'dropped', logLines };
    }
    const [first] = this.#byKey;
    if (first === undefined) return undefined;
    this.#byKey.delete(first[0]);
    if (first[1].type === 'log') this.#logKeys.shift();
    return first[1];
  }

  #pushLog(change: Change): void {
    this.#logSequence += 1;
    const key = `log:${this.#logSequence}`;
    this.#byKey.set(key, change);
    this.#logKeys.push(key);
    if (this.#logKeys.length <= this.#limits.eventLogLinesMax) return;
    const oldest = this.#logKeys.shift();
    if (oldest !== undefined) this.#byKey.delete(oldest);
    this.#droppedLines += 1;
  }
}

/** A peer that is known only by its address has no node id yet. */
function keyOf(change: Exclude<Change, { type: 'log' }>): string {
  switch (change.type) {
    case 'node':
      return 'node';
    case 'tor':
      return 'tor';
    case 'peer':
      return `peer:${change.peer.nodeId ?? change.peer.address}`;
    case 'peer-gone':
      return `peer:${change.nodeId ?? change.address}`;
    case 'kb':
      return `kb:${change.entry.path}`;
    case 'consensus':
      return 'consensus';
    case 'custodians':
      return 'custodians';
    case 'block':
      return `block:${change.block.height}`;
    default:
      return unreachable(change);
  }
}
