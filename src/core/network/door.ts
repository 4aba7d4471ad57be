/**
 * The door: refuses connections when they are accepted, before libp2p or any cryptography sees
 * them. That costs a fifth of what refusing in libp2p's gater does. What can be known there is the
 * address and how many came, nothing else; who it is turns out at hello.
 *
 * Peers that are connected notice nothing of a flood, and this node dials those that it has lost.
 *
 * What comes in through the onion service has no address (O20). It is counted apart, as strangers
 * are, until it has shown the ticket of a member: then it is counted by that member.
 */
import type { Server, Socket } from 'node:net';
import type { Listener, Transport } from '@libp2p/interface';
import { assert } from '../assert.ts';
import type { Clock } from '../ports.ts';
import { networkOf, ONION_CLASS } from './addresses.ts';
import type { HostLimits, Knob } from './limits.ts';
import { Bucket, Buckets } from './rates.ts';
import type { Refusals } from './refusals.ts';

/** After a restart, all peers dial at once. */
const BURST = 4;
/** A part of the rate that only addresses of members may use. */
const RESERVE = 1 / 4;
const KNOWN_MAX = 1024;
/**
 * So many times what strangers may do comes through the onion service and is looked at, which costs
 * a socket and 36 bytes: a flood of strangers must not keep out members before they say a word.
 */
const GLANCES = 32;
/** One member with a ticket: a connection that talks, its lanes, and some that were lost. */
const HOLDER = { perSecond: 1, burst: 12 };

export class Door {
  readonly #refusals: Refusals;
  readonly #inAll: Bucket;
  readonly #reserve: Bucket;
  readonly #byAddress: Buckets;
  readonly #glances: Bucket;
  readonly #onions: Bucket;
  readonly #byHolder: Buckets;
  /** From where members have come, the latest last. */
  readonly #known = new Set<string>();

  constructor(options: { limits: HostLimits }, deps: { clock: Clock; refusals: Refusals }) {
    const { inboundPerSecond, inboundPerSecondPerAddress, onionInboundPerSecond } = options.limits;
    this.#refusals = deps.refusals;
    this.#inAll = new Bucket(rateOf(inboundPerSecond), deps);
    this.#reserve = new Bucket(rateOf(Math.max(1, inboundPerSecond * RESERVE)), deps);
    this.#byAddress = new Buckets({ rate: rateOf(inboundPerSecondPerAddress) }, deps);
    this.#glances = new Bucket(rateOf(onionInboundPerSecond * GLANCES), deps);
    this.#onions = new Bucket(rateOf(onionInboundPerSecond), deps);
    this.#byHolder = new Buckets({ rate: HOLDER }, deps);
  }

  /** Whether a connection from there may go on: to the handshake, or to show its ticket. */
  admits(address: string): boolean {
    const knob = this.#full(networkOf(address));
    if (knob === undefined) return true;
    this.#refusals.tell({ address }, knob, 'refused a connection at the door');
    return false;
  }

  /**
   * The same of a connection through the onion service, once it has said what it holds.
   * @param holder the member whose ticket it has shown, if any.
   */
  admitsOnion(holder: string | undefined): boolean {
    const bucket = holder === undefined ? this.#onions : this.#byHolder.of(holder);
    if (bucket.take()) return true;
    const sender = holder === undefined ? { address: ONION_CLASS } : { nodeId: holder };
    this.#refusals.tell(sender, 'onionInboundPerSecond', 'refused a connection at the door');
    return false;
  }

  /** A member has passed hello from there. */
  welcome(address: string): void {
    const network = networkOf(address);
    if (network === ONION_CLASS) return;
    this.#known.delete(network);
    this.#known.add(network);
    if (this.#known.size <= KNOWN_MAX) return;
    const oldest = this.#known.values().next();
    if (oldest.done !== true) this.#known.delete(oldest.value);
  }

  #full(network: string): Knob | undefined {
    if (network === ONION_CLASS) return this.#glances.take() ? undefined : 'onionInboundPerSecond';
    if (!this.#byAddress.of(network).take()) return 'inboundPerSecondPerAddress';
    if (this.#inAll.take()) return undefined;
    // A flood from elsewhere leaves these to members.
    if (this.#known.has(network) && this.#reserve.take()) return undefined;
    return 'inboundPerSecond';
  }
}

/** Puts the door before each listener of @libp2p/tcp. */
export function guardListeners<T extends Transport>(transport: T, door: Pick<Door, 'admits'>): T {
  const create = transport.createListener.bind(transport);
  transport.createListener = (options) => {
    const listener = create(options);
    guardServer(serverOf(listener), door);
    return listener;
  };
  return transport;
}

/** What we know of a listener of @libp2p/tcp; its version is pinned. */
function serverOf(listener: Listener): Server {
  const { server } = listener as Listener & { server?: Server };
  assert(server !== undefined, 'a listener of @libp2p/tcp has a server');
  return server;
}

function guardServer(server: Server, door: Pick<Door, 'admits'>): void {
  const listeners = server.listeners('connection') as ((socket: Socket) => void)[];
  assert(listeners.length === 1, '@libp2p/tcp takes each connection once');
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    // It may have hung up already; then there is no address either.
    const address = socket.remoteAddress?.replace(/^::ffff:/i, '');
    if (address !== undefined && door.admits(address)) {
      for (const listener of listeners) listener(socket);
      return;
    }
    socket.on('error', () => undefined);
    // A reset leaves nothing behind in the kernel, where a close would wait for minutes.
    socket.resetAndDestroy();
  });
}

const rateOf = (perSecond: number) => ({ perSecond, burst: perSecond * BURST });
