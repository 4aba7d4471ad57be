/**
 * The control connection that is there for ever (O9): it comes back after each end, and what hung
 * on it is restored in order: ownership, events, then services and client keys as they were
 * registered. It starts no Tor.
 */
import { assert } from '../../assert.ts';
import { AegisError, toAegisError } from '../../errors.ts';
import type { Clock, Log, Random } from '../../ports.ts';
import { instant, MINUTE, SECOND } from '../../units.ts';
import { endpointText, type TorEndpoint } from '../endpoint.ts';
import { TOR_LIMITS } from '../limits.ts';
import type { ControlAuth, ControlEvent, ControlReply } from './client.ts';
import { type CommandOptions, ControlClient } from './client.ts';
import { Events } from './events.ts';
import { Restoration } from './restoration.ts';
import { confOf, infoOf, quoted, sameConf } from './text.ts';

export type LinkState = 'connecting' | 'up' | 'down' | 'stopped';

export interface TorLinkOptions {
  readonly endpoint: TorEndpoint;
  readonly auth: ControlAuth;
  /** A Tor of our own: it ends when this connection does (O8). */
  readonly takeOwnership?: boolean;
}

export interface TorLinkDeps {
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}

const BACKOFF_FIRST_MS = 250;
const BACKOFF_MAX_MS = 30 * SECOND;
/** A question at this distance finds a Tor that hangs while nothing else is asked. */
const PULSE_MS = MINUTE;

export class TorLink {
  readonly #options: TorLinkOptions;
  readonly #deps: TorLinkDeps;
  readonly #log: Log;
  readonly #stopping = new AbortController();
  readonly #stateListeners = new Set<(state: LinkState) => void>();
  readonly #events: Events;
  readonly #restoration: Restoration;
  #state: LinkState = 'down';
  #client: ControlClient | undefined;
  #loop: Promise<void> | undefined;
  #why: AegisError | undefined;

  constructor(options: TorLinkOptions, deps: TorLinkDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#log = deps.log.child('tor');
    this.#events = new Events(this.#log);
    this.#restoration = new Restoration(this.#log);
  }

  get state(): LinkState {
    return this.#state;
  }

  /** Of the Tor that answered last; empty before one has. */
  get version(): string {
    return this.#events.version;
  }

  /** Why there is no connection, if there is none. */
  get why(): AegisError | undefined {
    return this.#client === undefined ? this.#why : undefined;
  }

  /**
   * Resolves when the link is up. It rejects when the first attempt fails, or with the reason of
   * `signal`; the link goes on trying all the same, until `stop()`.
   * @throws {AegisError} `TOR_UNREACHABLE`, `TOR_DENIED`, `TOR_TOO_OLD`.
   */
  async start(signal?: AbortSignal): Promise<void> {
    assert(this.#loop === undefined, 'a link is started once');
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = () => reject(signal!.reason as Error);
    signal?.addEventListener('abort', onAbort);
    this.#loop = this.#run((error) => (error === undefined ? resolve() : reject(error)));
    try {
      await promise;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Ends the connection; services and keys of it end with it. Resolves when nothing runs. */
  async stop(): Promise<void> {
    this.#stopping.abort(new AegisError('STOPPING', 'the link to Tor is being stopped'));
    await this.#loop;
    this.#setState('stopped');
  }

  onState(listener: (state: LinkState) => void): () => void {
    this.#stateListeners.add(listener);
    return () => void this.#stateListeners.delete(listener);
  }

  /** @throws {AegisError} `TOR_UNREACHABLE` when down, and what `ControlClient.command` throws. */
  async command(line: string, options?: CommandOptions): Promise<ControlReply> {
    if (this.#client !== undefined) return this.#client.command(line, options);
    if (this.#why !== undefined) throw this.#why;
    const place = endpointText(this.#options.endpoint);
    throw new AegisError('TOR_UNREACHABLE', `there is no connection to Tor at ${place}`);
  }

  /** @throws {AegisError} `TOR_FAILED` when one of the keys is unknown. */
  async getInfo(...keys: string[]): Promise<Record<string, string>> {
    return infoOf(await this.command(`GETINFO ${keys.join(' ')}`), keys);
  }

  /** All values of an option; none for its default. */
  async getConf(key: string): Promise<string[]> {
    return confOf(await this.command(`GETCONF ${key}`), key);
  }

  /** @throws {AegisError} `TOR_FAILED` when Tor says another value than it was given (O10). */
  async setConf(record: Readonly<Record<string, string>>): Promise<void> {
    const entries = Object.entries(record);
    const pairs = entries.map(([key, value]) => `${key}=${quoted(value)}`);
    await this.command(`SETCONF ${pairs.join(' ')}`, { secret: true });
    for (const [key, value] of entries) {
      const values = await this.getConf(key);
      if (!sameConf(values, value)) {
        throw new AegisError('TOR_FAILED', `Tor took ${key} and does not have it`);
      }
    }
  }

  /** Hears events of a type, also after each reconnection. One that Tor does not know is mute. */
  on(type: string, listener: (event: ControlEvent) => void): () => void {
    return this.#events.on(type, listener);
  }

  /**
   * Does `job` now if the link is up, and again after every reconnection, one job after the other
   * in the order of registration. A job that fails is logged, and done again the next time.
   */
  restore(name: string, job: () => Promise<void>): () => void {
    return this.#restoration.add(name, job);
  }

  async #run(first: (error?: AegisError) => void): Promise<void> {
    const { signal } = this.#stopping;
    for (let failures = 0; !signal.aborted; failures += 1) {
      this.#setState('connecting');
      try {
        const client = await this.#connect();
        const since = this.#deps.clock.now();
        await this.#hold(client, first);
        // One that ends at once, again and again, is no reason to hurry.
        if (this.#deps.clock.now() - since >= BACKOFF_MAX_MS) failures = -1;
      } catch (error) {
        this.#why = toAegisError(error);
      }
      this.#drop();
      if (signal.aborted) break;
      this.#setState('down');
      this.#tellLoss(failures);
      first(this.#why);
      await this.#pause(Math.max(failures, 0));
    }
    first(toAegisError(signal.reason));
  }

  /** O9: what hung on the connection comes back in this order. */
  async #connect(): Promise<ControlClient> {
    const { endpoint, auth, takeOwnership = false } = this.#options;
    const { signal } = this.#stopping;
    const client = await ControlClient.connect(endpoint, auth, {
      signal,
      timeoutMs: TOR_LIMITS.controlTimeoutMs,
    });
    const onStop = () => client.close();
    signal.addEventListener('abort', onStop);
    void client.closed.then(() => signal.removeEventListener('abort', onStop));
    try {
      if (takeOwnership) await client.command('TAKEOWNERSHIP');
      await this.#events.attach(client);
      this.#client = client;
      const reason = await Promise.race([this.#restoration.begin(), client.closed]);
      if (reason !== undefined) throw reason;
    } catch (error) {
      client.close();
      throw error;
    }
    return client;
  }

  /** Until the connection ends. */
  async #hold(client: ControlClient, first: () => void): Promise<void> {
    let cancel = (): void => {};
    const pulse = (): void => {
      cancel = this.#wakeIn(PULSE_MS, () => {
        // One that is not answered ends the connection by itself.
        client.command('GETINFO version').catch(() => {});
        pulse();
      });
    };
    pulse();
    this.#setState('up');
    const { version, method } = client;
    this.#log.write('info', 'connected to Tor', { version, method });
    if (method === 'none') {
      this.#log.write('warn', 'everybody on this machine can control this Tor: set a cookie', {});
    }
    first();
    this.#why = await client.closed;
    cancel();
  }

  /** Each loss, and a long absence now and then. */
  #tellLoss(failures: number): void {
    if (failures > 1 && failures % 20 !== 0) return;
    const { code, message } = this.#why ?? {};
    this.#log.write('warn', 'no connection to Tor', { code, message });
  }

  #drop(): void {
    this.#client?.close();
    this.#client = undefined;
    this.#restoration.end();
  }

  #pause(failures: number): Promise<void> {
    const { signal } = this.#stopping;
    const fullMs = Math.min(BACKOFF_FIRST_MS * 2 ** Math.min(failures, 20), BACKOFF_MAX_MS);
    const fraction = this.#deps.random.bytes(1)[0]! / 255;
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#wakeIn(Math.round(fullMs / 2 + (fullMs / 2) * fraction), resolve);
    const onAbort = () => {
      cancel();
      resolve();
    };
    signal.addEventListener('abort', onAbort);
    return promise.finally(() => signal.removeEventListener('abort', onAbort));
  }

  #wakeIn(ms: number, wake: () => void): () => void {
    const { clock } = this.#deps;
    return clock.wakeAt(instant(clock.now() + ms), wake);
  }

  #setState(state: LinkState): void {
    if (this.#state === state) return;
    this.#state = state;
    for (const listener of this.#stateListeners) {
      try {
        listener(state);
      } catch (error) {
        const { message } = error as Error;
        this.#log.write('error', 'who hears of the link has failed', { state, error: message });
      }
    }
  }
}
