/**
 * How this node takes part in what custodians decide (docs/history.md, E2, V2): it proposes and
 * approves when its operator says so, and states by itself which protocol version it is ready for.
 * Whether any of it counts, the blocks decide.
 */
import { randomBytes } from 'node:crypto';
import type { Body } from '../api/contract/endpoints.ts';
import { unreachable } from '../assert.ts';
import type { Chain, ChainOutcome } from '../chain/chain.ts';
import type { ProposalState } from '../chain/proposals.ts';
import type { RosterMember } from '../chain/roster.ts';
import { AegisError, toAegisError } from '../errors.ts';
import { checkLabel } from '../model/identity.ts';
import type { Names } from '../model/names.ts';
import { isParameterName, PARAMETERS } from '../model/parameters.ts';
import { parsePath } from '../model/path.ts';
import { createApproval, createProposal, createReadiness } from '../model/proposals.ts';
import type { ProposedChange } from '../model/proposed-change.ts';
import type { Log } from '../ports.ts';
import type { Author } from './author.ts';
import type { Decisions } from './decisions.ts';

export interface GovernanceDeskOptions {
  readonly clusterId: string;
  readonly names: Names;
  /** Node id of this node. */
  readonly self: string;
  /** V4: the highest version that this node takes part in. */
  readonly protocolMax: number;
}

export interface GovernanceDeskDeps {
  readonly chain: Pick<Chain, 'proposals' | 'protocol' | 'roster'>;
  readonly author: Author;
  readonly decisions: Decisions;
  readonly log: Log;
  /** By node id, the start of one or name. @throws {AegisError} `NOT_FOUND`. */
  find(member: string): RosterMember;
  submit(bytes: Uint8Array): void;
  now(): number;
}

/** What became of a statement, and of the proposal that it is about. */
export interface Voted {
  readonly proposal: ProposalState;
  /** Of the block with the statement. */
  readonly height: number | undefined;
}

type WantedChange = Body<'cluster.propose'>['changes'][number];

const NONCE_BYTES = 16;
/** Characters of a proposal's id that may stand for it. */
const ID_MIN = 4;
/** Times that a readiness is stated anew in a row. */
const REFUSALS_MAX = 3;

export class GovernanceDesk {
  readonly #options: GovernanceDeskOptions;
  readonly #deps: GovernanceDeskDeps;
  /** V2: the version that was stated last by this run, and is not final yet. */
  #stated: number | undefined;
  #refusals = 0;

  constructor(options: GovernanceDeskOptions, deps: GovernanceDeskDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** E2. @throws {AegisError} `DENIED`, `NOT_FOUND`, `BAD_REQUEST`, as `Decisions.handIn`. */
  async propose(body: Body<'cluster.propose'>, signal: AbortSignal): Promise<Voted> {
    this.#checkCustodian('proposes');
    const { clusterId, names, self: proposer } = this.#options;
    const { author, decisions } = this.#deps;
    const changes = body.changes.map((change) => this.#read(change));
    const createdAt = this.#deps.now();
    const fields = { clusterId, proposer, keyEpoch: author.keyEpoch, changes, at: body.at };
    const times = { createdAt, expiresAt: createdAt + body.expiresInMs };
    const nonce = new Uint8Array(randomBytes(NONCE_BYTES));
    const signed = createProposal({ ...fields, nonce, ...times }, names, author.signer());
    const { bytes, digest } = signed;
    const height = await decisions.handIn(
      { bytes, digest, what: 'the proposal' },
      { ...body, signal },
    );
    const known = this.#deps.chain.proposals().find(({ id }) => id === digest);
    const { proposal } = signed;
    const mine: ProposalState = { id: digest, proposal, approvals: [proposer], status: 'open' };
    return { proposal: known ?? mine, height };
  }

  /** E2. Again is harmless. @throws {AegisError} as `propose`. */
  async approve(
    idText: string,
    body: Body<'cluster.approve'>,
    signal: AbortSignal,
  ): Promise<Voted> {
    this.#checkCustodian('approves');
    const found = this.find(idText);
    const { id, approvals, status } = found;
    const { clusterId, self: nodeId } = this.#options;
    if (approvals.includes(nodeId)) return { proposal: found, height: undefined };
    if (status !== 'open') {
      throw new AegisError('CHECK_FAILED', `the proposal is ${status} already`, {
        hint: 'See: aegis cluster proposals --all',
      });
    }
    const { author, decisions } = this.#deps;
    const time = this.#deps.now();
    const fields = { clusterId, proposal: id, nodeId, keyEpoch: author.keyEpoch, time };
    const { bytes, digest } = createApproval(fields, author.signer());
    const height = await decisions.handIn(
      { bytes, digest, what: 'the approval' },
      { ...body, signal },
    );
    return { proposal: this.#deps.chain.proposals().find((one) => one.id === id) ?? found, height };
  }

  /** By its id or the start of it. @throws {AegisError} `NOT_FOUND`, `BAD_REQUEST`. */
  find(idText: string): ProposalState {
    const hint = 'See them all: aegis cluster proposals --all';
    if (idText.length < ID_MIN) {
      throw new AegisError('BAD_REQUEST', `${idText} is too short: give ${ID_MIN} digits`, {
        hint,
      });
    }
    const all = this.#deps.chain.proposals().filter(({ id }) => id.startsWith(idText));
    const open = all.filter(({ status }) => status === 'open');
    const found = open.length > 0 ? open : all;
    if (found.length > 1) {
      throw new AegisError('BAD_REQUEST', `${idText} may mean ${found.length} proposals`, { hint });
    }
    if (found[0] !== undefined) return found[0];
    throw new AegisError('NOT_FOUND', `this node knows no proposal ${idText}`, { hint });
  }

  /** Call once the chain is known, and whenever it has moved. */
  announce(): void {
    const { self: nodeId, clusterId, protocolMax: protocol } = this.#options;
    const { roster } = this.#deps.chain;
    const member = roster.get(nodeId);
    if (member?.role !== 'custodian' || member.isFrozen) {
      this.#stated = undefined;
      return;
    }
    // Who has stated nothing is ready for what is in force, and need not say so.
    const before = member.readiness?.protocol ?? this.#deps.chain.protocol().version;
    if (before === protocol || this.#stated === protocol) return;
    this.#stated = protocol;
    try {
      const { author } = this.#deps;
      const time = this.#deps.now();
      const fields = { clusterId, nodeId, keyEpoch: author.keyEpoch, protocol, time };
      this.#deps.submit(createReadiness(fields, author.signer()).bytes);
      this.#deps.log.write('info', 'this node says which protocol it takes part in', { protocol });
    } catch (error) {
      // The key may be with a signer that is away; the next block brings another try.
      this.#stated = undefined;
      const { code, message: reason } = toAegisError(error);
      this.#deps.log.write('warn', 'this node cannot say its protocol', { code, reason });
    }
  }

  tell(outcome: ChainOutcome): void {
    if (outcome.type === 'finalised') this.#settle(outcome);
    const isMove = ['finalised', 'custodians', 'roster'].includes(outcome.type);
    if (isMove) this.announce();
  }

  /** A refused one is stated anew, as the key may have changed meanwhile, but not for ever. */
  #settle({ receipts }: Extract<ChainOutcome, { type: 'finalised' }>): void {
    const { self } = this.#options;
    for (const { statement, author, result } of receipts) {
      if (statement !== 'readiness' || author !== self) continue;
      this.#refusals = result === 'refused' ? this.#refusals + 1 : 0;
      if (this.#refusals < REFUSALS_MAX) this.#stated = undefined;
    }
  }

  #checkCustodian(does: string): void {
    const member = this.#deps.chain.roster.get(this.#options.self);
    if (member?.role === 'custodian' && member.status === 'member') return;
    throw new AegisError('DENIED', `only a custodian ${does}`, {
      hint: 'See who they are: aegis cluster members',
    });
  }

  #read(change: WantedChange): ProposedChange {
    const idOf = (member: string): string => this.#deps.find(member).nodeId;
    switch (change.op) {
      case 'add':
      case 'remove':
      case 'expel':
        return { op: change.op, nodeId: idOf(change.nodeId) };
      case 'zone':
        return { op: 'zone', nodeId: idOf(change.nodeId), zone: checkLabel('zone', change.zone) };
      case 'weight':
        return { ...change, nodeId: idOf(change.nodeId) };
      case 'parameter':
        return readParameter(change.name, change.value);
      case 'quota': {
        const { changesPerHour = null, bytesPerHour = null, paths = null } = change;
        return { op: 'quota', nodeId: idOf(change.nodeId), changesPerHour, bytesPerHour, paths };
      }
      case 'namespace': {
        const owners = [...new Set(change.owners.map(idOf))].toSorted();
        const named = new Set(change.writers.map(idOf));
        const writers = [...named].filter((nodeId) => !owners.includes(nodeId)).toSorted();
        return { op: 'namespace', path: parsePath(change.path), owners, writers };
      }
      case 'protocol':
        return change;
      default:
        return unreachable(change);
    }
  }
}

function readParameter(name: string, value: number): ProposedChange {
  if (!isParameterName(name)) {
    throw new AegisError('BAD_REQUEST', `there is no parameter ${JSON.stringify(name)}`, {
      hint: `There are: ${Object.keys(PARAMETERS).join(', ')}`,
    });
  }
  const { min, max } = PARAMETERS[name];
  if (value >= min && value <= max) return { op: 'parameter', name, value };
  throw new AegisError('BAD_REQUEST', `${name} is a number from ${min} to ${max}`);
}
