/**
 * What a running node has to do with the rules of the cluster, married: proposals, rights, anchors,
 * intents that were signed elsewhere, audits.
 */
import type { ChainInput, ChainOutcome } from '../chain/chain.ts';
import type { RosterMember } from '../chain/roster.ts';
import type { Settings } from '../config/settings.ts';
import type { AegisError } from '../errors.ts';
import type { Genesis } from '../model/genesis.ts';
import type { OpenInvitationFile } from '../model/invitation-file.ts';
import type { Host } from '../network/host.ts';
import type { Log, Security } from '../ports.ts';
import { AuditDesk, type AuditFinding } from './audit-desk.ts';
import type { ChainRoom } from './chain-room.ts';
import { checkpointOf, protocolMaxOf } from './chain-settings.ts';
import { Decisions } from './decisions.ts';
import { GovernanceDesk } from './governance-desk.ts';
import { GovernanceViews } from './governance-views.ts';
import { RelayDesk } from './relay-desk.ts';
import { RightsDesk } from './rights-desk.ts';

export interface GovernanceOptions {
  readonly genesis: Genesis;
  readonly settings: Settings;
  readonly invited: OpenInvitationFile | undefined;
  /** Node id of this node. */
  readonly self: string;
}

export interface GovernanceDeps {
  readonly room: ChainRoom;
  readonly host: Host;
  readonly log: Log;
  readonly security: Security | undefined;
  /** By node id, the start of one or name. @throws {AegisError} `NOT_FOUND`. */
  find(member: string): RosterMember;
  /** Signed bytes of a statement that holds, to the chain. */
  handIn(bytes: Uint8Array): void;
  submit(input: Extract<ChainInput, { type: 'submit' }>): void;
  /** Verifies all that is kept here. */
  verify(signal: AbortSignal): Promise<AuditFinding>;
}

export class Governance {
  readonly desk: GovernanceDesk;
  readonly views: GovernanceViews;
  readonly rights: RightsDesk;
  readonly relay: RelayDesk;
  readonly audits: AuditDesk;
  readonly #decisions: Decisions;

  constructor({ genesis, settings, invited, self }: GovernanceOptions, deps: GovernanceDeps) {
    const { room, host, security, find, submit, handIn, verify } = deps;
    const { chain, author, desk, reads, archive } = room;
    const { clusterId, names } = genesis;
    const protocolMax = protocolMaxOf(settings);
    const log = deps.log.child('governance');
    const now = Date.now;
    this.#decisions = new Decisions(handIn);
    this.desk = new GovernanceDesk(
      { clusterId, names, self, protocolMax },
      { chain, author, decisions: this.#decisions, log, find, submit: handIn, now },
    );
    const checkpoint = checkpointOf(settings, invited);
    this.views = new GovernanceViews({ genesis, self, chain, protocolMax, checkpoint, find });
    this.rights = new RightsDesk({ self, chain, desk, reads, find });
    const receipt = async (id: string) => chain.receipt(id) ?? (await archive.receipts([id]))[0];
    this.relay = new RelayDesk(genesis, { chain, submit, receipt });
    this.audits = new AuditDesk({ clusterId, room, author, host, log, security, verify, now });
  }

  /** The chain must have started. */
  start(): void {
    this.desk.announce();
  }

  tell(outcome: ChainOutcome): void {
    this.#decisions.tell(outcome);
    this.relay.tell(outcome);
    this.desk.tell(outcome);
  }

  /** Ends all waits. */
  fail(error: AegisError): void {
    this.#decisions.fail(error);
    this.relay.fail(error);
  }
}
