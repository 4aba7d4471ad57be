/**
 * Jobs that are done anew on each connection, one after the other, in the order of registration.
 * A job that fails keeps nothing from the next. It knows no connection.
 */
import { AegisError, toAegisError } from '../../errors.ts';
import type { Log } from '../../ports.ts';
import { Turns } from '../../turns.ts';
import { TOR_LIMITS } from '../limits.ts';

interface Job {
  readonly name: string;
  readonly work: () => Promise<void>;
  isOver: boolean;
}

export class Restoration {
  readonly #log: Log;
  readonly #timeoutMs: number;
  readonly #jobs: Job[] = [];
  readonly #turns = new Turns();
  /** Counts connections; a job of one that is gone is not begun any more. */
  #epoch = 0;
  #isOpen = false;

  constructor(log: Log, timeoutMs: number = TOR_LIMITS.restoreTimeoutMs) {
    this.#log = log;
    this.#timeoutMs = timeoutMs;
  }

  add(name: string, work: () => Promise<void>): () => void {
    const job: Job = { name, work, isOver: false };
    this.#jobs.push(job);
    if (this.#isOpen) void this.#queue(job);
    return () => {
      job.isOver = true;
      const at = this.#jobs.indexOf(job);
      if (at >= 0) this.#jobs.splice(at, 1);
    };
  }

  /** Resolves when all jobs that there are now have had their turn. */
  async begin(): Promise<void> {
    this.#epoch += 1;
    this.#isOpen = true;
    await Promise.all(this.#jobs.map((job) => this.#queue(job)));
  }

  end(): void {
    this.#epoch += 1;
    this.#isOpen = false;
  }

  #queue(job: Job): Promise<void> {
    const epoch = this.#epoch;
    return this.#turns.run(async () => {
      if (job.isOver || epoch !== this.#epoch) return;
      try {
        await within(job.work(), this.#timeoutMs);
      } catch (error) {
        const { code, message } = toAegisError(error);
        this.#log.write('warn', 'not restored at Tor', { job: job.name, code, message });
      }
    });
  }
}

async function within(work: Promise<void>, timeoutMs: number): Promise<void> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const error = new AegisError('TIMEOUT', `it takes longer than ${timeoutMs} ms`);
  const timer = setTimeout(() => reject(error), timeoutMs);
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
