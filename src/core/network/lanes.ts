/**
 * Lanes (docs/tor.md, O11): connections beside the one that talks, for bulk streams to a peer
 * behind an onion service. A circuit of Tor is slow, several are faster, and what is bulky does not
 * stand before votes. They are no twins, keep no peer up, and end when they are idle. Who may have
 * how many is for the gate to say.
 */
import type { Connection, Stream } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import { toAegisError } from '../errors.ts';
import type { Clock, Log } from '../ports.ts';
import { instant, SECOND } from '../units.ts';
import { laneOf } from './addresses.ts';
import type { HostLimits } from './limits.ts';
import { isOpen, type Link, outdates } from './links.ts';
import { CAR_PROTOCOL } from './peer-table.ts';
import { cutOff } from './stream-io.ts';

export interface LanesDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** The connection of a peer that talks, if it goes to an onion service or comes from one. */
  onionTalk(nodeId: string): Link | undefined;
  /** Onion addresses of the peer, without peer id; the likeliest first. */
  addressesOf(nodeId: string): readonly string[];
  dial(lane: Multiaddr): Promise<Connection>;
  openStream(connection: Connection, protocol: string, signal?: AbortSignal): Promise<Stream>;
  /** On the connection that talks. @throws {AegisError} `NOT_REACHABLE`. */
  openTalk(nodeId: string, protocol: string, signal?: AbortSignal): Promise<Stream>;
}

interface Lane {
  readonly link: Link;
  /** Of those that this node has dialled, from 1. */
  readonly number: number | undefined;
  usedAt: number;
  /** Streams that are being opened. */
  opening: number;
  cancel: () => void;
}

/** After a lane could not be dialled; there still is the connection that talks. */
const PAUSE_MS = 30 * SECOND;
const CLOSE_MS = SECOND;

export class Lanes {
  readonly #limits: HostLimits;
  readonly #deps: LanesDeps;
  readonly #byPeer = new Map<string, Lane[]>();
  readonly #dialling = new Set<string>();
  readonly #notBefore = new Map<string, number>();
  /** Streams that are being opened on what talks. */
  readonly #openingTalk = new Map<string, number>();
  /** Peers whose lanes are looked at soon; the values cancel that. */
  readonly #soonFor = new Map<string, () => void>();

  constructor(options: { limits: HostLimits }, deps: LanesDeps) {
    this.#limits = options.limits;
    this.#deps = deps;
  }

  /** Lanes of one peer, or of all. */
  count(nodeId?: string): number {
    if (nodeId !== undefined) return this.#of(nodeId).length;
    return [...this.#byPeer.values()].reduce((sum, lanes) => sum + lanes.length, 0);
  }

  /** Those that the peer has opened here. */
  inbound(nodeId: string): number {
    return this.#of(nodeId).filter(({ number }) => number === undefined).length;
  }

  /** @param number of one that this node has dialled. */
  add(link: Link, number: number | undefined): void {
    const { connection, identity } = link;
    if (connection.status !== 'open') return;
    const { nodeId } = identity;
    // Nobody is there whom it could relieve, or it comes from another daemon with the same keys.
    if (this.#deps.onionTalk(nodeId) === undefined) return connection.abort(cutOff());
    const now = this.#deps.clock.now();
    const lane: Lane = { link, number, usedAt: now, opening: 0, cancel: () => undefined };
    this.#byPeer.set(nodeId, [...this.#of(nodeId), lane]);
    if (number !== undefined) this.#watch(lane);
    this.#deps.log.write('debug', 'a peer has another lane', { nodeId, lanes: this.count(nodeId) });
  }

  remove(connection: Connection): void {
    for (const [nodeId, lanes] of this.#byPeer) {
      const left = lanes.filter(({ link }) => link.connection !== connection);
      if (left.length === lanes.length) continue;
      for (const lane of lanes) if (!left.includes(lane)) lane.cancel();
      if (left.length === 0) this.#byPeer.delete(nodeId);
      else this.#byPeer.set(nodeId, left);
    }
  }

  /** Opens a bulk stream where fewest are; there are to be as many lanes as streams. */
  async open(nodeId: string, signal?: AbortSignal): Promise<Stream> {
    const talk = this.#deps.onionTalk(nodeId);
    const { lanesPerPeer } = this.#limits;
    if (talk === undefined || lanesPerPeer === 0) {
      return await this.#deps.openTalk(nodeId, CAR_PROTOCOL, signal);
    }
    const [lane] = this.#usable(nodeId, talk).toSorted((a, b) => loadOf(a) - loadOf(b));
    if (this.#lacksLane(nodeId, 1)) this.#soon(nodeId);
    if (lane === undefined) return await this.#openTalk(nodeId, signal);
    lane.opening += 1;
    try {
      return await this.#deps.openStream(lane.link.connection, CAR_PROTOCOL, signal);
    } catch (error) {
      if (signal?.aborted === true) throw error;
      // It may just have ended.
      return await this.#openTalk(nodeId, signal);
    } finally {
      lane.opening -= 1;
      lane.usedAt = this.#deps.clock.now();
    }
  }

  /** Ends those that are accepted no more. @returns how many. */
  review(accepts: (identity: Link['identity']) => boolean): number {
    const cut = [...this.#byPeer.values()]
      .flat()
      .filter(({ link: { identity } }) => !accepts(identity));
    for (const { link } of cut) link.connection.abort(cutOff());
    return cut.length;
  }

  /** Ends those of one peer, or all, at once. */
  abort(reason: Error, nodeId?: string): void {
    for (const [id, cancel] of this.#soonFor) {
      if (nodeId !== undefined && nodeId !== id) continue;
      cancel();
      this.#soonFor.delete(id);
    }
    const all = nodeId === undefined ? [...this.#byPeer.values()].flat() : this.#of(nodeId);
    for (const { link } of [...all]) link.connection.abort(reason);
  }

  async #openTalk(nodeId: string, signal: AbortSignal | undefined): Promise<Stream> {
    const opening = this.#openingTalk;
    opening.set(nodeId, (opening.get(nodeId) ?? 0) + 1);
    try {
      return await this.#deps.openTalk(nodeId, CAR_PROTOCOL, signal);
    } finally {
      const left = (opening.get(nodeId) ?? 1) - 1;
      if (left === 0) opening.delete(nodeId);
      else opening.set(nodeId, left);
    }
  }

  #of(nodeId: string): readonly Lane[] {
    return this.#byPeer.get(nodeId) ?? [];
  }

  /** A rotation makes lanes as outdated as it makes what talks (docs/keys.md, H5). */
  #usable(nodeId: string, talk: Link): readonly Lane[] {
    return this.#of(nodeId).filter(({ link }) => isOpen(link) && !outdates(talk, link));
  }

  /** @param about streams that are about to be opened. */
  #lacksLane(nodeId: string, about: number): boolean {
    const talk = this.#deps.onionTalk(nodeId);
    if (talk === undefined) return false;
    const lanes = this.#usable(nodeId, talk);
    const talking = bulkOn(talk) + (this.#openingTalk.get(nodeId) ?? 0);
    const streams = lanes.reduce((sum, lane) => sum + loadOf(lane), talking + about);
    return streams > lanes.length;
  }

  /** What is small is over before: a circuit costs more than it gains there. */
  #soon(nodeId: string): void {
    if (this.#soonFor.has(nodeId)) return;
    const { clock } = this.#deps;
    const at = instant(clock.now() + this.#limits.laneAfterMs);
    const cancel = clock.wakeAt(at, () => {
      this.#soonFor.delete(nodeId);
      if (this.#lacksLane(nodeId, 0)) void this.#more(nodeId);
    });
    this.#soonFor.set(nodeId, cancel);
  }

  /** One at a time: the peer may not have a place for them. */
  async #more(nodeId: string): Promise<void> {
    const { clock, log, addressesOf, dial } = this.#deps;
    const own = this.#of(nodeId).flatMap(({ number }) => (number === undefined ? [] : [number]));
    const now = clock.now();
    const isResting = now < (this.#notBefore.get(nodeId) ?? 0);
    if (this.#of(nodeId).length >= this.#limits.lanesPerPeer || isResting) return;
    const [address] = addressesOf(nodeId);
    if (address === undefined || this.#dialling.has(nodeId)) return;
    // Each number is a circuit of its own.
    let number = 1;
    while (own.includes(number)) number += 1;
    this.#dialling.add(nodeId);
    try {
      const before = this.#of(nodeId).length;
      await dial(laneOf(address, number));
      if (this.#of(nodeId).length <= before) throw cutOff();
      this.#dialling.delete(nodeId);
      if (this.#lacksLane(nodeId, 0)) void this.#more(nodeId);
    } catch (error) {
      this.#notBefore.set(nodeId, clock.now() + PAUSE_MS);
      const { code, message } = toAegisError(error);
      log.write('debug', 'a lane was not opened', { nodeId, code, reason: message });
      this.#dialling.delete(nodeId);
    }
  }

  /** The side that has dialled ends it. */
  #watch(lane: Lane): void {
    const { clock } = this.#deps;
    const { laneIdleMs } = this.#limits;
    lane.cancel = clock.wakeAt(instant(clock.now() + laneIdleMs / 2), () => {
      const now = clock.now();
      if (loadOf(lane) > 0) lane.usedAt = now;
      if (now - lane.usedAt < laneIdleMs) return this.#watch(lane);
      void close(lane.link.connection);
    });
  }
}

const bulkOn = ({ connection }: Link): number =>
  connection.streams.filter(({ protocol }) => protocol === CAR_PROTOCOL).length;

/** Streams that carry something, or are about to. */
const loadOf = ({ link, opening }: Lane): number => opening + bulkOn(link);

async function close(connection: Connection): Promise<void> {
  try {
    await connection.close({ signal: AbortSignal.timeout(CLOSE_MS) });
  } catch (error) {
    connection.abort(toAegisError(error));
  }
}
