/**
 * Stops reading a stream for reasons that overlap: it is read again when none is left. What the
 * other side sends meanwhile waits at the other side, once its window is used up.
 */
import type { MessageStream } from '@libp2p/interface';
import type { Clock } from '../ports.ts';
import { instant } from '../units.ts';

/** Streams and connections of libp2p; its interface leaves out how reading stands. */
type Readable = MessageStream & { readonly readStatus?: string };

export class Brake {
  readonly #stream: Readable;
  readonly #clock: Clock;
  readonly #reasons = new Set<string>();
  #until = 0;
  #cancel: (() => void) | undefined;

  constructor(stream: MessageStream, deps: { clock: Clock }) {
    this.#stream = stream;
    this.#clock = deps.clock;
    // A long rest must not hold up the end of the process.
    stream.addEventListener('close', () => this.#cancel?.(), { once: true });
  }

  has(reason: string): boolean {
    return this.#reasons.has(reason);
  }

  hold(reason: string): void {
    this.#reasons.add(reason);
    if (this.#stream.readStatus === 'readable') this.#stream.pause();
  }

  release(reason: string): void {
    this.#reasons.delete(reason);
    if (this.#reasons.size === 0 && this.#stream.readStatus === 'paused') this.#stream.resume();
  }

  /** Holds for so long from now; a longer hold of before goes on. */
  rest(waitMs: number): void {
    const until = this.#clock.now() + waitMs;
    if (until <= this.#until || this.#stream.status !== 'open') return;
    this.#until = until;
    const isWaiting = this.#reasons.has('rest');
    this.hold('rest');
    if (!isWaiting) this.#wake();
  }

  #wake(): void {
    this.#cancel = this.#clock.wakeAt(instant(this.#until), () => {
      if (this.#clock.now() < this.#until) this.#wake();
      else this.release('rest');
    });
  }
}
