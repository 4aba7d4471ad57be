/**
 * Where connections through an onion service wait until they have shown a ticket (O20), before
 * libp2p or any cryptography sees them. A frame of 32 bytes is all that is read here. When too many
 * wait, the one that has waited longest goes: those who show something at once never wait long.
 */
import type { MultiaddrConnection } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import { AegisError } from '../errors.ts';
import { hostOf, ONION_CLASS } from './addresses.ts';
import type { Door } from './door.ts';
import { FrameChannel } from './frame-channel.ts';
import type { HostLimits, Knob } from './limits.ts';
import type { Passages } from './passages.ts';
import type { Refusals } from './refusals.ts';
import { TICKET_BYTES, type Tickets } from './tickets.ts';

export interface LobbyDeps {
  readonly tickets: Tickets;
  readonly door: Pick<Door, 'admitsOnion'>;
  readonly passages: Passages;
  readonly refusals: Refusals;
}

/** So many times the places for handshakes: one that waits here costs a socket. */
const SEATS = 4;

export class Lobby {
  readonly #limits: HostLimits;
  readonly #deps: LobbyDeps;
  /** The oldest first. */
  readonly #waiting = new Set<MultiaddrConnection>();

  constructor(options: { limits: HostLimits }, deps: LobbyDeps) {
    this.#limits = options.limits;
    this.#deps = deps;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Shows a ticket to whom this node has dialled, and looks at that of who comes in.
   * @throws {AegisError} `BUSY`, `TIMEOUT`, `DIAL_FAILED`: the connection is to be ended.
   */
  async greet(raw: MultiaddrConnection, address: Multiaddr, signal: AbortSignal): Promise<void> {
    const channel = new FrameChannel({ maxBytes: TICKET_BYTES }, raw);
    try {
      if (raw.direction === 'outbound') channel.write(this.#deps.tickets.show(hostOf(address)));
      else await this.#look(raw, channel, signal);
    } finally {
      channel.release();
    }
  }

  async #look(raw: MultiaddrConnection, channel: FrameChannel, signal: AbortSignal): Promise<void> {
    const { tickets, door, passages } = this.#deps;
    this.#sit(raw);
    let holder: string | undefined;
    try {
      holder = tickets.holderOf(await channel.read(signal));
    } catch (error) {
      if (signal.aborted) this.#tell('onionHelloTimeoutMs', 'cut a connection without a word');
      throw error;
    } finally {
      this.#waiting.delete(raw);
    }
    if (!door.admitsOnion(holder)) throw new AegisError('BUSY', 'too many come in at once');
    if (holder !== undefined) passages.of(raw).holder = holder;
  }

  #sit(raw: MultiaddrConnection): void {
    if (this.#waiting.size >= this.#limits.maxPendingOnionInbound * SEATS) {
      const [oldest] = this.#waiting;
      if (oldest !== undefined) this.#waiting.delete(oldest);
      oldest?.abort(new AegisError('BUSY', 'others wait for this place'));
      this.#tell('maxPendingOnionInbound', 'cut a silent connection');
    }
    this.#waiting.add(raw);
  }

  #tell(knob: Knob, reason: string): void {
    this.#deps.refusals.tell({ address: ONION_CLASS }, knob, reason);
  }
}
