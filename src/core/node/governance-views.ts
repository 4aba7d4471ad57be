/** How the rules of the cluster look to an operator: proposals, protocol, parameters, quotas. */
import type { Who } from '../api/contract/consensus.ts';
import type { Query, Result } from '../api/contract/endpoints.ts';
import type { ProposalView } from '../api/contract/governance.ts';
import { unreachable } from '../assert.ts';
import { hex } from '../bytes.ts';
import type { Chain } from '../chain/chain.ts';
import type { ProposalState } from '../chain/proposals.ts';
import type { RosterMember } from '../chain/roster.ts';
import { quorumOf } from '../consensus/quorum.ts';
import type { Genesis } from '../model/genesis.ts';
import type { ProposedChange } from '../model/proposed-change.ts';
import type { Voted } from './governance-desk.ts';

export interface GovernanceViewsDeps {
  readonly genesis: Genesis;
  /** Node id of this node. */
  readonly self: string;
  readonly chain: Chain;
  /** V4. */
  readonly protocolMax: number;
  /** Y5: the operator's. */
  readonly checkpoint: { readonly height: number; readonly digest: string } | undefined;
  /** By node id, the start of one or name. @throws {AegisError} `NOT_FOUND`. */
  find(member: string): RosterMember;
}

type Change = ProposalView['changes'][number];

const OVER: readonly ProposalState['status'][] = ['done', 'void', 'expired'];

export class GovernanceViews {
  readonly #deps: GovernanceViewsDeps;

  constructor(deps: GovernanceViewsDeps) {
    this.#deps = deps;
  }

  proposals({ all }: Query<'cluster.proposals'>): Result<'cluster.proposals'> {
    const { chain } = this.#deps;
    const shown = chain.proposals().filter(({ status }) => all || !OVER.includes(status));
    const proposals = shown.map((state) => this.proposal(state));
    return { proposals, height: chain.height, quorum: this.#quorum };
  }

  voted({ proposal, height }: Voted): Result<'cluster.approve'> {
    const isFinal = height !== undefined;
    return { proposal: this.proposal(proposal), final: isFinal, height: height ?? null };
  }

  proposal({ id, proposal, approvals, status, effectiveAt, why }: ProposalState): ProposalView {
    const { self, chain } = this.#deps;
    const isCustodian = chain.roster.get(self)?.role === 'custodian';
    return {
      id,
      proposer: this.#who(proposal.proposer),
      changes: proposal.changes.map((change) => this.#change(change)),
      createdAt: timeText(proposal.createdAt),
      expiresAt: timeText(proposal.expiresAt),
      at: proposal.at,
      status,
      approvals: approvals.map((nodeId) => this.#who(nodeId)).toSorted(byName),
      quorum: this.#quorum,
      effectiveAt: effectiveAt ?? null,
      why: why ?? null,
      awaitsThis: isCustodian && status === 'open' && !approvals.includes(self),
    };
  }

  state(): Result<'cluster.state'> {
    const { chain, genesis, checkpoint, protocolMax } = this.#deps;
    const custodians = chain.custodians();
    const quorum = this.#quorum;
    const { version, raise, ready } = chain.protocol();
    const readiness = custodians.nodeIds.map((nodeId) => {
      const stated = chain.roster.get(nodeId)?.readiness?.protocol;
      return { ...this.#who(nodeId), version: stated ?? null };
    });
    return {
      clusterId: genesis.clusterId,
      clusterName: genesis.name,
      height: chain.height,
      epoch: {
        from: (chain.handovers(1).at(-1)?.height ?? 0) + 1,
        digest: hex(custodians.digest),
        custodians: custodians.nodeIds.map((nodeId) => this.#who(nodeId)),
        quorum,
      },
      protocol: {
        version,
        max: protocolMax,
        raise: raise === undefined ? null : { version: raise, ready: ready.length, quorum },
        readiness,
      },
      parameters: Object.entries(chain.parameters()).map(([name, value]) => ({ name, value })),
      proposals: chain.proposals().filter(({ status }) => !OVER.includes(status)).length,
      checkpoint: checkpoint ?? null,
    };
  }

  quotas({ member }: Query<'cluster.quotas'>): Result<'cluster.quotas'> {
    const { chain, find } = this.#deps;
    const shown = member === undefined ? chain.roster.members() : [find(member)];
    const time = chain.tip().header?.time;
    return {
      height: chain.height,
      hour: time === undefined ? null : timeText(time - (time % HOUR_MS)),
      quotas: shown
        .toSorted((a, b) => (a.name < b.name ? -1 : 1))
        .map(({ nodeId, name, role }) => ({ nodeId, name, role, ...this.#used(nodeId) })),
    };
  }

  #used(nodeId: string) {
    const { changes, bytes, paths, limits } = this.#deps.chain.usage(nodeId);
    return {
      changesPerHour: { used: changes, limit: limits?.changesPerHour ?? null },
      bytesPerHour: { used: bytes, limit: limits?.bytesPerHour ?? null },
      paths: { used: paths, limit: limits?.paths ?? null },
    };
  }

  get #quorum(): number {
    return quorumOf(this.#deps.chain.custodians().size);
  }

  #who(nodeId: string): Who {
    return { nodeId, name: this.#deps.chain.roster.author(nodeId)?.name ?? null };
  }

  #change(change: ProposedChange): Change {
    const { op } = change;
    const member = 'nodeId' in change ? this.#who(change.nodeId) : null;
    const name = member?.name ?? member?.nodeId ?? '';
    return { op, member, text: this.#text(change, name) };
  }

  #text(change: ProposedChange, name: string): string {
    switch (change.op) {
      case 'add':
        return `${name} becomes a custodian`;
      case 'remove':
        return `${name} becomes an agent`;
      case 'expel':
        return `${name} is expelled`;
      case 'zone':
        return `${name} is in zone ${change.zone}`;
      case 'weight':
        return `${name} has storage weight ${change.storageWeight}`;
      case 'parameter':
        return `${change.name} is ${change.value}`;
      case 'quota': {
        const amounts = [
          ...amountText(change.changesPerHour, 'changes an hour'),
          ...amountText(change.bytesPerHour, 'bytes an hour'),
          ...amountText(change.paths, 'paths'),
        ];
        return `${name} may have ${amounts.join(', ') || 'what the parameters say'}`;
      }
      case 'namespace': {
        const writers =
          change.writers.length === 0 ? '' : `; writers ${this.#names(change.writers)}`;
        return `${change.path} belongs to ${this.#names(change.owners)}${writers}`;
      }
      case 'protocol':
        return `protocol version ${change.version}`;
      default:
        return unreachable(change);
    }
  }

  #names(nodeIds: readonly string[]): string {
    return nodeIds.map((nodeId) => this.#who(nodeId).name ?? nodeId).join(', ');
  }
}

const byName = (a: Who, b: Who): number => ((a.name ?? '') < (b.name ?? '') ? -1 : 1);
const HOUR_MS = 3_600_000;
const amountText = (amount: number | null, of: string): string[] =>
  amount === null ? [] : [`${amount} ${of}`];
const timeText = (ms: number): string => new Date(ms).toISOString();
