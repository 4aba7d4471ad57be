/**
 * The peer book: whom to dial, where, and when to try again. A peer that is down is dialled for
 * ever, with growing and jittered pauses, one of its addresses after the other.
 * It opens no connections, knows no libp2p, and does not say who is a member: hello does.
 */
import { AegisError, type ErrorCode } from '../errors.ts';
import { type Machine, type Ready, ReadyBuilder } from '../machine.ts';
import { type Instant, instant, MINUTE, SECOND } from '../units.ts';
import { DIAL_ALARM, type PeerBookOptions, type PeerInput, type PeerOutcome } from './book-io.ts';
import { backoff, fraction } from './jitter.ts';
import { decodeRecord, encodeRecord, folded, isAddress, PEERS_TABLE } from './record.ts';
import { isOnionAddress, ROUTE_OFF, type Routed, type RouteRule, routeOf } from './route.ts';
import { addressesOf, createTarget, type PeerStatus, statusOf, type Target } from './target.ts';

const MESSAGE_MAX_CHARS = 512;

export class PeerBook implements Machine<PeerInput> {
  readonly #options: Required<PeerBookOptions>;
  readonly #targets = new Map<string, Target>();
  /** Dials under way: address to target. */
  readonly #dialing = new Map<string, Target>();
  readonly #banned = new Set<string>();
  #alarmAt: Instant | undefined;
  #rule: RouteRule = ROUTE_OFF;
  /** Since when the route is this one. */
  #ruledAt: Instant = instant(0);

  constructor(options: PeerBookOptions) {
    this.#options = {
      maxPendingDials: 16,
      maxPeers: 1024,
      maxAddresses: 8,
      minBackoffMs: 250,
      maxBackoffMs: 30 * SECOND,
      stableMs: 10 * SECOND,
      leaseMs: 3 * MINUTE,
      ...options,
    };
  }

  /**
   * The book as the operator left it. Entries that cannot be read are left out: the genesis file
   * still names the members.
   */
  recover(entries: readonly { readonly key: string; readonly value: Uint8Array }[]): void {
    for (const { key, value } of entries) {
      let record: ReturnType<typeof decodeRecord>;
      try {
        record = decodeRecord(value);
      } catch {
        continue;
      }
      const target = this.#obtain(key, isAddress(key) ? undefined : key);
      if (target === undefined) return;
      target.manual = record.addresses.slice(0, this.#options.maxAddresses);
      target.removed = record.removed;
    }
  }

  step(input: PeerInput, now: Instant): Ready {
    const ready = new ReadyBuilder<PeerOutcome>();
    this.#take(input, now, ready);
    this.#expire(now);
    this.#pump(now, ready);
    this.#arm(ready);
    return ready.build();
  }

  /** What is known of a node, or of an address of the book. */
  why(nodeId: string): PeerStatus | undefined {
    const target = this.#targets.get(nodeId);
    return target === undefined ? undefined : this.#status(target);
  }

  list(): PeerStatus[] {
    return [...this.#targets.values()].map((target) => this.#status(target));
  }

  get pendingDials(): number {
    return this.#dialing.size;
  }

  #take(input: PeerInput, now: Instant, ready: ReadyBuilder<PeerOutcome>): void {
    switch (input.type) {
      case 'member':
        return this.#member(input.nodeId, input.addresses, now);
      case 'add':
        return this.#add(folded(input.address), input.nodeId, now, ready);
      case 'remove':
        return this.#remove(folded(input.nodeId), ready);
      case 'learned':
        return this.#learn(input.nodeId, input.addresses, now);
      case 'ban':
        return this.#ban(input.nodeId, ready);
      case 'unban':
        return this.#unban(input.nodeId, now);
      case 'up':
        return this.#up(input.nodeId, now, ready);
      case 'down':
        return this.#down(input.nodeId, now);
      case 'dialed':
        return this.#dialed(input.address, input.nodeId, now, ready);
      case 'dial-failed':
        return this.#dialFailed(input, now);
      case 'retry':
        return this.#retry(this.#targets.get(input.nodeId), now);
      case 'retry-all':
        for (const target of this.#targets.values()) this.#retry(target, now);
        return;
      case 'route':
        return this.#reroute(input, now);
      case 'start':
        for (const target of this.#targets.values()) this.#schedule(target, now);
        return;
      case 'alarm':
        this.#alarmAt = undefined;
    }
  }

  #member(nodeId: string, addresses: readonly string[], now: Instant): void {
    if (nodeId === this.#options.self) return;
    const target = this.#obtain(nodeId, nodeId);
    if (target === undefined) return;
    target.fixed = this.#proper(addresses);
    this.#schedule(target, now);
  }

  #add(
    address: string,
    nodeId: string | undefined,
    now: Instant,
    ready: ReadyBuilder<PeerOutcome>,
  ): void {
    const refuse = (error: AegisError): void => {
      ready.tell({ type: 'refused', address, error });
    };
    if (!isAddress(address)) {
      return refuse(
        new AegisError('BAD_REQUEST', `${address.slice(0, 128)} is not an address to dial`, {
          hint: 'Write it like /ip4/192.0.2.7/tcp/4001 or /onion3/<56 characters>:4001.',
        }),
      );
    }
    if (nodeId === this.#options.self) {
      return refuse(new AegisError('BAD_REQUEST', 'a node is no peer of itself'));
    }
    const target = this.#obtain(nodeId ?? this.#ownerOf(address) ?? address, nodeId);
    if (target === undefined) {
      const { maxPeers } = this.#options;
      return refuse(new AegisError('BUSY', `the peer book is full (${maxPeers} peers)`));
    }
    target.removed = false;
    target.manual = [address, ...target.manual.filter((one) => one !== address)].slice(
      0,
      this.#options.maxAddresses,
    );
    target.attempts = 0;
    target.cursor = 0;
    if (this.#dialable(target)) target.nextDialAt = now;
    persist(target, ready);
  }

  #remove(key: string, ready: ReadyBuilder<PeerOutcome>): void {
    const isNode = !isAddress(key);
    const target = this.#targets.get(key) ?? (isNode ? this.#obtain(key, key) : undefined);
    if (target === undefined) return;
    target.nextDialAt = undefined;
    target.removed = true;
    target.manual = [];
    if (target.nodeId === undefined) {
      // Nothing but the address was known, so nothing is left to remember.
      this.#forget(target);
      ready.persist(PEERS_TABLE, target.key, undefined);
      return;
    }
    persist(target, ready);
    if (target.connectedAt !== undefined) ready.tell({ type: 'hang-up', nodeId: target.nodeId });
  }

  #learn(nodeId: string, addresses: readonly string[], now: Instant): void {
    if (nodeId === this.#options.self) return;
    const target = this.#obtain(nodeId, nodeId);
    if (target === undefined) return;
    target.learned = this.#proper(addresses);
    this.#schedule(target, now);
  }

  #ban(nodeId: string, ready: ReadyBuilder<PeerOutcome>): void {
    if (nodeId === this.#options.self) return;
    this.#banned.add(nodeId);
    const target = this.#targets.get(nodeId);
    if (target === undefined) return;
    target.nextDialAt = undefined;
    if (target.connectedAt !== undefined) ready.tell({ type: 'hang-up', nodeId });
  }

  #unban(nodeId: string, now: Instant): void {
    if (this.#banned.delete(nodeId)) this.#retry(this.#targets.get(nodeId), now);
  }

  #up(nodeId: string, now: Instant, ready: ReadyBuilder<PeerOutcome>): void {
    if (nodeId === this.#options.self) return;
    if (this.#banned.has(nodeId)) ready.tell({ type: 'hang-up', nodeId });
    const target = this.#obtain(nodeId, nodeId);
    if (target === undefined) return;
    target.connectedAt ??= now;
    target.nextDialAt = undefined;
  }

  #down(nodeId: string, now: Instant): void {
    const target = this.#targets.get(nodeId);
    if (target?.connectedAt === undefined) return;
    const lasted = now - target.connectedAt;
    target.connectedAt = undefined;
    // O4: the onion service comes first again, whatever was reached last.
    if (this.#rule.mode === 'prefer') target.cursor = 0;
    // One that comes and goes at once must not be dialled in a tight loop.
    target.attempts = lasted >= this.#options.stableMs ? 0 : target.attempts + 1;
    this.#postpone(target, now);
  }

  #dialed(address: string, nodeId: string, now: Instant, ready: ReadyBuilder<PeerOutcome>): void {
    const target = this.#settle(address);
    if (target === undefined) return;
    if (target.removed || this.#banned.has(nodeId)) {
      ready.tell({ type: 'hang-up', nodeId });
      return;
    }
    if (target.nodeId === nodeId) return this.#reached(target, now);
    if (nodeId === this.#options.self) {
      return this.#failed(target, now, 'DIAL_FAILED', `this node itself answers at ${address}`);
    }
    if (target.nodeId !== undefined) {
      return this.#failed(target, now, 'DIAL_FAILED', `node ${nodeId} answers at ${address}`);
    }
    // An address of the operator has shown whose it is: the entry moves to that node.
    this.#forget(target);
    ready.persist(PEERS_TABLE, target.key, undefined);
    const owner = this.#obtain(nodeId, nodeId);
    if (owner === undefined) return;
    owner.removed = false;
    owner.manual = [...new Set([...target.manual, ...owner.manual])].slice(
      0,
      this.#options.maxAddresses,
    );
    persist(owner, ready);
    this.#reached(owner, now);
  }

  /** Whether it stays is told by `up` and `down`; until then the next dial is held back. */
  #reached(target: Target, now: Instant): void {
    target.lastError = undefined;
    if (target.connectedAt === undefined) this.#postpone(target, now);
  }

  #retry(target: Target | undefined, now: Instant): void {
    if (target === undefined) return;
    target.attempts = 0;
    if (this.#dialable(target)) target.nextDialAt = now;
  }

  /** What failed before says nothing about the other way. */
  #reroute({ mode, exits }: RouteRule, now: Instant): void {
    this.#rule = { mode, exits };
    this.#ruledAt = now;
    for (const target of this.#targets.values()) {
      target.nextDialAt = undefined;
      target.lastError = undefined;
      target.cursor = 0;
      this.#retry(target, now);
    }
  }

  #dialFailed(input: { address: string; code: ErrorCode; message: string }, now: Instant): void {
    const target = this.#settle(input.address);
    if (target !== undefined) this.#failed(target, now, input.code, input.message);
  }

  #failed(target: Target, now: Instant, code: ErrorCode, message: string): void {
    target.attempts += 1;
    target.cursor += 1;
    target.lastError = { code, message: message.slice(0, MESSAGE_MAX_CHARS), at: now };
    this.#postpone(target, now);
  }

  /** The dial under way at this address is over. */
  #settle(address: string): Target | undefined {
    const target = this.#dialing.get(address);
    if (target === undefined) return undefined;
    this.#dialing.delete(address);
    target.dialing = undefined;
    target.leaseUntil = undefined;
    return target;
  }

  /** Dials whose end was never told do not hold their places for ever. */
  #expire(now: Instant): void {
    for (const [address, target] of this.#dialing) {
      if (target.leaseUntil === undefined || target.leaseUntil > now) continue;
      this.#settle(address);
      this.#failed(target, now, 'TIMEOUT', `nothing was heard of the dial to ${address}`);
    }
  }

  #isBanned({ nodeId }: Target): boolean {
    return nodeId !== undefined && this.#banned.has(nodeId);
  }

  #status(target: Target): PeerStatus {
    const routed = this.#routed(target);
    return statusOf(target, { banned: this.#isBanned(target), routed, since: this.#ruledAt });
  }

  #routed(target: Target): Routed {
    return routeOf(addressesOf(target), this.#rule);
  }

  #dialable(target: Target): boolean {
    const free = target.connectedAt === undefined && target.dialing === undefined;
    if (!free || target.removed || this.#isBanned(target)) return false;
    return this.#routed(target).allowed.length > 0;
  }

  /**
   * First dial of a peer that has none planned. The node with the smaller id goes first, so that
   * two nodes that start together seldom dial each other at once.
   */
  #schedule(target: Target, now: Instant): void {
    if (!this.#dialable(target) || target.nextDialAt !== undefined) return;
    if (target.nodeId === undefined || this.#options.self < target.nodeId) target.nextDialAt = now;
    else this.#postpone(target, now);
  }

  #postpone(target: Target, now: Instant): void {
    target.nextDialAt = undefined;
    if (!this.#dialable(target)) return;
    const { self, minBackoffMs, maxBackoffMs } = this.#options;
    // The pause grows when all addresses of the peer have been tried once more.
    const count = this.#routed(target).allowed.length;
    const rounds = target.attempts % count === 0 ? target.attempts / count : 1;
    const part = fraction(self, target.key, target.attempts);
    const pause = backoff(Math.max(0, rounds - 1), part, {
      minMs: minBackoffMs,
      maxMs: maxBackoffMs,
    });
    target.nextDialAt = instant(now + pause);
  }

  #pump(now: Instant, ready: ReadyBuilder<PeerOutcome>): void {
    const due = [...this.#targets.values()].filter(
      ({ nextDialAt }) => nextDialAt !== undefined && nextDialAt <= now,
    );
    // Those that wait longest go first, so that nobody is passed over for ever.
    due.sort((a, b) => a.nextDialAt! - b.nextDialAt! || (a.key < b.key ? -1 : 1));
    for (const target of due) this.#dial(target, now, ready);
  }

  /** O4: whether there is a place for another dial of this kind. */
  #hasPlace(isOnion: boolean): boolean {
    const rivals = [...this.#dialing.keys()].filter((one) => isOnionAddress(one) === isOnion);
    return rivals.length < this.#options.maxPendingDials;
  }

  /** The address that is its turn. */
  #nextAddress(target: Target): string | undefined {
    const { allowed } = this.#routed(target);
    return allowed[target.cursor % allowed.length];
  }

  #dial(target: Target, now: Instant, ready: ReadyBuilder<PeerOutcome>): void {
    const address = this.#nextAddress(target);
    if (address === undefined || !this.#hasPlace(isOnionAddress(address))) return;
    if (this.#dialing.has(address)) {
      // Another entry is trying this very address; its end says something about both.
      target.cursor += 1;
      return this.#postpone(target, now);
    }
    target.nextDialAt = undefined;
    target.dialing = address;
    target.leaseUntil = instant(now + this.#options.leaseMs);
    this.#dialing.set(address, target);
    ready.tell({ type: 'dial', nodeId: target.nodeId, address });
  }

  #arm(ready: ReadyBuilder<PeerOutcome>): void {
    const places = { onion: this.#hasPlace(true), other: this.#hasPlace(false) };
    let earliest: Instant | undefined;
    const consider = (at: Instant | undefined): void => {
      if (at !== undefined && (earliest === undefined || at < earliest)) earliest = at;
    };
    for (const { leaseUntil } of this.#dialing.values()) consider(leaseUntil);
    // With every place taken, only the end of a dial can let the next one start.
    for (const target of this.#targets.values()) {
      const address = target.nextDialAt === undefined ? undefined : this.#nextAddress(target);
      if (address === undefined) continue;
      if (isOnionAddress(address) ? places.onion : places.other) consider(target.nextDialAt);
    }
    if (earliest === this.#alarmAt) return;
    this.#alarmAt = earliest;
    ready.alarm(DIAL_ALARM, earliest);
  }

  /** The node that an address of the book belongs to. */
  #ownerOf(address: string): string | undefined {
    for (const target of this.#targets.values()) {
      if (target.nodeId !== undefined && addressesOf(target).includes(address)) return target.key;
    }
    return undefined;
  }

  #obtain(key: string, nodeId: string | undefined): Target | undefined {
    const known = this.#targets.get(key);
    if (known !== undefined) return known;
    if (this.#targets.size >= this.#options.maxPeers) return undefined;
    const target = createTarget(key, nodeId ?? (isAddress(key) ? undefined : key));
    this.#targets.set(key, target);
    return target;
  }

  /** A dial under way still holds its place until it ends. */
  #forget(target: Target): void {
    this.#targets.delete(target.key);
  }

  #proper(addresses: readonly string[]): string[] {
    return [...new Set(addresses.map(folded).filter(isAddress))].slice(
      0,
      this.#options.maxAddresses,
    );
  }
}

/** One that the operator has neither added nor removed needs no entry of its own. */
function persist(target: Target, ready: ReadyBuilder<PeerOutcome>): void {
  const { key, manual, removed } = target;
  const kept = removed || manual.length > 0;
  const value = kept ? encodeRecord({ addresses: manual, removed }) : undefined;
  ready.persist(PEERS_TABLE, key, value);
}
