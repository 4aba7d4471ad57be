/**
 * Why streamed replies were cut. HTTP can only hang up in the middle of a body, so the reason is
 * kept here for the caller to ask: `GET /v1/failures/:id` with the reply's `x-aegis-request`.
 */
import { AegisError, type ErrorBody } from '../../errors.ts';

export class Failures {
  readonly #kept: number;
  readonly #byId = new Map<string, ErrorBody>();
  #last = 0;

  constructor(kept: number) {
    this.#kept = kept;
  }

  /** A name for a reply that is about to be streamed. */
  nextId(): string {
    this.#last += 1;
    return `r${this.#last}`;
  }

  add(id: string, error: AegisError): void {
    this.#byId.set(id, error.toBody());
    const [oldest] = this.#byId.keys();
    if (this.#byId.size > this.#kept && oldest !== undefined) this.#byId.delete(oldest);
  }

  get(id: string): ErrorBody {
    const failure = this.#byId.get(id);
    if (failure !== undefined) return failure;
    throw new AegisError('NOT_FOUND', `no failure is known of the request ${JSON.stringify(id)}`);
  }
}
