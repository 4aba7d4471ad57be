/** The part of the memory backend that has keys, members and bans. */
import type { Body, Query, Result } from '../../../src/core/api/contract/endpoints.ts';
import { AegisError } from '../../../src/core/errors.ts';
import { ALICE, BOB, CUSTODIANS, hex } from './memory-chain.ts';
import { MemoryGovernance, memberOf } from './memory-governance.ts';

const STARTED = '2026-11-20T12:00:00.000Z';
const LATER = '2027-11-20T12:00:00.000Z';
const KEY = hex('identity');

export class MemoryMembers extends MemoryGovernance {
  readonly banned = new Set<string>();
  readonly invited: Body<'cluster.invite'>[] = [];
  /** The rotation that waits in the home; replaced by tests. */
  pending: Result<'keys.status'>['pending'] = {
    number: 1,
    digest: hex('entry'),
    replaced: ['identity', 'network'],
    state: 'prepared',
  };
  /** What differs from a sound node; replaced by tests. */
  keyStatus: Partial<Result<'keys.status'>> = {};
  #sessions = 1;

  async banPeer(id: string): Promise<Result<'peers.ban'>> {
    return this.#ban(id, true);
  }

  async unbanPeer(id: string): Promise<Result<'peers.unban'>> {
    return this.#ban(id, false);
  }

  async keys(): Promise<Result<'keys.status'>> {
    return {
      ...{ nodeId: ALICE.nodeId, height: 7, number: 0, digest: hex('inception'), keyEpoch: 0 },
      ...{ identityKey: KEY, networkKey: KEY, consensusKey: KEY, vrfKey: KEY, onionKey: KEY },
      expiresAt: { identity: LATER, network: LATER, consensus: LATER, onion: LATER },
      ...{ versions: 3, frozen: false, missing: [], restored: false },
      pending: this.pending,
      retiredNetworkKey: { key: KEY, until: LATER },
      retiredOnionKey: null,
      session: { number: this.#sessions, publicKey: KEY, expiresAt: LATER, peers: 3 },
      warnings: [{ role: 'network', expiresAt: LATER, daysLeft: 7 }],
      ...this.keyStatus,
    };
  }

  async sealVersions(): Promise<Result<'keys.seal'>> {
    return { nodeId: ALICE.nodeId, versions: 3, until: LATER };
  }

  /** What `adoptKeys` does before it answers; replaced by tests. */
  onAdopt: (query: Query<'keys.adopt'>) => Promise<void> = async () => {};

  async adoptKeys(query: Query<'keys.adopt'>): Promise<Result<'keys.adopt'>> {
    const { pending } = this;
    if (pending === null) throw new AegisError('NOT_FOUND', 'no rotation is prepared');
    await this.onAdopt(query);
    this.pending = null;
    const { number, digest, replaced } = pending;
    const until = replaced.includes('network') ? LATER : null;
    return {
      ...{ nodeId: ALICE.nodeId, number, digest, keyEpoch: 1, replaced, height: 8, from: 9 },
      retiredNetworkUntil: until,
    };
  }

  async rotateSession(): Promise<Result<'keys.session'>> {
    this.#sessions += 1;
    const { nodeId } = ALICE;
    return { nodeId, number: this.#sessions, publicKey: KEY, startsAt: STARTED, expiresAt: LATER };
  }

  async keyHistory(id: string): Promise<Result<'keys.history'>> {
    const { nodeId, name } = memberOf(id);
    return {
      ...{ nodeId, name, status: 'member', frozen: false, height: 7, inception: 'aGVsbG8=' },
      origin: { consensusKey: KEY, possession: KEY, vrfKey: KEY },
      entries: [{ bytes: 'aGVsbG8=', height: 8 }],
    };
  }

  async members({ all }: Query<'cluster.members'>): Promise<Result<'cluster.members'>> {
    const members = CUSTODIANS.map(({ nodeId, name }, index) => ({
      ...{ nodeId, name, zone: 'z1', region: 'r1', role: 'custodian' as const },
      ...{ storageWeight: 100, readyFor: null },
      status: index === 3 ? ('left' as const) : ('member' as const),
      ...{ since: 0, number: 1, keyEpoch: 1, peerId: `12D3KooW${name}`, consensusKey: KEY },
      addresses: ['/ip4/127.0.0.1/tcp/4001'],
      ...{ frozen: index === 2, banned: this.banned.has(nodeId) },
      ...{ connected: true, self: index === 0 },
    }));
    const shown = members.filter(({ status }) => all || status === 'member');
    return {
      clusterId: 'aegisc1xyz',
      clusterName: 'demo',
      height: 7,
      members: shown,
      custodians: 4,
      agents: 0,
    };
  }

  async invite(body: Body<'cluster.invite'>): Promise<Result<'cluster.invite'>> {
    this.invited.push(body);
    const { nodeId } = body;
    return {
      ...{ id: hex(nodeId).slice(0, 32), nodeId, inviter: ALICE.nodeId, isMember: false },
      createdAt: STARTED,
      expiresAt: LATER,
      invitation: '-----BEGIN AEGIS INVITATION-----\n-----END AEGIS INVITATION-----\n',
    };
  }

  async leave({ wait }: Body<'cluster.leave'>): Promise<Result<'cluster.leave'>> {
    const final = wait === 'final';
    return { nodeId: ALICE.nodeId, final, height: final ? 8 : null };
  }

  #ban(id: string, banned: boolean): Result<'peers.ban'> {
    const { nodeId, name } = memberOf(id);
    const changed = this.banned.has(nodeId) !== banned;
    if (banned) this.banned.add(nodeId);
    else this.banned.delete(nodeId);
    return { nodeId, name, banned, changed, disconnected: banned && nodeId === BOB.nodeId };
  }
}
