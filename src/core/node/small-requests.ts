/**
 * Asks holders for small roots. A few streams to each holder are open at a time; what is wanted
 * meanwhile waits, and goes together in the next one. So a thousand small documents cost some
 * dozens of streams, and a single one is asked for at once and alone. It moves the answers to
 * whoever asked, and neither reads nor judges them.
 */
import { AegisError, toAegisError } from '../errors.ts';
import { BatchAnswers, encodeFetchBatch, fitsBatch } from '../kb/request-batch.ts';
import type { Host } from '../network/host.ts';

/** Streams to one holder. A peer has more places: those are for large roots. */
const STREAMS = 3;

interface Ask {
  readonly request: Uint8Array;
  readonly signal: AbortSignal;
  /** It was left out of the answer to a batch. */
  isAlone: boolean;
  /** Answered, failed or given up. */
  isOver: boolean;
  /** Called when it is given up. */
  gone?: () => void;
  resolve(chunks: AsyncIterable<Uint8Array>): void;
  reject(error: unknown): void;
}

interface Line {
  streams: number;
  /** The next one first. */
  waiting: Ask[];
}

export class SmallRequests {
  readonly #host: Pick<Host, 'openBulk'>;
  readonly #lines = new Map<string, Line>();

  constructor(deps: { readonly host: Pick<Host, 'openBulk'> }) {
    this.#host = deps.host;
  }

  /**
   * Resolves with the CAR that answers the request, once it begins to come. Read it to its end, or
   * leave it: until then it may hold a stream.
   * @throws {AegisError} as `Host.openBulk`, also while reading.
   */
  open(
    nodeId: string,
    request: Uint8Array,
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>> {
    const { promise, resolve, reject } = Promise.withResolvers<AsyncIterable<Uint8Array>>();
    const ask: Ask = { request, signal, isAlone: false, isOver: false, resolve, reject };
    const giveUp = (): void => {
      fail(ask, new AegisError('INTERRUPTED', 'the transfer was cancelled'));
      ask.gone?.();
    };
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp, { once: true });
    const line = this.#lines.get(nodeId) ?? { streams: 0, waiting: [] };
    this.#lines.set(nodeId, line);
    line.waiting.push(ask);
    this.#askMore(nodeId, line);
    return promise;
  }

  #askMore(nodeId: string, line: Line): void {
    while (line.streams < STREAMS) {
      const asks = takeNext(line);
      if (asks.length === 0) break;
      line.streams += 1;
      void this.#ask(nodeId, line, asks).finally(() => {
        line.streams -= 1;
        this.#askMore(nodeId, line);
      });
    }
    if (line.streams === 0 && line.waiting.length === 0) this.#lines.delete(nodeId);
  }

  /** Never rejects: whoever asked is told. */
  async #ask(nodeId: string, line: Line, asks: readonly Ask[]): Promise<void> {
    try {
      if (asks.length === 1) await this.#askOne(nodeId, asks[0]!);
      else await this.#askAll(nodeId, asks);
    } catch (error) {
      for (const ask of asks) fail(ask, error);
    }
    const left = asks.filter(({ isOver }) => !isOver);
    for (const ask of left) ask.isAlone = true;
    line.waiting.unshift(...left);
  }

  /** Until the stream has ended. */
  async #askOne(nodeId: string, ask: Ask): Promise<void> {
    const { request, signal } = ask;
    const chunks = await this.#host.openBulk(nodeId, request, { signal });
    const read = Promise.withResolvers<void>();
    answer(ask, whole(chunks, read.resolve));
    await read.promise;
  }

  async #askAll(nodeId: string, asks: readonly Ask[]): Promise<void> {
    const controller = new AbortController();
    const { signal } = controller;
    for (const ask of asks) {
      ask.gone = () => {
        if (asks.every(({ isOver }) => isOver)) controller.abort();
      };
    }
    const request = encodeFetchBatch(asks.map((ask) => ask.request));
    const answers = new BatchAnswers(asks.length);
    let at = 0;
    for await (const chunk of await this.#host.openBulk(nodeId, request, { signal })) {
      for (const frame of answers.push(chunk)) {
        answer(asks[at]!, once(frame));
        at += 1;
      }
    }
    answers.end();
  }
}

/** The front of the line: one alone, or as many as may go together. */
function takeNext(line: Line): Ask[] {
  line.waiting = line.waiting.filter(({ isOver }) => !isOver);
  const [first] = line.waiting;
  if (first?.isAlone === true) return line.waiting.splice(0, 1);
  let count = 0;
  let bytes = 0;
  for (const { request, isAlone } of line.waiting) {
    if (isAlone || (count > 0 && !fitsBatch(count, bytes, request))) break;
    count += 1;
    bytes += request.length;
  }
  return line.waiting.splice(0, count);
}

function answer(ask: Ask, chunks: AsyncIterable<Uint8Array>): void {
  if (ask.isOver) return;
  ask.isOver = true;
  ask.resolve(chunks);
}

function fail(ask: Ask, error: unknown): void {
  if (ask.isOver) return;
  ask.isOver = true;
  ask.reject(toAegisError(error));
}

async function* once(chunk: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield chunk;
}

async function* whole(
  chunks: AsyncIterable<Uint8Array>,
  ended: () => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* chunks;
  } finally {
    ended();
  }
}
