/**
 * One onion service of this node at the Tor that it uses (O12, O13, O15, O17). It does not accept
 * connections, and does not know who the clients are: it is told their keys.
 *
 * The service hangs on the control connection (no `Detach`): it ends when this process does, and is
 * made again whenever that connection is restored (O9).
 */
import { assert } from '../../assert.ts';
import { base32 } from '../../crypto/base32.ts';
import { sha256 } from '../../crypto/hash.ts';
import type { OnionKey } from '../../crypto/onion.ts';
import { AegisError, toAegisError } from '../../errors.ts';
import type { Clock, Log } from '../../ports.ts';
import { Turns } from '../../turns.ts';
import { instant } from '../../units.ts';
import type { ControlEvent } from '../control/client.ts';
import { addOnion, delOnion, type PowOptions } from '../control/commands.ts';
import type { TorLink } from '../control/link.ts';
import { endpointText, type TorEndpoint } from '../endpoint.ts';
import { TOR_LIMITS } from '../limits.ts';
import { cutCircuits } from './cut.ts';

/** X25519 public keys of those who can find the service, or everybody. */
export type OnionClients = readonly Uint8Array[] | 'open';

export interface OnionStatus {
  /** 56 characters and `.onion`. */
  readonly address: string;
  readonly port: number;
  /** `failed`: Tor refuses it, or no directory has taken it yet; it is tried again. */
  readonly state: 'down' | 'publishing' | 'published' | 'failed';
  /** When the first directory took the descriptor of now, in milliseconds since 1970. */
  readonly publishedAt?: number;
  /** Directories that have taken it since it was made. */
  readonly uploads: number;
  readonly clients: number | 'open';
  /** Why it is down or has failed, a sentence without a full stop. */
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
  readonly link: Pick<TorLink, 'command' | 'getInfo' | 'on' | 'onState' | 'restore' | 'state'>;
  readonly log: Log;
  readonly clock: Clock;
}

/** Status of Tor's reply. */
const COLLISION = 550;

export class OnionService {
  readonly #options: OnionServiceOptions;
  readonly #deps: OnionDeps;
  readonly #name: string;
  readonly #turns = new Turns();
  readonly #listeners = new Set<() => void>();
  readonly #undo: (() => void)[] = [];
  #clients: OnionClients = [];
  #status: OnionStatus;
  /** Directories that have the descriptor of now. */
  #uploaded = new Set<string>();
  /** A cut that Tor has not done yet: it outlives a control connection (O17). */
  #mustCut = false;
  #isClosed = false;
  #cancelRetry: () => void = () => undefined;

  constructor(options: OnionServiceOptions, deps: OnionDeps) {
    this.#options = options;
    this.#deps = deps;
    const { address } = options.key;
    this.#name = address.replace(/\.onion$/, '');
    this.#status = { address, port: options.port, state: 'publishing', uploads: 0, clients: 0 };
  }

  get status(): OnionStatus {
    if (this.#deps.link.state === 'up' || this.#isClosed) return this.#status;
    return { ...this.#status, state: 'down', why: 'Tor cannot be reached' };
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Resolves when the first directory has the descriptor; when Tor is down (it is published when it
   * is back, O3); when Tor or a directory refuses it (it is tried again); or after a bounded wait.
   * `status` says which.
   * @throws {AegisError} `ONION_CLIENTS_FULL`.
   */
  async publish(clients: OnionClients): Promise<void> {
    assert(this.#undo.length === 0, 'a service is published once, then renewed');
    this.#clients = clientsWithin(clients);
    const { link } = this.#deps;
    const name = `onion service ${this.#name.slice(0, 8)}`;
    this.#undo.push(
      link.onState((state) => {
        if (state === 'up') this.#tell();
        else this.#set({ state: 'publishing', uploads: 0 });
      }),
      link.on('HS_DESC', (event) => this.#onDescriptor(event)),
      link.restore(name, () => this.#remake()),
    );
    await this.#settled();
  }

  /**
   * Makes it anew for these clients. Those who have found the service before stay connected, and
   * can open more on the same circuit, unless they are cut: then every stream of before ends (O17).
   * Resolves as `publish` does; a cut is done by then, or done before the service is up again.
   * @throws {AegisError} `ONION_CLIENTS_FULL`: it stays as it was; with a cut, for those of before
   * that may still come.
   */
  async renew(clients: OnionClients, { cut }: { readonly cut: boolean }): Promise<void> {
    const before = this.#clients;
    const isFull = isTooMany(clients);
    if (isFull && !cut) clientsWithin(clients);
    // O17 does not wait for room (O15).
    this.#clients = isFull ? stillAmong(before, clients) : clients;
    this.#mustCut ||= cut;
    await this.#remake();
    await this.#settled();
    if (isFull) clientsWithin(clients);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelRetry();
    for (const undo of this.#undo.splice(0)) undo();
    await this.#turns.run(() => delOnion(this.#deps.link, this.#name)).catch(() => undefined);
    this.#set({ state: 'down', uploads: 0, why: 'it has ended' });
  }

  async #remake(): Promise<void> {
    try {
      await this.#turns.run(() => this.#make());
    } catch (error) {
      const { state } = this.#deps.link;
      // The link restores what it has lost.
      if (state === 'down' || state === 'stopped' || this.#isClosed) return;
      this.#failed(toAegisError(error));
    }
  }

  /** Takes the service down if it is there, ends what came through it if asked, and makes it. */
  async #make(): Promise<void> {
    if (this.#isClosed) return;
    this.#cancelRetry();
    await delOnion(this.#deps.link, this.#name);
    // Nobody can come in now, so nobody who may is cut, and nobody who may not is missed.
    if (this.#mustCut) await this.#cut();
    this.#uploaded = new Set();
    const { length } = this.#clients;
    const clients = this.#clients === 'open' ? 'open' : length;
    this.#set({ state: 'publishing', uploads: 0, clients });
    await this.#add();
  }

  async #cut(): Promise<void> {
    // One that is asked for meanwhile is another one.
    this.#mustCut = false;
    try {
      await cutCircuits(this.#deps.link, this.#name);
    } catch (error) {
      this.#mustCut = true;
      throw error;
    }
  }

  async #add(): Promise<void> {
    const { key, port, target, pow } = this.#options;
    const secret = Buffer.from(key.expandedSecret);
    const isOpen = this.#clients === 'open';
    const clients = this.#clients === 'open' ? [] : this.#clients.map(base32);
    // Without any key the service would be open to all: a key that nobody has keeps it shut.
    if (!isOpen && clients.length === 0) clients.push(NOBODY);
    await addOnion(this.#deps.link, {
      key: `ED25519-V3:${secret.toString('base64')}`,
      ports: [`${port},${endpointText(target)}`],
      flags: ['DiscardPK', 'MaxStreamsCloseCircuit', ...(isOpen ? [] : ['V3Auth'])],
      maxStreams: TOR_LIMITS.onionStreamsPerCircuit,
      ...(isOpen ? {} : { clients }),
      ...(pow === undefined ? {} : { pow }),
    });
  }

  #failed(error: AegisError): void {
    const { clock, log } = this.#deps;
    const { message: why, details } = error;
    log.write('warn', 'Tor does not take our onion service', { why });
    this.#set({ state: 'failed', uploads: 0, why });
    const { onionRetryMs, onionCollisionRetryMs } = TOR_LIMITS;
    const waitMs = details['status'] === COLLISION ? onionCollisionRetryMs : onionRetryMs;
    this.#cancelRetry = clock.wakeAt(instant(clock.now() + waitMs), () => {
      void this.#remake();
    });
  }

  #onDescriptor({ text }: ControlEvent): void {
    const [action, address, , directory = '', ...rest] = text.split(' ');
    if (address !== this.#name) return;
    if (action === 'UPLOADED') {
      if (this.#uploaded.size < TOR_LIMITS.onionDirectories) this.#uploaded.add(directory);
      const uploads = this.#uploaded.size;
      const publishedAt = this.#status.publishedAt ?? this.#deps.clock.now();
      this.#set({ state: 'published', uploads, publishedAt });
    } else if (action === 'FAILED' && this.#uploaded.size === 0) {
      const reason = /REASON=(UPLOAD_REJECTED|UNEXPECTED)/.exec(rest.join(' '))?.[1];
      // The others are of fetches: this node may dial itself.
      if (reason === undefined) return;
      this.#set({ state: 'failed', uploads: 0, why: `a directory refuses it: ${reason}` });
    }
  }

  #set(change: Omit<OnionStatus, 'address' | 'port' | 'clients'> & { clients?: number | 'open' }) {
    const { address, port, clients } = this.#status;
    this.#status = { address, port, clients, ...change };
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  /** When it is published, or has failed, or Tor is down; at the latest after a bounded wait. */
  async #settled(): Promise<void> {
    const { clock } = this.#deps;
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = (): void => {
      if (this.status.state !== 'publishing') resolve();
    };
    const forget = this.onChange(look);
    const cancel = clock.wakeAt(instant(clock.now() + TOR_LIMITS.onionPublishMs), resolve);
    look();
    await promise;
    forget();
    cancel();
  }
}

/** A point whose secret nobody knows, as nobody has chosen it. */
const NOBODY = base32(sha256(Buffer.from('aegis/onion-client/nobody')));

const isTooMany = (clients: OnionClients): clients is readonly Uint8Array[] =>
  clients !== 'open' && clients.length > TOR_LIMITS.onionClients;

function stillAmong(before: OnionClients, clients: readonly Uint8Array[]): OnionClients {
  const mayCome = new Set(clients.map(base32));
  return before === 'open' ? [] : before.filter((client) => mayCome.has(base32(client)));
}

/** @throws {AegisError} `ONION_CLIENTS_FULL`. */
export function clientsWithin(clients: OnionClients): OnionClients {
  const { onionClients } = TOR_LIMITS;
  if (!isTooMany(clients)) return clients;
  throw new AegisError(
    'ONION_CLIENTS_FULL',
    `${clients.length} client keys are more than the ${onionClients} of a descriptor`,
  );
}
