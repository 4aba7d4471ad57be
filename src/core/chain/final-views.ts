/** What the chain tells of the state after its last final block. It only reads. */
import type { CustodianSet } from '../consensus/custodian-sets.ts';
import { quorumOf } from '../consensus/quorum.ts';
import type { Certificate } from '../consensus/types.ts';
import type { Ledger } from './ledger.ts';
import { type ProposalState, proposalState } from './proposals.ts';
import { limitsOf, type QuotaLimits, type Usage, usageAt } from './quotas.ts';
import { type AnchorState, decodeRef, isRef, type RefState } from './ref.ts';
import type { Namespace, Parameters } from './registers.ts';
import { mayErase, mayGrant, mayWrite, namespaceOf } from './rights.ts';
import type { Roster } from './roster.ts';
import { RosterLeaves } from './roster-leaves.ts';
import type { Handover, ProvenDirectory, ProvenRef, Tip } from './types.ts';

/** Q1. */
export interface UsageView extends Usage {
  /** Undefined: of a custodian. */
  readonly limits: QuotaLimits | undefined;
}

/** V1, V2. */
export interface ProtocolView {
  /** By which the next block is executed. */
  readonly version: number;
  /** Decided, and it holds once a quorum is ready. */
  readonly raise: number | undefined;
  /** Custodians that are ready for it, and how many it takes. */
  readonly ready: readonly string[];
  readonly quorum: number;
}

export abstract class FinalViews {
  /** Who is a member, and with which keys, as of the last final block. */
  readonly roster: Roster;
  readonly #clusterId: string;
  readonly #ledger: Ledger;

  constructor(clusterId: string, ledger: Ledger) {
    this.#clusterId = clusterId;
    this.#ledger = ledger;
    this.roster = ledger.roster;
  }

  /** The last final height. */
  get height(): number {
    return this.#ledger.tip.height;
  }

  tip(): Tip {
    return this.#ledger.tip;
  }

  ref(path: string): RefState | undefined {
    return this.#ledger.ref(path);
  }

  /** Versions to which paths point, as of now, however long it takes to go through them. */
  *heads(): Generator<string> {
    for (const { value } of this.#ledger.tree.rows()) {
      if (!isRef(value)) continue;
      for (const { version } of decodeRef(value).heads) yield version.toString();
    }
  }

  /** The value of a leaf of the state. @param key hex of 32 bytes. */
  leaf(key: string): Uint8Array | undefined {
    return this.#ledger.tree.get(key);
  }

  /** What shows anyone where a path points, or that it points nowhere. */
  prove(path: string): ProvenRef {
    return this.#ledger.prove(path);
  }

  /** What shows anyone all that lies in a directory. @param dir '' is the root. */
  proveDirectory(dir: string): ProvenDirectory {
    return this.#ledger.proveDirectory(dir);
  }

  /** M1: whether an invitation has been used, as of the last final block. */
  isUsed(invitationId: string): boolean {
    const leaves = new RosterLeaves(this.#clusterId, this.#ledger.tree);
    return leaves.usedBy(invitationId) !== undefined;
  }

  /** E1: of the next height. */
  custodians(): CustodianSet {
    return this.#ledger.custodians;
  }

  /** E1: in the order of their heights. */
  handovers(from = 0): readonly Handover[] {
    const { handovers } = this.#ledger;
    return from === 0 ? handovers : handovers.filter(({ height }) => height >= from);
  }

  /** Its own of the last final block; undefined in the middle of a window (Y1). */
  certificate(): Certificate | undefined {
    const { certificate, tip } = this.#ledger;
    return certificate?.height === tip.height ? certificate : undefined;
  }

  parameters(): Parameters {
    return this.#ledger.registers.parameters;
  }

  proposals(): readonly ProposalState[] {
    const { registers } = this.#ledger;
    return [...registers.proposals.values()].map((record) => proposalState(this.roster, record));
  }

  proposal(id: string): ProposalState | undefined {
    const record = this.#ledger.registers.proposals.get(id);
    return record === undefined ? undefined : proposalState(this.roster, record);
  }

  /** N1: the one that decides who may write at a path. */
  namespaceOf(path: string): Namespace | undefined {
    return namespaceOf(this.#ledger.registers.namespaces, path);
  }

  /** In the order of their paths. */
  namespaces(): readonly Namespace[] {
    const all = [...this.#ledger.registers.namespaces.values()];
    return all.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  }

  mayWrite(nodeId: string, path: string): boolean {
    return this.roster.isMember(nodeId) && mayWrite(this.#ledger.registers, nodeId, path);
  }

  mayErase(nodeId: string, path: string): boolean {
    const { namespaces } = this.#ledger.registers;
    return this.roster.isMember(nodeId) && mayErase(namespaces, nodeId, path);
  }

  /** N2. */
  mayGrant(nodeId: string, path: string): boolean {
    const { namespaces } = this.#ledger.registers;
    return this.roster.isMember(nodeId) && mayGrant(namespaces, nodeId, path);
  }

  /** R4: the last of each label. */
  anchors(nodeId: string): readonly AnchorState[] {
    return this.#ledger.anchors(nodeId);
  }

  anchor(nodeId: string, label: string): AnchorState | undefined {
    return this.#ledger.anchor(nodeId, label);
  }

  /** Q1: by the time of the last block. */
  usage(nodeId: string): UsageView {
    const { registers, tip } = this.#ledger;
    const used = usageAt(this.#ledger.account(nodeId), tip.header?.time ?? 0);
    const { hour, changes, bytes, paths } = used;
    const isCustodian = this.roster.get(nodeId)?.role === 'custodian';
    const limits = isCustodian ? undefined : limitsOf(registers, nodeId);
    return { hour, changes, bytes, paths, limits };
  }

  protocol(): ProtocolView {
    const { version, raise } = this.#ledger.registers.protocol;
    const custodians = this.roster.custodians();
    const wanted = raise ?? version + 1;
    const ready = custodians.filter(
      ({ readiness, isFrozen }) => !isFrozen && (readiness?.protocol ?? 0) >= wanted,
    );
    const nodeIds = ready.map(({ nodeId }) => nodeId);
    return { version, raise, ready: nodeIds, quorum: quorumOf(custodians.length) };
  }
}
