/**
 * Makes the garbage collector look at the young generation while content flows. The memory of
 * byte arrays lies outside its heap: at 64 MiB of it V8 marks the whole heap on every core, dozens
 * of times in a transfer of 256 MiB, although nearly all of it is young and already dead. A look at
 * the young ones alone takes about a millisecond and finds it.
 *
 * It changes what things cost, never what they do: where V8 gives no such handle it does nothing.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { MIB } from '../units.ts';

/** A few copies of this much are on their way through network and store at a time. */
const EVERY_BYTES = 8 * MIB;

type Collect = (options: { type: 'minor' }) => void;

export class YoungMemory {
  #passedBytes = 0;
  #collect: Collect | undefined;

  /** Counts content that has passed. */
  passed(sizeBytes: number): void {
    this.#passedBytes += sizeBytes;
    if (this.#passedBytes < EVERY_BYTES) return;
    this.#passedBytes = 0;
    this.#collect ??= collector();
    this.#collect({ type: 'minor' });
  }
}

/** V8 gives its `gc` to contexts that are made while the flag is set. */
function collector(): Collect {
  setFlagsFromString('--expose-gc');
  const found: unknown = runInNewContext('globalThis.gc');
  setFlagsFromString('--no-expose-gc');
  // So little is alive that waking helpers takes longer than the work: 2.3 ms a look against 1.4.
  setFlagsFromString('--no-parallel-scavenge');
  return typeof found === 'function' ? (found as Collect) : () => {};
}
