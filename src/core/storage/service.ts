/**
 * The worker's end of the conversation: takes questions, asks the handlers, answers. Buffers of an
 * answer move to the main thread without a copy. Knows nothing of databases but their errors.
 */
import type { MessagePort } from 'node:worker_threads';
import { assert } from '../assert.ts';
import { AegisError } from '../errors.ts';
import { markSuspect } from './database.ts';
import { type Answer, type Operations, type Question, READY_ID } from './protocol.ts';
import { explainSqlite, isFatal, kindOf } from './sqlite-errors.ts';

export type Handlers<O> = {
  readonly [K in keyof O]: O[K] extends { args: infer A; result: infer R }
    ? (args: A) => R | Promise<R>
    : never;
};

export interface Service<O> {
  readonly handlers: Handlers<O>;
  /** Called once, after the last answer. */
  close(): void;
}

type AnyHandler = (args: unknown) => unknown;

/** Serves until the operation `close` has been answered. */
export function serve<O extends { close: Operations[string] }>(
  port: MessagePort,
  path: string,
  open: (fatal: (error: unknown) => void) => Service<O>,
): void {
  const fail = (id: number, error: unknown): void => port.postMessage(failure(id, error, path));
  let service: Service<O>;
  // What nobody asked for can only be said as the worker's own failure, and that ends the process.
  const fatal = (error: unknown): void => fail(READY_ID, error);
  try {
    service = open(fatal);
  } catch (error) {
    fail(READY_ID, error);
    port.close();
    return;
  }
  const answer = async ({ id, operation, args }: Question): Promise<void> => {
    try {
      const handler = service.handlers[operation as keyof O] as AnyHandler | undefined;
      assert(handler !== undefined, `storage worker has no operation ${operation}`);
      const value = await handler(args);
      if (operation === 'close') service.close();
      port.postMessage({ id, value } satisfies Answer, transfers(value));
    } catch (error) {
      // Found while in use: the next open looks at the whole file, and sets it aside if need be.
      if (kindOf(error) === 'damaged') markSuspect(path);
      fail(id, error);
    }
    if (operation === 'close') port.close();
  };
  port.on('message', (question: Question) => void answer(question));
  port.postMessage({ id: READY_ID, value: undefined } satisfies Answer);
}

function failure(id: number, error: unknown, path: string): Answer {
  const fatal = isFatal(error, path);
  const explained = error instanceof AegisError ? error : explainSqlite(error, path);
  return { id, fatal, failure: { ...explained.toBody(), details: explained.details } };
}

/** The memory of arrays that own theirs. */
function transfers(value: unknown): ArrayBuffer[] {
  const arrays = Array.isArray(value) ? value : [value];
  const buffers = new Set<ArrayBuffer>();
  for (const array of arrays) if (ownsBuffer(array)) buffers.add(array.buffer);
  return [...buffers];
}

export const ownsBuffer = (value: unknown): value is Uint8Array<ArrayBuffer> =>
  value instanceof Uint8Array &&
  value.buffer instanceof ArrayBuffer &&
  value.byteLength === value.buffer.byteLength &&
  value.byteLength > 0;
