/**
 * How nodes come into the cluster and leave it, from the side of this node (docs/keys.md, M1 to
 * M3): a custodian invites, a node that is invited hands its admission in wherever it is let in, an
 * agent departs. Whether any of it counts, the blocks decide.
 */
import { randomBytes } from 'node:crypto';
import type { Body, Result } from '../api/contract/endpoints.ts';
import type { ChainOutcome } from '../chain/chain.ts';
import type { Roster, RosterMember } from '../chain/roster.ts';
import { AegisError } from '../errors.ts';
import type { Keystore } from '../keys/keystore.ts';
import { createBundle } from '../model/bundle.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import {
  INVITATION_ENTRIES_MAX,
  INVITATION_ENTRY_BYTES_MAX,
  INVITATION_MEMBERS_MAX,
  type InvitationFile,
  invitationToText,
} from '../model/invitation-file.ts';
import {
  createAdmission,
  createDeparture,
  createInvitation,
  NO_ADMISSION,
  readInvitation,
  type SignedAdmission,
} from '../model/membership.ts';
import type { Log } from '../ports.ts';
import type { Author } from './author.ts';
import type { OpenInvitation } from './onion-invitations.ts';
import { timeout } from './timeout.ts';
import { Waiting } from './waiting.ts';

export interface MemberDeskOptions {
  readonly clusterId: string;
  readonly self: string;
  /** As it is read from the home: a joiner needs all of it. */
  readonly genesis: Uint8Array;
  /** What this node was invited with, if it is no member of the genesis. */
  readonly invitation?: Uint8Array | undefined;
  /** Of this node, as it tells others. */
  addresses(): readonly string[];
  readonly storageWeight: number;
}

export interface MemberDeskDeps {
  readonly roster: Roster;
  readonly keystore: Pick<Keystore, 'inceptionBytes' | 'origin' | 'succession'>;
  readonly author: Author;
  readonly log: Log;
  /** Where a member may be dialled, as this node knows. */
  addressesOf(nodeId: string): readonly string[];
  /** M1: whether an invitation has been used. */
  isUsed(invitationId: string): boolean;
  /** O16: where a joiner finds this node through Tor, and with which key; none without Tor. */
  onionFor(invitation: OpenInvitation): Promise<InvitationFile['onion'] | undefined>;
  /** Y5: the latest header that every node keeps. */
  checkpoint(): Checkpoint | undefined;
  submit(bytes: Uint8Array): void;
  now(): number;
}

/** Addresses of one member in an invitation. */
const ADDRESSES_MAX = 16;
const ID_BYTES = 16;

interface Decision {
  readonly height: number;
  readonly reason: string | undefined;
}

export class MemberDesk {
  readonly #options: MemberDeskOptions;
  readonly #deps: MemberDeskDeps;
  readonly #decided = new Waiting<Decision>();
  #admission: SignedAdmission | undefined;

  constructor(options: MemberDeskOptions, deps: MemberDeskDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Hands the admission of this node in, if it has been invited and is no member. */
  start(): void {
    const { invitation } = this.#options;
    if (invitation === undefined) return;
    if (this.#deps.roster.get(this.#options.self)?.role === 'custodian') return;
    // M1. Of a member it says by which invitation it came.
    if (this.#deps.isUsed(readInvitation(invitation).signed.invitation.id)) {
      this.#sayRefused('its invitation has been used');
      return;
    }
    this.#admission = this.#admit(invitation);
    // Who has left may not have heard of it: then others let it in by what it shows.
    if (this.#isMember) return;
    this.#deps.log.write('info', 'this node asks to be admitted', {});
    this.#deps.submit(this.#admission.bytes);
  }

  /** What this node shows in hello: members are known without. */
  get admission(): Uint8Array | undefined {
    return this.#admission?.bytes;
  }

  tell(outcome: ChainOutcome): void {
    if (outcome.type === 'refused') {
      const reason = outcome.error.message;
      this.#decided.tell(outcome.digest, { height: 0, reason });
      if (outcome.digest === this.#admission?.digest) this.#sayRefused(reason);
    }
    if (outcome.type !== 'finalised') return;
    const { height } = outcome;
    for (const { id, statement, result, reason } of outcome.receipts) {
      if (statement === undefined) continue;
      const why = result === 'refused' ? (reason ?? 'refused') : undefined;
      this.#decided.tell(id, { height, reason: why });
      if (id !== this.#admission?.digest) continue;
      if (why === undefined) this.#sayMember(height);
      else this.#sayRefused(why);
    }
  }

  /** M1. A member may have use of it, too: it tells keys and addresses. @throws `DENIED`. */
  async invite({ nodeId, expiresInMs }: Body<'cluster.invite'>): Promise<Result<'cluster.invite'>> {
    const { clusterId, self, genesis } = this.#options;
    const { roster, author } = this.#deps;
    if (roster.get(self)?.role !== 'custodian') {
      throw new AegisError('DENIED', 'only custodians invite', {
        hint: 'Ask the operator of one. See: aegis cluster members',
      });
    }
    const createdAt = this.#deps.now();
    const expiresAt = createdAt + expiresInMs;
    const id = randomBytes(ID_BYTES).toString('hex');
    const { keyEpoch } = author;
    const fields = { clusterId, id, inviter: self, keyEpoch, nodeId, createdAt, expiresAt };
    const { bytes } = createInvitation(fields, author.signer());
    const members = this.#mostUseful();
    const { bundle } = roster.get(self)!;
    const checkpoint = this.#deps.checkpoint();
    const onion = await this.#deps.onionFor({ id, expiresAt });
    const invitation = invitationToText({
      genesis,
      invitation: bytes,
      addresses: members.slice(0, INVITATION_MEMBERS_MAX).map((member) => ({
        nodeId: member.nodeId,
        addresses: this.#addressesOf(member.nodeId).slice(0, ADDRESSES_MAX),
      })),
      successions: fittingOf(members),
      // E3: the genesis does not know a custodian that came after it.
      ...(bundle === undefined ? {} : { inviter: bundle }),
      ...(checkpoint === undefined ? {} : { checkpoint }),
      ...(onion === undefined ? {} : { onion }),
    });
    return {
      ...{ id, nodeId, inviter: self, invitation, isMember: roster.isMember(nodeId) },
      createdAt: new Date(createdAt).toISOString(),
      expiresAt: new Date(expiresAt).toISOString(),
    };
  }

  /** M3. @throws {AegisError} `DENIED`, `NOT_FINAL`, `CHECK_FAILED`. */
  async leave(
    { wait, timeoutMs }: Body<'cluster.leave'>,
    context: AbortSignal,
  ): Promise<Result<'cluster.leave'>> {
    const { clusterId, self: nodeId } = this.#options;
    const { roster, author } = this.#deps;
    const member = roster.get(nodeId);
    if (member?.status !== 'member') throw new AegisError('DENIED', 'this node is no member');
    if (member.role === 'custodian') {
      throw new AegisError('DENIED', 'a custodian does not leave: the quorum counts on it', {
        hint: 'Ask the others first: aegis cluster propose --remove',
      });
    }
    const admission = member.admission ?? NO_ADMISSION;
    const { keyEpoch } = author;
    const fields = { clusterId, nodeId, keyEpoch, admission, time: this.#deps.now() };
    const { bytes, digest } = createDeparture(fields, author.signer());
    const signal = AbortSignal.any([context, timeout(timeoutMs)]);
    const decided = this.#decided.wait(digest, () => true, signal);
    decided.catch(() => {});
    this.#deps.submit(bytes);
    if (wait === 'local') return { nodeId, final: false, height: null };
    const { height, reason } = await decided.catch((error: unknown) => {
      if (!signal.aborted) throw error;
      throw new AegisError('NOT_FINAL', 'the custodians have not decided the departure yet');
    });
    if (reason === undefined) return { nodeId, final: true, height };
    throw new AegisError('CHECK_FAILED', `the departure is refused: ${reason}`);
  }

  /** By whose keys a joiner checks the invitation, and whom it dials first. */
  #mostUseful(): readonly RosterMember[] {
    const { self } = this.#options;
    const rank = ({ nodeId, role }: RosterMember): number =>
      nodeId === self ? 0 : role === 'custodian' ? 1 : 2;
    return this.#deps.roster.members().toSorted((a, b) => rank(a) - rank(b));
  }

  /** The book has no entry of this very node. */
  #addressesOf(nodeId: string): readonly string[] {
    const { self, addresses } = this.#options;
    return nodeId === self ? addresses() : this.#deps.addressesOf(nodeId);
  }

  fail(error: AegisError): void {
    this.#decided.fail(error);
  }

  get #isMember(): boolean {
    return this.#deps.roster.isMember(this.#options.self);
  }

  #sayMember(height: number): void {
    this.#admission = undefined;
    this.#deps.log.write('info', 'this node is a member', { height });
  }

  #sayRefused(reason: string): void {
    if (this.#isMember) return;
    this.#deps.log.write('error', 'the admission of this node is refused', { reason });
  }

  /** M2 */
  #admit(invitation: Uint8Array): SignedAdmission {
    const { clusterId, self: nodeId, storageWeight } = this.#options;
    const addresses = this.#options.addresses().slice(0, ADDRESSES_MAX);
    const { keystore, author } = this.#deps;
    const time = this.#deps.now();
    const fields = {
      ...{ inception: keystore.inceptionBytes, role: 'agent' as const, ...keystore.origin },
      ...{ addresses, storageWeight, createdAt: time, succession: keystore.succession },
    };
    const signer = author.signer();
    const bundle = createBundle(fields, signer);
    return createAdmission({ clusterId, nodeId, bundle, invitation, time }, signer);
  }
}

/**
 * As many whole successions as an invitation holds: members that change their keys often must not
 * make it one that nobody can read. What is left out, the joiner is shown in hello.
 */
function fittingOf(members: readonly RosterMember[]): readonly Uint8Array[] {
  const entries: Uint8Array[] = [];
  let left = INVITATION_ENTRY_BYTES_MAX;
  for (const { succession } of members) {
    const size = succession.reduce((sum, { bytes }) => sum + bytes.length, 0);
    if (size > left || entries.length + succession.length > INVITATION_ENTRIES_MAX) continue;
    left -= size;
    entries.push(...succession.map(({ bytes }) => bytes));
  }
  return entries;
}
