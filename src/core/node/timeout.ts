import { AegisError } from '../errors.ts';

/** Like `AbortSignal.timeout`, with an error that an operator can read. */
export function timeout(ms: number): AbortSignal {
  const controller = new AbortController();
  const reason = () => controller.abort(new AegisError('TIMEOUT', `not done within ${ms} ms`));
  setTimeout(reason, ms).unref();
  return controller.signal;
}
