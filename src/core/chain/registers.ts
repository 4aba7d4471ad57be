/**
 * What the cluster has decided about itself, as of the last final block: namespaces, parameters,
 * quotas, proposals and the protocol version. All of it stands in leaves of the state, and here it
 * is at hand. It judges nothing: see `rights.ts`, `quotas.ts`, `proposals.ts`.
 */
import { PARAMETERS, type ParameterName } from '../model/parameters.ts';
import type { Quota } from '../model/proposed-change.ts';
import { applyTo, DraftMap, type ReadMap } from './draft-map.ts';
import type { ProposalRecord } from './proposals.ts';

/** N1. Ids ascend; nobody is both. */
export interface Namespace {
  readonly path: string;
  readonly owners: readonly string[];
  readonly writers: readonly string[];
}

/** Q2. */
export type Parameters = Readonly<Record<ParameterName, number>>;

/** V1. */
export interface ProtocolState {
  /** By which the next block is executed. */
  readonly version: number;
  /** V2: decided, and it holds once a quorum is ready. */
  readonly raise?: number | undefined;
}

export interface AgentQuota extends Quota {
  readonly nodeId: string;
}

export const FIRST_PARAMETERS = Object.fromEntries(
  Object.entries(PARAMETERS).map(([name, { first }]) => [name, first]),
) as Parameters;

/** What a block changes. */
export interface RegisterChanges {
  readonly namespaces: ReadonlyMap<string, Namespace | undefined>;
  readonly quotas: ReadonlyMap<string, AgentQuota | undefined>;
  readonly proposals: ReadonlyMap<string, ProposalRecord | undefined>;
  readonly parameters: Parameters;
  readonly protocol: ProtocolState;
}

/** What execution reads of them. */
export interface ReadRegisters {
  /** By path. */
  readonly namespaces: ReadMap<Namespace>;
  /** By node id. */
  readonly quotas: ReadMap<AgentQuota>;
  /** By id. */
  readonly proposals: ReadMap<ProposalRecord>;
  readonly parameters: Parameters;
  readonly protocol: ProtocolState;
}

export class Registers implements ReadRegisters {
  readonly namespaces = new Map<string, Namespace>();
  readonly quotas = new Map<string, AgentQuota>();
  readonly proposals = new Map<string, ProposalRecord>();
  #parameters = FIRST_PARAMETERS;
  #protocol: ProtocolState;

  /** @param protocol the version of the first block. */
  constructor(protocol: number) {
    this.#protocol = { version: protocol };
  }

  get parameters(): Parameters {
    return this.#parameters;
  }

  get protocol(): ProtocolState {
    return this.#protocol;
  }

  apply(changes: RegisterChanges): void {
    applyTo(this.namespaces, changes.namespaces);
    applyTo(this.quotas, changes.quotas);
    applyTo(this.proposals, changes.proposals);
    this.#parameters = changes.parameters;
    this.#protocol = changes.protocol;
  }

  /** Y4: those of a later state; this stays the one object that others hold. */
  replaceBy({ namespaces, quotas, proposals, parameters, protocol }: Registers): void {
    replace(this.namespaces, namespaces);
    replace(this.quotas, quotas);
    replace(this.proposals, proposals);
    this.#parameters = parameters;
    this.#protocol = protocol;
  }
}

function replace<V>(map: Map<string, V>, by: ReadonlyMap<string, V>): void {
  map.clear();
  for (const [key, value] of by) map.set(key, value);
}

/** The registers within a block, or within one change of a proposal. */
export class RegistersDraft implements ReadRegisters {
  readonly namespaces: DraftMap<Namespace>;
  readonly quotas: DraftMap<AgentQuota>;
  readonly proposals: DraftMap<ProposalRecord>;
  parameters: Parameters;
  protocol: ProtocolState;

  constructor(below: ReadRegisters) {
    this.namespaces = new DraftMap(below.namespaces);
    this.quotas = new DraftMap(below.quotas);
    this.proposals = new DraftMap(below.proposals);
    this.parameters = below.parameters;
    this.protocol = below.protocol;
  }

  /** Takes over what a draft above this one has changed. */
  absorb(above: RegistersDraft): void {
    this.namespaces.absorb(above.namespaces);
    this.quotas.absorb(above.quotas);
    this.proposals.absorb(above.proposals);
    this.parameters = above.parameters;
    this.protocol = above.protocol;
  }

  get changes(): RegisterChanges {
    const { namespaces, quotas, proposals, parameters, protocol } = this;
    return {
      namespaces: namespaces.changed,
      quotas: quotas.changed,
      proposals: proposals.changed,
      parameters,
      protocol,
    };
  }
}
