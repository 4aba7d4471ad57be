/** How far Tor is. (Being filled.) */
import type { AegisError } from '../../errors.ts';
import type { Clock } from '../../ports.ts';
import type { TorLink } from './link.ts';

export interface BootstrapStatus {
  readonly percent: number;
  readonly tag: string;
  readonly summary: string;
  readonly warning?: string;
  readonly reason?: string;
  /** Circuits can be built. */
  readonly isReady: boolean;
  readonly startedAt: number;
  readonly leftMs?: number;
}

export class Bootstrap {
  constructor(_deps: { readonly clock: Clock }) {}

  get status(): BootstrapStatus {
    throw new Error('not yet');
  }

  onChange(_listener: (status: BootstrapStatus) => void): () => void {
    throw new Error('not yet');
  }

  /** Follows the link; returns what ends that. */
  start(_link: TorLink): () => void {
    throw new Error('not yet');
  }

  /** `TOR_NOT_READY` with percent and cause. */
  notReady(): AegisError {
    throw new Error('not yet');
  }
}
