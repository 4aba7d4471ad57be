/**
 * After a change of the network key (docs/keys.md, H5): dials every peer anew that is connected by
 * the key of before, again and again until a connection with the new key has replaced the old one.
 * A peer that this node cannot dial is asked, over the old connection, to dial this one. It ends no
 * connection: the peer table does, once there is a better one.
 */
import { type AegisError, toAegisError } from '../errors.ts';
import type { Clock, Log } from '../ports.ts';
import { instant, SECOND } from '../units.ts';

export interface RedialerDeps {
  readonly log: Log;
  readonly clock: Clock;
  /** Peers that only have a connection with the key of before. */
  unreplaced(): readonly string[];
  /** Where a peer may be found, the likeliest address first. */
  addressesOf(nodeId: string): readonly string[];
  /** @returns the node that answers. */
  redial(address: string): Promise<string>;
  /** Asks a peer to dial this node again. */
  ask(nodeId: string): Promise<unknown>;
}

/** Peers dialled at once. */
const AT_ONCE_MAX = 8;
const PAUSE_MS_MIN = 250;
const PAUSE_MS_MAX = 10 * SECOND;
const ADDRESSES_MAX = 16;
/** A peer that asks to be dialled again is heard this often. */
const ASKED_PAUSE_MS = SECOND;

interface Attempt {
  running: boolean;
  count: number;
  notBefore: number;
}

export class Redialer {
  readonly #deps: RedialerDeps;
  readonly #attempts = new Map<string, Attempt>();
  readonly #asked = new Map<string, number>();
  #cancel: (() => void) | undefined;
  #stopped = false;

  constructor(deps: RedialerDeps) {
    this.#deps = deps;
  }

  /** Begins, or begins again after another change. */
  start(): void {
    this.#attempts.clear();
    this.#look();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  /**
   * A peer asks this node to dial it again, because it has another key and cannot dial this one.
   * @param dialled where this node has dialled it.
   */
  async asked(nodeId: string, dialled: readonly string[]): Promise<void> {
    const now = this.#deps.clock.now();
    if (now < (this.#asked.get(nodeId) ?? 0)) return;
    this.#asked.set(nodeId, now + ASKED_PAUSE_MS);
    await this.#tryEach(nodeId, dialled);
  }

  #look(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#stopped) return;
    const { clock, unreplaced } = this.#deps;
    const waiting = unreplaced();
    if (waiting.length === 0) return;
    const now = clock.now();
    let running = [...this.#attempts.values()].filter((attempt) => attempt.running).length;
    for (const nodeId of waiting) {
      const attempt = this.#attempts.get(nodeId) ?? { running: false, count: 0, notBefore: 0 };
      if (attempt.running || attempt.notBefore > now || running >= AT_ONCE_MAX) continue;
      this.#attempts.set(nodeId, attempt);
      running += 1;
      void this.#attempt(nodeId, attempt);
    }
    this.#cancel = clock.wakeAt(instant(now + PAUSE_MS_MIN), () => this.#look());
  }

  async #attempt(nodeId: string, attempt: Attempt): Promise<void> {
    const { clock, log, addressesOf, ask } = this.#deps;
    attempt.running = true;
    attempt.count += 1;
    const reached = await this.#tryEach(nodeId, addressesOf(nodeId));
    if (!reached && !this.#stopped) {
      await ask(nodeId).catch((error: unknown) => {
        const { code } = toAegisError(error);
        log.write('debug', 'a peer could not be asked to dial again', { nodeId, code });
      });
    }
    const pause = Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** Math.min(attempt.count, 10));
    attempt.notBefore = clock.now() + pause;
    attempt.running = false;
    if (attempt.count === 1) this.#look();
  }

  async #tryEach(nodeId: string, addresses: readonly string[]): Promise<boolean> {
    const { log, redial } = this.#deps;
    for (const address of [...new Set(addresses)].slice(0, ADDRESSES_MAX)) {
      if (this.#stopped) return false;
      try {
        if ((await redial(address)) === nodeId) return true;
      } catch (error) {
        const { code, message }: AegisError = toAegisError(error);
        log.write('debug', 'a peer was not dialled again', { address, code, reason: message });
      }
    }
    return false;
  }
}
