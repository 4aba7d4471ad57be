/**
 * The onion services of this node: that of its current onion key, and those of keys before it for
 * as long as their grace lasts (O18). All hand on to one socket. It does not know what a member is:
 * whoever owns it says which keys find a service.
 */
import type { Socket } from 'node:net';
import { sameBytes } from '../../bytes.ts';
import { ONION_PORT, type OnionKey } from '../../crypto/onion.ts';
import { Turns } from '../../turns.ts';
import { instant } from '../../units.ts';
import type { PowOptions } from '../control/commands.ts';
import type { TorEndpoint } from '../endpoint.ts';
import {
  clientsWithin,
  type OnionClients,
  type OnionDeps,
  OnionService,
  type OnionStatus,
} from './service.ts';
import { TargetSocket } from './target.ts';

export interface OnionServicesOptions {
  /** A path, or an address on loopback; port 0 takes any. */
  readonly target: TorEndpoint;
  /** @default 4001 */
  readonly port?: number;
  /** Sockets from Tor at the same time; more are ended at once. */
  readonly socketsMax: number;
  readonly pow?: PowOptions;
}

export interface OnionServicesDeps extends OnionDeps {
  /** Who can find the service of that key now (O13, O14, O16). */
  clientsOf(key: OnionKey): OnionClients;
}

export interface ServiceStatus extends OnionStatus {
  readonly isCurrent: boolean;
  /** O18: when one of before ends, in milliseconds since 1970. */
  readonly until?: number;
}

interface Kept {
  readonly key: OnionKey;
  readonly service: OnionService;
  until?: number;
  /** Forgets the listener and the end of its grace. */
  readonly undo: (() => void)[];
}

export class OnionServices {
  readonly #options: OnionServicesOptions;
  readonly #deps: OnionServicesDeps;
  readonly #target: TargetSocket;
  readonly #listeners = new Set<() => void>();
  readonly #turns = new Turns();
  readonly #kept = new Set<Kept>();
  #current: Kept | undefined;

  constructor(options: OnionServicesOptions, deps: OnionServicesDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#target = new TargetSocket(options);
  }

  /** Opens the target. @throws {AegisError} `PORT_IN_USE`, `BAD_CONFIG`, `DENIED`. */
  open(): Promise<void> {
    return this.#target.open();
  }

  /** Where Tor hands on what comes in, once it is open. */
  get target(): TorEndpoint {
    return this.#target.endpoint;
  }

  /**
   * Makes the service of that key the current one, and resolves as `OnionService.publish` does.
   * @param key is copied: the caller may wipe it.
   * @param options.graceMs how long that of before stays; 0: it ends at once. @default 0
   * @throws {AegisError} `ONION_CLIENTS_FULL`: the current one stays.
   */
  async use(key: OnionKey, { graceMs = 0 }: { readonly graceMs?: number } = {}): Promise<void> {
    const turn = await this.#withCopy(key, async (copy) => {
      const before = this.#current;
      if (before !== undefined && isOf(before, key.publicKey)) return {};
      await this.#dropKey(key.publicKey);
      const clients = clientsWithin(this.#deps.clientsOf(copy));
      this.#current = this.#add(copy);
      const published = this.#current.service.publish(clients);
      if (before !== undefined && graceMs > 0) this.#endAfter(before, graceMs);
      else if (before !== undefined) await this.#drop(before);
      return { published };
    });
    await turn.published;
  }

  /**
   * Publishes the service of a key of before as well, e.g. after a restart within its grace.
   * @param key is copied: the caller may wipe it.
   * @throws {AegisError} `ONION_CLIENTS_FULL`.
   */
  async keep(key: OnionKey, { graceMs }: { readonly graceMs: number }): Promise<void> {
    const turn = await this.#withCopy(key, async (copy) => {
      if ([...this.#kept].some((one) => isOf(one, key.publicKey))) return {};
      const clients = clientsWithin(this.#deps.clientsOf(copy));
      const kept = this.#add(copy);
      this.#endAfter(kept, graceMs);
      return { published: kept.service.publish(clients) };
    });
    await turn.published;
  }

  /**
   * Makes all anew for the clients of now. @param options.cut ends every stream of before (O17).
   * @throws {AegisError} `ONION_CLIENTS_FULL`.
   */
  async renew(options: { readonly cut: boolean }): Promise<void> {
    const renewed = [...this.#kept].map(async ({ key, service }) =>
      service.renew(this.#deps.clientsOf(key), options),
    );
    await Promise.all(renewed);
  }

  /** Ends the service of a key at once: it is compromised (O18). */
  end(publicKey: Uint8Array): Promise<void> {
    return this.#turns.run(() => this.#dropKey(publicKey));
  }

  get current(): OnionStatus | undefined {
    return this.#current?.service.status;
  }

  /** The current one first. */
  list(): readonly ServiceStatus[] {
    const statusOf = (kept: Kept): ServiceStatus => ({
      ...kept.service.status,
      isCurrent: kept === this.#current,
      ...(kept.until === undefined ? {} : { until: kept.until }),
    });
    const all = [...this.#kept].map(statusOf);
    return all.toSorted((a, b) => Number(b.isCurrent) - Number(a.isCurrent));
  }

  /** Called when the status of one has changed, or which there are. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Hands sockets that come in from Tor to `take`; where nobody takes them they are ended. */
  serve(take: (socket: Socket) => void): () => void {
    return this.#target.serve(take);
  }

  /** Ends services, target and what came in. */
  async close(): Promise<void> {
    await this.#turns.run(async () => {
      await Promise.all([...this.#kept].map((kept) => this.#drop(kept)));
    });
    await this.#target.close();
  }

  /**
   * One after the other; a copy that no service has taken is wiped. That a service is published is
   * waited for outside of the turn: a Tor without a network would keep all from ending.
   */
  #withCopy(
    key: OnionKey,
    work: (copy: OnionKey) => Promise<{ readonly published?: Promise<void> }>,
  ): Promise<{ readonly published?: Promise<void> }> {
    const copy = { ...key, expandedSecret: Uint8Array.from(key.expandedSecret) };
    return this.#turns.run(async () => {
      try {
        return await work(copy);
      } finally {
        if (![...this.#kept].some((one) => one.key === copy)) copy.expandedSecret.fill(0);
      }
    });
  }

  #add(key: OnionKey): Kept {
    const { port = ONION_PORT, pow } = this.#options;
    const { target } = this;
    const service = new OnionService(
      { key, port, target, ...(pow === undefined ? {} : { pow }) },
      this.#deps,
    );
    const kept: Kept = { key, service, undo: [service.onChange(() => this.#tell())] };
    this.#kept.add(kept);
    return kept;
  }

  #endAfter(kept: Kept, graceMs: number): void {
    const { clock } = this.#deps;
    kept.until = clock.now() + graceMs;
    kept.undo.push(
      clock.wakeAt(instant(kept.until), () => {
        void this.#turns.run(() => this.#drop(kept));
      }),
    );
  }

  async #dropKey(publicKey: Uint8Array): Promise<void> {
    const kept = [...this.#kept].find((one) => isOf(one, publicKey));
    if (kept !== undefined) await this.#drop(kept);
  }

  async #drop(kept: Kept): Promise<void> {
    if (!this.#kept.delete(kept)) return;
    if (this.#current === kept) this.#current = undefined;
    for (const undo of kept.undo) undo();
    await kept.service.close();
    kept.key.expandedSecret.fill(0);
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

const isOf = ({ key }: Kept, publicKey: Uint8Array): boolean => sameBytes(key.publicKey, publicKey);
