/** One authenticated control connection. (Being filled.) */
import type { AegisError } from '../../errors.ts';
import type { TorEndpoint } from '../endpoint.ts';

export interface ControlAuth {
  readonly cookieFile?: string;
  readonly password?: () => Promise<string> | string;
}
export interface ControlLine {
  readonly code: number;
  readonly text: string;
  readonly data?: string;
}
export interface ControlReply {
  readonly lines: readonly ControlLine[];
}
export interface ControlEvent {
  readonly type: string;
  readonly text: string;
  readonly lines: readonly ControlLine[];
}
export interface CommandOptions {
  readonly data?: string;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  /** The command carries a key: no word of it or of the answer to it goes into an error. */
  readonly secret?: boolean;
}

export class ControlClient {
  readonly version = '';
  readonly closed: Promise<AegisError> = new Promise(() => {});

  static connect(
    _endpoint: TorEndpoint,
    _auth: ControlAuth,
    _options: { readonly signal?: AbortSignal; readonly timeoutMs: number },
  ): Promise<ControlClient> {
    throw new Error('not yet');
  }

  /** @throws {AegisError} `TOR_FAILED` with `details.status` (e.g. 550) when Tor refuses. */
  command(_line: string, _options: CommandOptions = {}): Promise<ControlReply> {
    throw new Error('not yet');
  }

  onEvent(_listener: (event: ControlEvent) => void): () => void {
    throw new Error('not yet');
  }

  close(): void {
    throw new Error('not yet');
  }
}
