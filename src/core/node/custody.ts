/**
 * The keys, the members and the bans of a running node, married: introductions judge hello, the key
 * desk follows the own succession, the keeper has session keys, the member desk lets in and leaves.
 */
import type { ChainOutcome } from '../chain/chain.ts';
import type { AegisError } from '../errors.ts';
import type { Keystore } from '../keys/keystore.ts';
import type { Genesis } from '../model/genesis.ts';
import { readIntent, type SignedIntent } from '../model/intent.ts';
import type { OpenInvitationFile } from '../model/invitation-file.ts';
import { type KeyState, openSuccession } from '../model/succession.ts';
import type { Host } from '../network/host.ts';
import type { IncomingEnvelope } from '../network/rpc-server.ts';
import type { Clock, Log, Security } from '../ports.ts';
import { type Verified, verified } from '../units.ts';
import type { Bans } from './bans.ts';
import type { ChainRoom } from './chain-room.ts';
import type { Duplicities } from './duplicities.ts';
import { Introductions } from './introductions.ts';
import { KeyDesk } from './key-desk.ts';
import { MemberDesk, type MemberDeskDeps } from './member-desk.ts';
import type { VersionsHold } from './own-versions.ts';
import { KEYS_PROTOCOL, SessionKeeper } from './session-keeper.ts';

export interface CustodyOptions {
  readonly genesis: Genesis;
  readonly genesisBytes: Uint8Array;
  readonly keystore: Keystore;
  /** What this node was invited with, if the genesis does not name it. */
  readonly invited: OpenInvitationFile | undefined;
  readonly storageWeight: number;
}

export interface CustodyDeps {
  readonly room: ChainRoom;
  readonly bans: Bans;
  readonly duplicities: Duplicities;
  readonly introductions: Introductions;
  /** With which the host listens. */
  readonly networkKey: Uint8Array;
  readonly host: Host;
  readonly clock: Clock;
  readonly log: Log;
  readonly security: Security | undefined;
  submit(intent: Verified<SignedIntent>): void;
  hold(): Promise<VersionsHold>;
  addressesOf(nodeId: string): readonly string[];
  /** Members, or their keys, have changed. */
  changed(nodeIds: readonly string[]): void;
  /** Who is let in may be others than before (H5, O17), or own keys. */
  reviewed(): void;
  /** Of this node, as it tells others. */
  addresses(): readonly string[];
  onionFor: MemberDeskDeps['onionFor'];
}

/** Who says hello is judged before anything else of a node exists; what it says comes later. */
export function introductionsFor(
  { genesis, keystore, invited }: Pick<CustodyOptions, 'genesis' | 'keystore' | 'invited'>,
  deps: Pick<CustodyDeps, 'room' | 'bans' | 'clock' | 'log'> & {
    handIn(bytes: Uint8Array): void;
    learned(nodeId: string): void;
    frozen(nodeId: string, evidence: Uint8Array): void;
    admission(): Uint8Array | undefined;
    /** The network key with which this node listens. */
    listening(): Uint8Array;
  },
): Introductions {
  const { room, bans, clock } = deps;
  const { inceptionBytes: inception } = keystore;
  return new Introductions(
    { clusterId: genesis.clusterId, sponsor: sponsorOf(invited) },
    {
      ...{ roster: room.chain.roster, log: deps.log.child('hello'), now: () => clock.now() },
      own: () => {
        const admission = deps.admission();
        return {
          ...{ inception, succession: shownSuccession(keystore, deps.listening()) },
          ...(admission === undefined ? {} : { admission }),
        };
      },
      isBanned: (nodeId) => bans.has(nodeId),
      isUsed: (invitationId) => room.chain.isUsed(invitationId),
      handIn: deps.handIn,
      learned: deps.learned,
      frozen: deps.frozen,
    },
  );
}

/** By the file of the invitation, with the keys to which it leads. */
const sponsorOf = (invited: OpenInvitationFile | undefined): KeyState | undefined =>
  invited?.keys.find(({ nodeId }) => nodeId === invited.invitation.invitation.inviter);

export class Custody {
  readonly bans: Bans;
  readonly introductions: Introductions;
  readonly keys: KeyDesk;
  readonly sessions: SessionKeeper;
  readonly members: MemberDesk;
  readonly #options: CustodyOptions;
  readonly #deps: CustodyDeps;

  constructor(options: CustodyOptions, deps: CustodyDeps) {
    const { genesis, genesisBytes, keystore, invited, storageWeight } = options;
    const { room, host, clock, introductions, addressesOf } = deps;
    const { roster } = room.chain;
    const { clusterId } = genesis;
    const self = keystore.nodeId;
    const log = deps.log.child('keys');
    const submit = (bytes: Uint8Array) => this.handIn(bytes);
    this.#options = options;
    this.#deps = deps;
    this.bans = deps.bans;
    this.introductions = introductions;
    this.sessions = new SessionKeeper({
      ...{ self, keystore, roster, clock, log },
      peers: () => host.peers().map(({ nodeId }) => nodeId),
      send: (to, protocol, body) => void host.send({ to, protocol, body }),
    });
    this.keys = new KeyDesk({
      ...{ self, keystore, roster, introductions, host, clock, log, submit, addressesOf },
      networkKey: deps.networkKey,
      sessions: this.sessions,
      hold: () => deps.hold(),
      barrier: (signal) => room.reads.barrier(signal),
      heightOf: async (digest) =>
        (room.chain.receipt(digest) ?? (await room.archive.receipts([digest]))[0])?.height,
      changed: (nodeIds) => this.#changed(nodeIds),
      reviewed: () => deps.reviewed(),
    });
    this.members = new MemberDesk(
      {
        ...{ clusterId, self, genesis: genesisBytes, storageWeight },
        invitation: invited?.invitation.bytes,
        addresses: () => deps.addresses().map(withoutPeerId),
      },
      {
        ...{ roster, keystore, author: room.author, log, addressesOf, submit },
        isUsed: (invitationId) => room.chain.isUsed(invitationId),
        onionFor: (invitation) => deps.onionFor(invitation),
        checkpoint: () => room.chain.checkpoint(),
        now: () => clock.now(),
      },
    );
  }

  /** The network must be running, and nobody dialled yet. */
  async start(): Promise<void> {
    // What is new among them is handed in, so the chain must have started.
    const { invited } = this.#options;
    this.introductions.learn((invited?.file.successions ?? []).map(openSuccession));
    await this.sessions.start();
    this.keys.start();
    this.members.start();
  }

  stop(): void {
    this.keys.stop();
    this.sessions.stop();
  }

  /** Ends all waits. */
  fail(error: AegisError): void {
    this.keys.fail(error);
    this.members.fail(error);
  }

  tell(outcome: ChainOutcome): void {
    if (outcome.type === 'finalised') {
      const { duplicities, introductions, room } = this.#deps;
      for (const { statement, result, id } of outcome.receipts) {
        if (statement === 'succession' && result === 'refused') introductions.forget(id);
      }
      for (const nodeId of duplicities.learn(outcome, room.chain.roster)) this.#tellFrozen(nodeId);
    }
    this.keys.tell(outcome);
    this.members.tell(outcome);
  }

  /** @returns whether the envelope is of the keys of members. */
  take(envelope: IncomingEnvelope): boolean {
    if (envelope.protocol !== KEYS_PROTOCOL) return false;
    this.sessions.take(envelope);
    return true;
  }

  /** Signed bytes of a statement that holds, to the chain. */
  handIn(bytes: Uint8Array): void {
    this.#deps.submit(verified(readIntent(bytes, this.#options.genesis).signed));
  }

  /** M4. @returns whether that is news, and how many connections it has cut. */
  async ban(nodeId: string, isBanned: boolean): Promise<{ isNew: boolean; cut: number }> {
    const { bans, host, introductions, security } = this.#deps;
    const isNew = await bans.set(nodeId, isBanned);
    if (isNew) security?.tell({ type: isBanned ? 'banned' : 'unbanned', nodeId });
    const cut = host.review((identity) => introductions.accepts(identity));
    // O17
    this.#deps.reviewed();
    return { isNew, cut };
  }

  /** S8: what hello has shown. */
  frozen(nodeId: string, evidence: Uint8Array): void {
    if (this.#deps.duplicities.keep(evidence)) this.#tellFrozen(nodeId);
    this.keys.review();
  }

  /** Not within the handshake that has shown them. */
  learned(nodeId: string): void {
    setImmediate(() => {
      this.keys.review();
      this.#deps.changed([nodeId]);
    });
  }

  #tellFrozen(nodeId: string): void {
    this.#deps.security?.tell({ type: 'duplicity', nodeId });
    this.#deps.log.write('error', 'a node has two successions: it is frozen', {
      nodeId,
      hint: 'See: aegis consensus evidence',
    });
  }

  #changed(nodeIds: readonly string[]): void {
    for (const nodeId of nodeIds) this.#deps.security?.tell({ type: 'keys-changed', nodeId });
    this.#deps.changed(nodeIds);
  }
}

/** H1: who listens with a key that is not final shows the entry that brings it. */
function shownSuccession(keystore: Keystore, listening: Uint8Array): readonly Uint8Array[] {
  const pending = keystore.pending();
  const isIt = (key: Uint8Array): boolean => Buffer.compare(key, listening) === 0;
  if (pending === undefined || isIt(keystore.current.keys.networkKey)) return keystore.succession;
  if (!isIt(pending.after.keys.networkKey)) return keystore.succession;
  return [...keystore.succession, pending.entry.bytes];
}

const withoutPeerId = (address: string): string => address.replace(/\/p2p\/\w+$/, '');
