/**
 * The main thread's end of the conversation with one storage worker. Questions get answers; a
 * worker that dies, or cannot say whether a write is durable, takes the process with it. The link
 * keeps the process alive only while an answer is awaited.
 */
import { Worker } from 'node:worker_threads';
import { AegisError } from '../errors.ts';
import type { Log } from '../ports.ts';
import {
  type Answer,
  type Failure,
  READY_ID,
  type WorkerKind,
  type WorkerStart,
} from './protocol.ts';

export interface StoreDependencies {
  readonly log: Log;
  /**
   * The store cannot go on: what is on disk is unknown. Must end the process.
   * @default throws outside of any caller, which does.
   */
  readonly fatal?: (error: AegisError) => void;
}

interface Pending {
  readonly resolve: (value: never) => void;
  readonly reject: (error: AegisError) => void;
}

type Question<O, K extends keyof O> = O[K] extends { args: infer A } ? A : never;
type Reply<O, K extends keyof O> = O[K] extends { result: infer R } ? R : never;

/** Sources run as they are; the bundler puts this file in `dist/chunks` and the worker above it. */
const entry = (): URL =>
  new URL(
    import.meta.url.endsWith('.ts') ? './worker.ts' : '../storage-worker.js',
    import.meta.url,
  );

export class Link<O> {
  readonly #worker: Worker;
  readonly #path: string;
  readonly #deps: StoreDependencies;
  readonly #pending = new Map<number, Pending>();
  #lastId = READY_ID;
  #failed: AegisError | undefined;
  #closed = false;

  private constructor(start: WorkerStart, dependencies: StoreDependencies) {
    this.#path = start.path;
    this.#deps = dependencies;
    this.#worker = new Worker(entry(), { workerData: start, name: `aegis-${start.kind}` });
    this.#worker.on('message', (answer: Answer) => this.#take(answer));
    this.#worker.on('error', (error) => this.#die(error));
    this.#worker.on('exit', () => this.#die(undefined));
  }

  /** @throws {AegisError} as `openDatabase`. */
  static async open<O>(
    kind: WorkerKind,
    path: string,
    dependencies: StoreDependencies,
    options: WorkerStart['options'] = {},
  ): Promise<Link<O>> {
    const link = new Link<O>({ kind, path, options }, dependencies);
    const ready = new Promise<void>((resolve, reject) => {
      link.#pending.set(READY_ID, { resolve, reject });
    });
    await ready;
    return link;
  }

  /** @param transfer memory that moves to the worker; the caller's arrays over it become empty. */
  call<K extends keyof O & string>(
    operation: K,
    args: Question<O, K>,
    transfer: ArrayBuffer[] = [],
  ): Promise<Reply<O, K>> {
    if (this.#failed !== undefined) return Promise.reject(this.#failed);
    if (this.#closed) return Promise.reject(closed(this.#path));
    this.#lastId += 1;
    const id = this.#lastId;
    if (this.#pending.size === 0) this.#worker.ref();
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#worker.postMessage({ id, operation, args }, transfer);
    });
  }

  /** Waits for what was asked before, and for the worker's end. */
  async close(): Promise<void> {
    if (this.#closed || this.#failed !== undefined) return;
    const answered = this.call('close' as keyof O & string, undefined as never);
    this.#closed = true;
    const ended = new Promise<void>((resolve) => this.#worker.once('exit', () => resolve()));
    await answered;
    this.#worker.ref();
    await ended;
  }

  #take(answer: Answer): void {
    const pending = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    if (this.#pending.size === 0) this.#worker.unref();
    if ('value' in answer) {
      pending?.resolve(answer.value as never);
      return;
    }
    const error = restore(answer.failure);
    pending?.reject(error);
    // A worker that could not open its file has nothing to lose; it says so and ends.
    if (answer.id === READY_ID && pending !== undefined) this.#closed = true;
    else if (answer.fatal || pending === undefined) this.#fail(error);
  }

  #die(cause: Error | undefined): void {
    if (this.#closed && this.#pending.size === 0) return;
    const reason = cause === undefined ? 'it ended without a word' : cause.message;
    const message = `the storage worker of ${this.#path} died: ${reason}`;
    this.#fail(new AegisError('BUG', message, { cause }));
  }

  #fail(error: AegisError): void {
    if (this.#failed !== undefined) return;
    this.#failed = error;
    this.#deps.log.write('error', error.message, { path: this.#path });
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
    const fatal = this.#deps.fatal ?? crash;
    fatal(error);
  }
}

const closed = (path: string): AegisError =>
  new AegisError('STOPPING', `the store ${path} is closed`);

const restore = ({ code, message, hint, details }: Failure): AegisError =>
  new AegisError(code, message, hint === undefined ? { details } : { hint, details });

function crash(error: AegisError): void {
  process.nextTick(() => {
    throw error;
  });
}
