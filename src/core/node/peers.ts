/**
 * The peers of a running node: carries out what the peer book decides, tells it what happened, and
 * answers the operator's questions about peers. It decides nothing about dialling itself.
 */
import type { Body, Query, Result } from '../api/contract/endpoints.ts';
import type { Peer } from '../api/contract/peers.ts';
import type { Roster, RosterMember } from '../chain/roster.ts';
import { onionMultiaddr } from '../crypto/onion.ts';
import { AegisError, toAegisError } from '../errors.ts';
import type { Outcome } from '../machine.ts';
import { isNodeId, peerIdOf } from '../model/identity.ts';
import type { Host } from '../network/host.ts';
import type { PeerConnection } from '../network/peer.ts';
import type { PeerBook } from '../peers/book.ts';
import type { PeerInput, PeerOutcome } from '../peers/book-io.ts';
import type { PeerStatus } from '../peers/target.ts';
import type { Log } from '../ports.ts';
import { BANS_MAX } from './bans.ts';
import type { Lie } from './chain-faults.ts';
import type { Custody } from './custody.ts';
import type { Route } from './route.ts';

export const PEERS_MACHINE = 'peers';

export interface PeersDeps {
  readonly self: string;
  readonly roster: Pick<Roster, 'get' | 'members'>;
  readonly custody: Pick<Custody, 'ban' | 'bans' | 'introductions'>;
  readonly book: PeerBook;
  readonly host: Host;
  readonly log: Log;
  submit(input: PeerInput): void;
  /** What peers say of themselves; may be dropped. */
  learned(input: Extract<PeerInput, { type: 'learned' }>): void;
  /** What it has sent that does not hold. */
  lieOf(nodeId: string): Lie | undefined;
  /** A peer came, went or changed its state. */
  changed(): void;
}

export class Peers {
  readonly #deps: PeersDeps;
  #isolated: ReadonlySet<string> = new Set();
  #refused: { address: string; error: AegisError } | undefined;

  constructor(deps: PeersDeps) {
    this.#deps = deps;
  }

  /** Starts to dial. The host must be running. */
  start(extra: readonly string[]): void {
    const { host, roster, submit, learned } = this.#deps;
    host.onPeer(({ type, nodeId }) => {
      submit({ type, nodeId });
      this.#deps.changed();
    });
    host.onAddresses(({ nodeId, addresses }) => learned({ type: 'learned', nodeId, addresses }));
    for (const nodeId of this.#deps.custody.bans.all()) submit({ type: 'ban', nodeId });
    for (const member of roster.members()) this.#submitMember(member);
    for (const address of extra) submit({ type: 'add', address });
    submit({ type: 'start' });
  }

  /** Somebody has joined or left, or has other keys. */
  membersChanged(nodeIds: readonly string[]): void {
    const { roster, custody, submit } = this.#deps;
    for (const nodeId of nodeIds) {
      const member = roster.get(nodeId);
      if (member?.status !== 'member') continue;
      if (!custody.bans.has(nodeId)) submit({ type: 'unban', nodeId });
      this.#submitMember(member);
      submit({ type: 'retry', nodeId });
    }
    this.#deps.changed();
  }

  /** O12: the chain says where each member is as an onion, whatever its address book says. */
  #submitMember({ nodeId, addresses }: RosterMember): void {
    const onions = this.#deps.custody.introductions.onionKeysOf(nodeId).map(onionMultiaddr);
    this.#deps.submit({ type: 'member', nodeId, addresses: [...onions, ...addresses] });
  }

  /** O1, O4: another order of addresses, and others that are not dialled. */
  routed({ mode, usesExits }: Route): void {
    this.#deps.submit({ type: 'route', mode, exits: usesExits });
  }

  /** O3: what kept all away is over. */
  retryAll(): void {
    this.#deps.submit({ type: 'retry-all' });
  }

  /** Carries out what the book has decided. */
  tell(outcome: Outcome): void {
    const decided = outcome as PeerOutcome;
    if (decided.type === 'dial') void this.#dial(decided.address);
    else if (decided.type === 'hang-up') void this.#deps.host.hangUp(decided.nodeId);
    else this.#refused = decided;
  }

  list(): Result<'peers.list'> {
    const peers = this.#deps.book
      .list()
      .filter((status) => status.nodeId !== this.#deps.self)
      .map((status) => this.#view(status));
    peers.sort((a, b) => (order(a) < order(b) ? -1 : 1));
    const connected = peers.filter((peer) => peer.state === 'connected').length;
    return { peers, total: peers.length, connected };
  }

  show(id: string): Result<'peers.show'> {
    return { peer: this.#find(id) };
  }

  add({ address }: Body<'peers.add'>): Result<'peers.add'> {
    const known = this.#deps.book.list().some((peer) => peer.addresses.includes(address));
    this.#refused = undefined;
    this.#deps.submit({ type: 'add', address });
    return { address, added: !known };
  }

  remove(id: string): Result<'peers.remove'> {
    const peer = this.#find(id);
    const status = this.#deps.book.why(peer.nodeId ?? peer.address ?? id);
    const key = peer.nodeId ?? peer.address;
    if (key === null) throw notFound(id);
    this.#deps.submit({ type: 'remove', nodeId: key });
    const disconnected = peer.state === 'connected';
    // Addresses of a peer that was removed before are still known, and dialled no more.
    const removed = status === undefined || status.state === 'removed' ? [] : status.addresses;
    return { nodeId: peer.nodeId, removed: [...removed], disconnected };
  }

  /** M4. @throws {AegisError} `NOT_FOUND`, `BAD_REQUEST` for this node itself. */
  async ban(id: string, isBanned: boolean): Promise<Result<'peers.ban'>> {
    const nodeId = this.#banned(id);
    const member = this.#deps.roster.get(nodeId);
    if (isBanned && this.#deps.custody.bans.size >= BANS_MAX) {
      throw new AegisError('BUSY', `${BANS_MAX} nodes are banned already`);
    }
    const { isNew, cut } = await this.#deps.custody.ban(nodeId, isBanned);
    this.#deps.submit({ type: isBanned ? 'ban' : 'unban', nodeId });
    this.#deps.changed();
    const name = member?.name ?? null;
    return { nodeId, name, banned: isBanned, changed: isNew, disconnected: cut > 0 };
  }

  /** Also one that is no member now may be banned, by its whole id. */
  #banned(id: string): string {
    const nodeId = isNodeId(id) ? id : this.#find(id).nodeId;
    if (nodeId === null) throw notFound(id);
    if (nodeId === this.#deps.self) {
      throw new AegisError('BAD_REQUEST', 'a node does not ban itself');
    }
    return nodeId;
  }

  /** Those that are let in again are dialled at once, whatever their pause was. */
  async isolate({ nodeIds }: Body<'peers.isolate'>): Promise<Result<'peers.isolate'>> {
    const before = this.#isolated;
    this.#isolated = new Set(nodeIds);
    const disconnected = await this.#deps.host.isolate(this.#isolated);
    for (const nodeId of before) {
      if (!this.#isolated.has(nodeId)) this.#deps.submit({ type: 'retry', nodeId });
    }
    return { nodeIds: [...this.#isolated], disconnected };
  }

  async ping(
    id: string,
    { count, timeoutMs }: Body<'peers.ping'>,
    signal: AbortSignal,
  ): Promise<Result<'peers.ping'>> {
    const nodeId = this.nodeIdOf(id);
    const rttsMs: number[] = [];
    for (let i = 0; i < count && !signal.aborted; i += 1) {
      try {
        rttsMs.push(round(await within(timeoutMs, this.#deps.host.ping(nodeId))));
      } catch (error) {
        if (i === count - 1 && rttsMs.length === 0) throw toAegisError(error);
      }
    }
    const sum = rttsMs.reduce((a, b) => a + b, 0);
    return {
      nodeId,
      sent: count,
      received: rttsMs.length,
      rttsMs,
      rttMsMin: rttsMs.length === 0 ? null : Math.min(...rttsMs),
      rttMsAvg: rttsMs.length === 0 ? null : round(sum / rttsMs.length),
      rttMsMax: rttsMs.length === 0 ? null : Math.max(...rttsMs),
    };
  }

  async find(id: string, query: Query<'peers.find'>): Promise<Result<'peers.find'>> {
    const known = this.#deps.book.list().find((status) => this.#isMeant(status, id));
    const nodeId = known?.nodeId ?? null;
    const member = nodeId === null ? undefined : this.#deps.roster.get(nodeId);
    const peerId = member === undefined ? id : this.#peerIdOf(member);
    const addresses = known === undefined ? [] : [...known.addresses];
    try {
      const found = await this.#deps.host.findPeer(peerId, { timeoutMs: query.timeoutMs });
      return { nodeId, peerId, addresses: [...new Set([...addresses, ...found])] };
    } catch (error) {
      if (addresses.length === 0) throw error;
      return { nodeId, peerId, addresses };
    }
  }

  why(id: string): Result<'peers.why'> {
    const peer = this.#find(id);
    return { peer, reasons: this.#reasons(peer) };
  }

  async #dial(address: string): Promise<void> {
    const { host, submit, log } = this.#deps;
    try {
      const { nodeId } = await host.dial(address);
      submit({ type: 'dialed', address, nodeId });
    } catch (error) {
      const { code, message } = toAegisError(error);
      log.write('debug', 'a dial failed', { address, code, reason: message });
      submit({ type: 'dial-failed', address, code, message });
      this.#deps.changed();
    }
  }

  #reasons(peer: Peer): string[] {
    const kept = this.#keptAway(peer);
    if (kept.length > 0) return kept;
    if (peer.state === 'connected') {
      const since = `connected since ${peer.connectedAt}, ${peer.direction}, at ${peer.address}`;
      return [since, ...(peer.runsTwice ? [RUNS_TWICE] : []), ...this.#lies(peer)];
    }
    const reasons: string[] = this.#lies(peer);
    if (peer.lastError !== null) reasons.push(`the last dial failed: ${peer.lastError}`);
    if (peer.attempts > 0) reasons.push(`${peer.attempts} dials failed since it was connected`);
    if (peer.state === 'dialing') reasons.push(`a dial to ${peer.address} is under way`);
    if (peer.nextDialAt !== null) reasons.push(`the next dial is at ${peer.nextDialAt}`);
    if (peer.state === 'unknown') {
      reasons.push('no address is known, or it was removed with aegis peers remove');
    }
    if (peer.nodeId !== null && this.#isolated.has(peer.nodeId)) {
      reasons.unshift('this node keeps itself apart from it, until aegis devnet heal or a restart');
    }
    if (this.#refused !== undefined && this.#refused.address === peer.address) {
      reasons.push(this.#refused.error.message);
    }
    return reasons;
  }

  /** Y2. */
  #lies({ nodeId }: Peer): string[] {
    const lie = nodeId === null ? undefined : this.#deps.lieOf(nodeId);
    if (lie === undefined) return [];
    const { what, height, at, count } = lie;
    const times = count === 1 ? '' : `, ${count} times so far`;
    return [`${what}, about height ${height} (${timeText(at)}${times})`];
  }

  #keptAway({ nodeId, name, banned, frozen }: Peer): string[] {
    const kept: string[] = [];
    if (banned) {
      const how = `aegis peers unban ${name ?? nodeId}`;
      kept.push(`an operator of this node has banned it: ${how}`);
    }
    if (frozen)
      kept.push('two successions of it exist: it is frozen, see aegis consensus evidence');
    return kept;
  }

  /** Of its latest network key, final or not. */
  #peerIdOf(member: RosterMember): string {
    const { introductions } = this.#deps.custody;
    return peerIdOf((introductions.latest(member.nodeId) ?? member.keys).keys.networkKey);
  }

  #find(id: string): Peer {
    const matches = this.#deps.book.list().filter((status) => this.#isMeant(status, id));
    if (matches.length === 0) throw notFound(id);
    if (matches.length > 1) {
      throw new AegisError('BAD_REQUEST', `${id} may mean ${matches.length} peers`, {
        hint: 'Give more of the node id.',
      });
    }
    return this.#view(matches[0]!);
  }

  /** @throws {AegisError} `NOT_FOUND`, `BAD_REQUEST`, `NOT_REACHABLE`. */
  nodeIdOf(id: string): string {
    const { nodeId } = this.#find(id);
    if (nodeId === null) throw new AegisError('NOT_REACHABLE', `nobody has answered at ${id} yet`);
    return nodeId;
  }

  #isMeant({ nodeId, addresses }: PeerStatus, id: string): boolean {
    if (addresses.includes(id)) return true;
    if (nodeId === undefined) return false;
    const member = this.#deps.roster.get(nodeId);
    if (member?.name === id) return true;
    if (member !== undefined && this.#peerIdOf(member) === id) return true;
    return nodeId === id || (id.length >= 10 && nodeId.startsWith(id));
  }

  #view(status: PeerStatus): Peer {
    const { nodeId } = status;
    const { roster, custody } = this.#deps;
    const member = nodeId === undefined ? undefined : roster.get(nodeId);
    const open = nodeId === undefined ? undefined : this.#deps.host.peer(nodeId);
    return {
      nodeId: nodeId ?? null,
      name: member?.name ?? null,
      zone: member?.zone ?? null,
      peerId: member === undefined ? null : this.#peerIdOf(member),
      keyEpoch: member?.keys.keyEpoch ?? null,
      frozen: nodeId !== undefined && custody.introductions.isFrozen(nodeId),
      banned: nodeId !== undefined && custody.bans.has(nodeId),
      runsTwice: open?.runsTwice ?? false,
      state: open !== undefined ? 'connected' : stateOf(status),
      // What failed before this connection is no news any more.
      attempts: open === undefined ? status.attempts : 0,
      lastError: open === undefined ? (status.lastError?.message ?? null) : null,
      nextDialAt: status.nextDialAt === undefined ? null : timeText(status.nextDialAt),
      ...connectionView(status, open),
    };
  }
}

const RUNS_TWICE =
  'two daemons with its keys run at one time: its home was copied, so its keys must be revoked';

function connectionView(status: PeerStatus, open: PeerConnection | undefined) {
  return {
    address: open?.address ?? status.addresses[0] ?? null,
    direction: open?.direction ?? null,
    route: open?.class ?? null,
    lanes: open?.lanes ?? 0,
    rttMs: open?.rttMs === undefined ? null : round(open.rttMs),
    agent: open?.agent ?? null,
    connectedAt: open === undefined ? null : timeText(open.connectedAt),
    bytesIn: open?.bytesIn ?? 0,
    bytesOut: open?.bytesOut ?? 0,
  };
}

/** @throws {AegisError} `TIMEOUT`. */
async function within<T>(timeoutMs: number, promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new AegisError('TIMEOUT', `no answer within ${timeoutMs} ms`));
  }, timeoutMs);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

const stateOf = ({ state }: PeerStatus): Peer['state'] =>
  // The book may not have heard yet that the connection is gone.
  state === 'removed' || state === 'connected' ? 'unknown' : state;

const order = (peer: Peer): string => `${peer.name ?? '~'} ${peer.nodeId ?? ''} ${peer.address}`;
const round = (ms: number): number => Math.round(ms * 1000) / 1000;
const timeText = (ms: number): string => new Date(ms).toISOString();
const notFound = (id: string): AegisError =>
  new AegisError('NOT_FOUND', `no peer is called ${id}`, { hint: 'See them all: aegis peers' });
