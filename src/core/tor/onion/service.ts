/**
 * One onion service of this node at the Tor that it uses (O12, O13, O15, O17). It does not accept
 * connections, and does not know who the clients are: it is told their keys.
 */
import type { OnionKey } from '../../crypto/onion.ts';
import type { Clock, Log } from '../../ports.ts';
import type { TorLink } from '../control/link.ts';
import type { TorEndpoint } from '../endpoint.ts';

/** Proof-of-work defence of Tor (O20); the numbers are introductions a second. */
export interface PowOptions {
  readonly queueRate?: number;
  readonly queueBurst?: number;
}

/** X25519 public keys of those who can find the service, or everybody. */
export type OnionClients = readonly Uint8Array[] | 'open';

export interface OnionStatus {
  /** 56 characters and `.onion`. */
  readonly address: string;
  readonly state: 'down' | 'publishing' | 'published' | 'failed';
  /** When the descriptor of now was first uploaded. */
  readonly publishedAt?: number;
  /** Directories that have taken it. */
  readonly uploads: number;
  readonly clients: number | 'open';
  /** Why it is down or has failed. */
  readonly why?: string;
}

export interface OnionServiceOptions {
  readonly key: OnionKey;
  readonly port: number;
  /** Where Tor hands on what comes in. */
  readonly target: TorEndpoint;
  readonly pow?: PowOptions;
}

export interface OnionDeps {
  readonly link: TorLink;
  readonly log: Log;
  readonly clock: Clock;
}

/** A descriptor has room for about 290 (O15). */
export const ONION_CLIENTS_MAX = 256;

export class OnionService {
  constructor(options: OnionServiceOptions, deps: OnionDeps) {
    void options;
    void deps;
  }

  get status(): OnionStatus {
    throw new Error('not built yet');
  }

  onChange(listener: () => void): () => void {
    void listener;
    throw new Error('not built yet');
  }

  /**
   * Resolves when the first directory has the descriptor, when Tor is down (it is published when it
   * comes back), or after a bounded wait; `status` says which.
   * @throws {AegisError} `ONION_CLIENTS_FULL`, `TOR_FAILED`.
   */
  async publish(clients: OnionClients): Promise<void> {
    void clients;
  }

  /** Makes it anew for these clients. @param options.cut ends every stream of before (O17). */
  async renew(clients: OnionClients, options: { readonly cut: boolean }): Promise<void> {
    void clients;
    void options;
  }

  async close(): Promise<void> {}
}
