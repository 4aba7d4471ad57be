/**
 * Who decides, as the simulator works it out from final blocks by itself (docs/history.md, E, V):
 * members and their keys, proposals, approvals, readiness, parameters, protocol versions. Written
 * from the rules, without a line of `chain/`. Rights and quotas are in `rights-model.ts`.
 */
import type { CustodianKey } from '../consensus/custodian-sets.ts';
import type { Proposal } from '../model/proposals.ts';
import type { ProposedChange } from '../model/proposed-change.ts';
import type { Statement } from '../model/statement.ts';
import { DAY, MINUTE } from '../units.ts';
import type { SimCluster } from './consensus-tools.ts';
import { Rights } from './rights-model.ts';

interface Citizen {
  readonly key: CustodianKey;
  readonly keyEpoch: number;
  readonly isCustodian: boolean;
  readonly isMember: boolean;
  readonly ready: number;
  /** When it said so. */
  readonly readyAt: number;
}

export interface Motion {
  readonly proposal: Proposal;
  readonly status: 'open' | 'decided' | 'done' | 'void' | 'expired';
  /** By node id: the key epoch of the approval. */
  readonly approvals: ReadonlyMap<string, number>;
  readonly decidedAt: number;
  readonly effectiveAt: number;
}

type Citizens = ReadonlyMap<string, Citizen>;

const PROPOSAL_AGE_MAX_MS = 30 * DAY + 10 * MINUTE;
const OPEN_MAX = 16;

/** n - f. */
const quorum = (count: number): number => count - Math.floor((count - 1) / 3);

export class Polity {
  readonly rights: Rights;
  readonly motions = new Map<string, Motion>();
  /** As before the block that is being executed (A1). */
  #before: Citizens;
  #now: Map<string, Citizen>;
  /** The version by which the next block is executed. */
  version: number;
  #raise: number | undefined;
  /** Proposals that were carried out, or could not be. */
  done = 0;
  voided = 0;

  constructor({ genesis }: SimCluster) {
    const first = genesis.members.map(({ nodeId, role, keys }): [string, Citizen] => [
      nodeId,
      {
        key: { nodeId, ...keys.keys },
        keyEpoch: 0,
        isCustodian: role === 'custodian',
        isMember: true,
        ready: 0,
        readyAt: 0,
      },
    ]);
    this.#now = new Map(first);
    this.#before = new Map(first);
    this.version = genesis.protocol;
    this.rights = new Rights({
      version: () => this.version,
      isCustodian: (nodeId) => this.#before.get(nodeId)?.isCustodian === true,
      isMember: (nodeId) => this.#before.get(nodeId)?.isMember === true,
    });
  }

  get custodians(): CustodianKey[] {
    return custodiansOf(this.#now).map(({ key }) => key);
  }

  isCustodian(nodeId: string): boolean {
    return this.#now.get(nodeId)?.isCustodian === true;
  }

  isMember(nodeId: string): boolean {
    return this.#now.get(nodeId)?.isMember === true;
  }

  readyFor(nodeId: string): number {
    return this.#now.get(nodeId)?.ready ?? 0;
  }

  /** Proposals that are not over. */
  get pending(): Motion[] {
    return [...this.motions.values()].filter(
      ({ status }) => status === 'open' || status === 'decided',
    );
  }

  begin(): void {
    this.#before = new Map(this.#now);
  }

  /** A succession follows the one before: its keys are in force from the next height on. */
  succeed(nodeId: string, key: CustodianKey, isNewIdentity: boolean): void {
    const citizen = this.#now.get(nodeId);
    if (citizen === undefined) return;
    const keyEpoch = citizen.keyEpoch + (isNewIdentity ? 1 : 0);
    this.#now.set(nodeId, { ...citizen, key, keyEpoch });
  }

  /** @returns whether it is not refused. */
  state(statement: Statement, height: number, time: number): boolean {
    switch (statement.type) {
      case 'proposal':
        return this.#propose(statement.signed.digest, statement.signed.proposal, height, time);
      case 'approval': {
        const { proposal, nodeId, keyEpoch } = statement.signed.approval;
        return this.#approve(proposal, nodeId, keyEpoch, height, time);
      }
      case 'readiness': {
        const { nodeId, keyEpoch, protocol, time: at } = statement.signed.readiness;
        if (!this.#speaks(nodeId, keyEpoch)) return false;
        const citizen = this.#now.get(nodeId)!;
        if (citizen.ready === protocol) return true;
        if (at <= citizen.readyAt) return false;
        this.#now.set(nodeId, { ...citizen, ready: protocol, readyAt: at });
        return true;
      }
      default:
        return false;
    }
  }

  /** E2 to E4, V2: what the end of a block brings about. @returns whether custodians change. */
  end(height: number, time: number): boolean {
    for (const [id, motion] of this.motions) {
      if (motion.status === 'open' && motion.proposal.expiresAt <= time) {
        this.motions.set(id, { ...motion, status: 'expired' });
      }
    }
    const due = [...this.motions].filter(
      ([, { status, effectiveAt }]) => status === 'decided' && effectiveAt <= height + 1,
    );
    due.sort(
      ([a, one], [b, other]) =>
        one.effectiveAt - other.effectiveAt || one.decidedAt - other.decidedAt || (a < b ? -1 : 1),
    );
    for (const [id, motion] of due) {
      const isDone = this.#carryOut(motion.proposal.changes);
      this.done += isDone ? 1 : 0;
      this.voided += isDone ? 0 : 1;
      this.motions.set(id, { ...motion, status: isDone ? 'done' : 'void' });
    }
    this.#raiseIfReady();
    return !isSameSet(custodiansOf(this.#before), custodiansOf(this.#now));
  }

  /** A1, E4: a custodian before the block, by its key of then. */
  #speaks(nodeId: string, keyEpoch: number): boolean {
    const citizen = this.#before.get(nodeId);
    return citizen?.isCustodian === true && citizen.keyEpoch === keyEpoch;
  }

  #propose(id: string, proposal: Proposal, height: number, time: number): boolean {
    if (this.motions.has(id)) return true;
    const { proposer, keyEpoch, expiresAt } = proposal;
    if (!this.#speaks(proposer, keyEpoch)) return false;
    if (expiresAt <= time || expiresAt > time + PROPOSAL_AGE_MAX_MS) return false;
    const own = this.pending.filter((one) => one.proposal.proposer === proposer);
    if (own.length >= OPEN_MAX) return false;
    const approvals = new Map([[proposer, keyEpoch]]);
    this.#count(id, { proposal, status: 'open', approvals, decidedAt: 0, effectiveAt: 0 }, height);
    return true;
  }

  #approve(id: string, nodeId: string, epoch: number, height: number, time: number): boolean {
    const motion = this.motions.get(id);
    if (motion === undefined || motion.status === 'expired') return false;
    if (motion.status !== 'open') return true;
    if (!this.#speaks(nodeId, epoch) || motion.proposal.expiresAt <= time) return false;
    const approvals = new Map([...motion.approvals, [nodeId, epoch] as const]);
    this.#count(id, { ...motion, approvals }, height);
    return true;
  }

  #count(id: string, motion: Motion, height: number): void {
    const counted = [...motion.approvals].filter(([nodeId, epoch]) => this.#speaks(nodeId, epoch));
    const isDecided = counted.length >= quorum(custodiansOf(this.#before).length);
    const effectiveAt = Math.max(motion.proposal.at, height + 1);
    this.motions.set(
      id,
      isDecided ? { ...motion, status: 'decided', decidedAt: height, effectiveAt } : motion,
    );
  }

  /** E3: all of them or none. */
  #carryOut(changes: readonly ProposedChange[]): boolean {
    const before = new Map(this.#now);
    const [raise, undo] = [this.#raise, this.rights.save()];
    const isPossible = changes.every((change) => this.#change(change));
    const count = custodiansOf(this.#now).length;
    if (isPossible && count >= 1 && count <= 256) return true;
    this.#now = before;
    this.#raise = raise;
    undo();
    return false;
  }

  #change(change: ProposedChange): boolean {
    switch (change.op) {
      case 'parameter':
        this.rights.parameters.set(change.name, change.value);
        return true;
      case 'namespace': {
        const { path, owners, writers } = change;
        if (![...owners, ...writers].every((nodeId) => this.isMember(nodeId))) return false;
        this.rights.found(path, owners, writers);
        return true;
      }
      case 'protocol':
        if (change.version !== this.version + 1 || this.#raise !== undefined) return false;
        this.#raise = change.version;
        return true;
      default: {
        const citizen = this.#now.get(change.nodeId);
        if (citizen?.isMember !== true) return false;
        if (change.op === 'quota') this.rights.quotas.set(change.nodeId, change);
        if (change.op === 'add' && citizen.isCustodian) return false;
        if (change.op === 'remove' && !citizen.isCustodian) return false;
        const isCustodian =
          change.op === 'add' || (citizen.isCustodian && !['remove', 'expel'].includes(change.op));
        const isMember = change.op !== 'expel';
        this.#now.set(change.nodeId, { ...citizen, isCustodian, isMember });
        return true;
      }
    }
  }

  #raiseIfReady(): void {
    const raise = this.#raise;
    if (raise === undefined) return;
    const custodians = custodiansOf(this.#now);
    if (custodians.filter(({ ready }) => ready >= raise).length < quorum(custodians.length)) return;
    this.version = raise;
    this.#raise = undefined;
  }
}

const custodiansOf = (citizens: Citizens): Citizen[] =>
  [...citizens.values()].filter(({ isCustodian }) => isCustodian);

function isSameSet(before: readonly Citizen[], after: readonly Citizen[]): boolean {
  const keys = new Set(before.map(({ key }) => key));
  return before.length === after.length && after.every(({ key }) => keys.has(key));
}
