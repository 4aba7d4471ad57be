/** How keys and members look to an operator: the answers of the topics `keys` and `cluster`. */

import type { Query, Result } from '../api/contract/endpoints.ts';
import { hex } from '../bytes.ts';
import type { RetiredKey, RosterMember } from '../chain/roster.ts';
import { AegisError } from '../errors.ts';
import { expiriesOf, expiryText } from '../keys/expiry.ts';
import type { Keystore } from '../keys/keystore.ts';
import type { Genesis } from '../model/genesis.ts';
import { peerIdOf } from '../model/identity.ts';
import type { KeyState } from '../model/succession.ts';
import type { ChainRoom } from './chain-room.ts';
import type { Custody } from './custody.ts';

export interface CustodyViewsDeps {
  readonly genesis: Genesis;
  readonly keystore: Keystore;
  readonly room: ChainRoom;
  readonly custody: Custody;
  /** Own versions that are signed. */
  versions(): number;
  isConnected(nodeId: string): boolean;
}

/** Characters of a node id that may stand for it. */
const ID_MIN = 10;

type NodeKeys = NonNullable<Result<'node.status'>['keys']>;

export class CustodyViews {
  readonly #deps: CustodyViewsDeps;

  constructor(deps: CustodyViewsDeps) {
    this.#deps = deps;
  }

  /** What `node status` shows of keys. */
  brief(now: number): NodeKeys {
    const { custody, keystore } = this.#deps;
    const { number, keyEpoch } = this.#keys;
    const frozen = custody.introductions.isFrozen(keystore.nodeId);
    const missing = keystore.missing();
    const warnings = expiriesOf(this.#keys, now).map(expiryText);
    if (missing.length > 0) {
      warnings.unshift(`keys in force are not in this home: ${missing.join(', ')}`);
    }
    if (frozen) warnings.unshift('two successions of this node exist: others do not talk to it');
    const submitted = this.#pending();
    const pending = submitted?.state === 'submitted' ? submitted.number : null;
    const { keyMissing } = this.#deps.room.chain.status();
    return { number, keyEpoch, pending, frozen, keyMissing, warnings };
  }

  status(now: number): Result<'keys.status'> {
    const { custody, keystore, room, versions } = this.#deps;
    const { number, digest, keyEpoch, keys, expiresAt } = this.#keys;
    const own = room.chain.roster.get(keystore.nodeId);
    const graceOf = (retired: RetiredKey | undefined) =>
      retired === undefined || retired.until <= now
        ? null
        : { key: hex(retired.key), until: timeText(retired.until) };
    return {
      ...{ nodeId: keystore.nodeId, height: room.chain.height, number, digest, keyEpoch },
      identityKey: hex(keys.identityKey),
      networkKey: hex(keys.networkKey),
      consensusKey: hex(keys.consensusKey),
      vrfKey: hex(keys.vrfKey),
      onionKey: hex(keys.onionKey),
      expiresAt: {
        identity: timeText(expiresAt.identity),
        network: timeText(expiresAt.network),
        consensus: timeText(expiresAt.consensus),
        onion: timeText(expiresAt.onion),
      },
      versions: versions(),
      frozen: custody.introductions.isFrozen(keystore.nodeId),
      pending: this.#pending(),
      retiredNetworkKey: graceOf(own?.retiredNetworkKey),
      retiredOnionKey: graceOf(own?.retiredOnionKey),
      session: this.#session(),
      missing: keystore.missing(),
      restored: keystore.restored !== undefined,
      warnings: expiriesOf(this.#keys, now).map(({ role, expiresAt: at, daysLeft }) => {
        return { role, expiresAt: timeText(at), daysLeft };
      }),
    };
  }

  async history(id: string): Promise<Result<'keys.history'>> {
    const { room, custody } = this.#deps;
    const { nodeId, name, status, inception, succession, history } = this.find(id);
    const digests = succession.map(({ digest }) => digest);
    const receipts = await room.archive.receipts(digests);
    const { consensusKey, possession, vrfKey } = history[0]!.keys;
    return {
      ...{ nodeId, name, status, frozen: custody.introductions.isFrozen(nodeId) },
      height: room.chain.height,
      inception: base64(inception),
      origin: {
        consensusKey: hex(consensusKey),
        possession: hex(possession),
        vrfKey: hex(vrfKey),
      },
      entries: succession.map(({ bytes }, n) => ({
        bytes: base64(bytes),
        height: receipts[n]?.height ?? null,
      })),
    };
  }

  members({ all }: Query<'cluster.members'>): Result<'cluster.members'> {
    const { genesis, room } = this.#deps;
    const { roster } = room.chain;
    const shown = all ? roster.all() : roster.members();
    const members = shown.map((member) => this.#member(member));
    const present = roster.members();
    const custodians = present.filter(({ role }) => role === 'custodian').length;
    return {
      ...{ clusterId: genesis.clusterId, clusterName: genesis.name, height: room.chain.height },
      members: members.toSorted((a, b) => (order(a) < order(b) ? -1 : 1)),
      custodians,
      agents: present.length - custodians,
    };
  }

  /** @throws {AegisError} `NOT_FOUND`, `BAD_REQUEST`. */
  find(id: string): RosterMember {
    const { room, keystore } = this.#deps;
    const wanted = id === 'self' ? keystore.nodeId : id;
    const found = room.chain.roster
      .all()
      .filter(
        ({ nodeId, name }) =>
          nodeId === wanted ||
          name === wanted ||
          (wanted.length >= ID_MIN && nodeId.startsWith(wanted)),
      );
    const [member] = found.toSorted((a, b) => (a.status < b.status ? 1 : -1));
    if (member === undefined) {
      throw new AegisError('NOT_FOUND', `no member is called ${id}`, {
        hint: 'See them all: aegis cluster members',
      });
    }
    return member;
  }

  /** In force by the chain; of one that is no member yet, those of its home. */
  get #keys(): KeyState {
    return this.#deps.room.author.keys;
  }

  #pending(): Result<'keys.status'>['pending'] {
    const { keystore, custody } = this.#deps;
    const pending = keystore.pending();
    if (pending === undefined) return null;
    const { succession, digest } = pending.entry;
    const { number, replaced } = succession;
    const isSubmitted = custody.keys.isSubmitted || pending.isHandedIn;
    const state = isSubmitted ? 'submitted' : 'prepared';
    return { number, digest, replaced: [...replaced], state };
  }

  #session(): Result<'keys.status'>['session'] {
    const { own, count: peers } = this.#deps.custody.sessions;
    if (own === undefined) return null;
    const { number, sessionKey, expiresAt } = own;
    return { number, publicKey: hex(sessionKey), expiresAt: timeText(expiresAt), peers };
  }

  #member(member: RosterMember): Result<'cluster.members'>['members'][number] {
    const { custody, keystore, isConnected } = this.#deps;
    const { nodeId, name, zone, region, role, status, since, keys } = member;
    const { storageWeight, readiness } = member;
    const self = nodeId === keystore.nodeId;
    return {
      ...{ nodeId, name, zone, region, role, status, since, storageWeight },
      readyFor: readiness?.protocol ?? null,
      ...{ number: keys.number, keyEpoch: keys.keyEpoch },
      peerId: peerIdOf(keys.keys.networkKey),
      consensusKey: hex(keys.keys.consensusKey),
      addresses: [...member.addresses],
      frozen: custody.introductions.isFrozen(nodeId),
      banned: custody.bans.has(nodeId),
      connected: self || isConnected(nodeId),
      self,
    };
  }
}

const order = ({ role, name }: { role: string; name: string }): string =>
  `${role === 'custodian' ? 0 : 1} ${name}`;
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const timeText = (ms: number): string => new Date(ms).toISOString();
