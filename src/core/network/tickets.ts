/**
 * Tickets: how a member that comes in through an onion service is known before its handshake
 * (O20), as an address is at the door. Each node gives one to each peer that has passed hello, and
 * the peer shows it first thing when it comes again. A ticket lets nobody in: it says whose places
 * and rate a connection is counted by, and whoever has none shows 32 random bytes. Nothing of it
 * outlives the process. It does not read or write connections.
 */
import { assert } from '../assert.ts';
import type { Random } from '../ports.ts';

export const TICKET_BYTES = 32;
/** More than there are members. */
const HOLDERS_MAX = 1024;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export class Tickets {
  readonly #random: Random;
  /** Given by this node: the holder by the ticket, and the ticket by its holder. */
  readonly #holders = new Map<string, string>();
  readonly #given = new Map<string, Uint8Array>();
  /** Given to this node, by who has given it. */
  readonly #own = new Map<string, Uint8Array>();
  /** Who answers at an onion service. */
  readonly #owners = new Map<string, string>();
  /** Who says so, by node id: one service each, whatever a peer claims. */
  readonly #claims = new Map<string, string>();

  constructor(deps: { random: Random }) {
    this.#random = deps.random;
  }

  /** The ticket of a member that has passed hello; always the same one. */
  give(nodeId: string): Uint8Array {
    const known = this.#given.get(nodeId);
    if (known !== undefined) return known;
    const ticket = this.#random.bytes(TICKET_BYTES);
    const oldest = put(this.#given, nodeId, ticket);
    if (oldest !== undefined) this.#holders.delete(hex(oldest));
    this.#holders.set(hex(ticket), nodeId);
    return ticket;
  }

  /** The member to whom this node has given a ticket. */
  holderOf(ticket: Uint8Array): string | undefined {
    return this.#holders.get(hex(ticket));
  }

  /** A peer has given this node a ticket. */
  keep(nodeId: string, ticket: Uint8Array): void {
    if (ticket.byteLength === TICKET_BYTES) put(this.#own, nodeId, ticket);
  }

  /** A member answers at that service, as hello has shown. */
  met(service: string, nodeId: string): void {
    put(this.#owners, service, nodeId);
  }

  /** A peer says that it listens at that service; what hello has shown counts more. */
  claimed(service: string, nodeId: string): void {
    put(this.#claims, nodeId, service);
  }

  /** What to show at a service: the ticket of its owner, or what is as good as none. */
  show(service: string): Uint8Array {
    const owner = this.#owners.get(service) ?? this.#claimant(service);
    const ticket = owner === undefined ? undefined : this.#own.get(owner);
    return ticket ?? this.#random.bytes(TICKET_BYTES);
  }

  #claimant(service: string): string | undefined {
    return [...this.#claims].find(([, claimed]) => claimed === service)?.[0];
  }
}

/** @returns the value that had to go for it. */
function put<T>(map: Map<string, T>, key: string, value: T): T | undefined {
  map.delete(key);
  map.set(key, value);
  if (map.size <= HOLDERS_MAX) return undefined;
  // The oldest is forgotten first: a Map keeps the order of insertion.
  const [first] = map;
  assert(first !== undefined, 'a full map has a first entry');
  map.delete(first[0]);
  return first[1];
}
