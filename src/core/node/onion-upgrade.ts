/**
 * In `prefer` a peer may have been reached directly while Tor, or its onion service, was not there
 * yet. It is dialled at its onion address then, and the host keeps that connection (docs/tor.md,
 * O4).
 */
import { onionMultiaddr } from '../crypto/onion.ts';
import { toAegisError } from '../errors.ts';
import type { Host } from '../network/host.ts';
import type { Clock, Log } from '../ports.ts';
import { type Instant, MINUTE, SECOND } from '../units.ts';
import type { Introductions } from './introductions.ts';

export interface OnionUpgradeDeps {
  readonly host: Pick<Host, 'peers' | 'redial' | 'onPeer'>;
  readonly introductions: Pick<Introductions, 'onionKeysOf'>;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether the route prefers onion services, and Tor is ready. */
  isWanted(): boolean;
}

/** Whoever came directly may be about to dial the onion itself. */
const FIRST_MS = 2 * SECOND;
const PAUSE_MS = 15 * SECOND;
const PAUSE_MS_MAX = 10 * MINUTE;

export class OnionUpgrade {
  readonly #deps: OnionUpgradeDeps;
  #cancel: (() => void) | undefined;
  #unsubscribe: (() => void) | undefined;
  #isRunning = false;
  #pauseMs = PAUSE_MS;

  constructor(deps: OnionUpgradeDeps) {
    this.#deps = deps;
  }

  start(): void {
    const { host } = this.#deps;
    this.#unsubscribe = host.onPeer(({ type }) => {
      if (type === 'up') this.soon();
    });
  }

  stop(): void {
    this.#unsubscribe?.();
    this.#cancel?.();
  }

  /** Something may have become reachable. */
  soon(): void {
    this.#pauseMs = PAUSE_MS;
    this.#arm(FIRST_MS);
  }

  #arm(waitMs: number): void {
    const { clock } = this.#deps;
    this.#cancel?.();
    this.#cancel = clock.wakeAt((clock.now() + waitMs) as Instant, () => void this.#look());
  }

  async #look(): Promise<void> {
    const { isWanted } = this.#deps;
    if (this.#isRunning || !isWanted()) return;
    this.#isRunning = true;
    for (const nodeId of this.#direct()) await this.#dial(nodeId);
    this.#isRunning = false;
    if (!isWanted() || this.#direct().length === 0) return;
    this.#arm(this.#pauseMs);
    this.#pauseMs = Math.min(this.#pauseMs * 2, PAUSE_MS_MAX);
  }

  #direct(): readonly string[] {
    const direct = this.#deps.host.peers().filter((peer) => peer.class === 'direct');
    return direct.map(({ nodeId }) => nodeId);
  }

  async #dial(nodeId: string): Promise<void> {
    const { host, introductions, isWanted, log } = this.#deps;
    const [key] = introductions.onionKeysOf(nodeId);
    if (key === undefined || !isWanted() || !this.#direct().includes(nodeId)) return;
    try {
      await host.redial(onionMultiaddr(key));
    } catch (error) {
      const { code } = toAegisError(error);
      log.write('debug', 'a peer stays direct: its onion service was not reached', {
        nodeId,
        code,
      });
    }
  }
}
