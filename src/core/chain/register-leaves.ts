/**
 * How the registers stand in the state, and back. Namespaces, quotas and parameters lie under the
 * key of names and so go on after a recovery; proposals and the protocol version are of this very
 * cluster. The keys of each kind begin alike, so that all of them are found.
 */
import { hmacSha256 } from '../crypto/hash.ts';
import { AegisError } from '../errors.ts';
import { decode, encode } from '../model/cbor.ts';
import { type Names, SEALED_NAME_BYTES_MAX } from '../model/names.ts';
import { PARAMETERS, type ParameterName } from '../model/parameters.ts';
import { PROPOSAL_BYTES_MAX, readProposal } from '../model/proposals.ts';
import { NAMESPACE_OWNERS_MAX, NAMESPACE_WRITERS_MAX } from '../model/proposed-change.ts';
import { bytesOfText, RecordReader } from '../model/record.ts';
import { ENVELOPE_BYTES_MAX } from '../model/signed.ts';
import type { StateReader } from '../ports.ts';
import { LIMITS } from './limits.ts';
import type { ProposalRecord, ProposalStatus } from './proposals.ts';
import {
  type AgentQuota,
  FIRST_PARAMETERS,
  type Namespace,
  type Parameters,
  type ProtocolState,
  type RegisterChanges,
  Registers,
} from './registers.ts';
import type { StateChange } from './state-tree.ts';

const TAG_DIGITS = 16;

/** By what the leaves of a cluster are found. */
export interface RegisterContext {
  readonly clusterId: string;
  readonly names: Names;
}

type Keyed = (text: string) => string;

/** The keys of one kind, which all begin with `tag`. */
class Kind {
  readonly tag: string;
  readonly #keyed: Keyed;
  readonly #kind: string;

  constructor(keyed: Keyed, kind: string) {
    this.#keyed = keyed;
    this.#kind = kind;
    this.tag = keyed(`aegis/registers/1\0${kind}`).slice(0, TAG_DIGITS);
  }

  of(name: string): string {
    return this.tag + this.#keyed(`aegis/${this.#kind}/1\0${name}`).slice(TAG_DIGITS);
  }
}

interface RegisterKeys {
  readonly namespaces: Kind;
  readonly quotas: Kind;
  readonly parameters: Kind;
  readonly proposals: Kind;
  readonly protocol: Kind;
}

function registerKeys({ clusterId, names }: RegisterContext): RegisterKeys {
  const lasting: Keyed = (text) => names.hmac(text);
  const own = hmacSha256(bytesOfText(clusterId));
  return {
    namespaces: new Kind(lasting, 'namespace'),
    quotas: new Kind(lasting, 'quota'),
    parameters: new Kind(lasting, 'parameters'),
    proposals: new Kind(own, 'proposal'),
    protocol: new Kind(own, 'protocol'),
  };
}

const STATUSES: readonly ProposalStatus[] = ['open', 'decided', 'done', 'void', 'expired'];

const namespaceLeaf = ({ path, owners, writers }: Namespace, names: Names): Uint8Array =>
  encode({ v: 1, type: 'namespace', name: names.seal(path), owners, writers });

const quotaLeaf = (quota: AgentQuota): Uint8Array => encode({ v: 1, type: 'quota', ...quota });

const parametersLeaf = (parameters: Parameters): Uint8Array =>
  encode({ v: 1, type: 'parameters', ...parameters });

const protocolLeaf = ({ version, raise }: ProtocolState): Uint8Array =>
  encode({ v: 1, type: 'protocol', version, ...(raise === undefined ? {} : { raise }) });

function proposalLeaf(record: ProposalRecord): Uint8Array {
  const { signed, status, approvals, decidedAt, effectiveAt, endedAt, why } = record;
  return encode({
    v: 1,
    type: 'proposal',
    bytes: signed.bytes,
    status,
    approvals: [...approvals],
    ...(decidedAt === undefined ? {} : { decidedAt }),
    ...(effectiveAt === undefined ? {} : { effectiveAt }),
    ...(endedAt === undefined ? {} : { endedAt }),
    ...(why === undefined ? {} : { why }),
  });
}

/** The leaves that a block changes in them. */
export function registerLeaves(
  context: RegisterContext,
  before: Pick<RegisterChanges, 'parameters' | 'protocol'>,
  changes: RegisterChanges,
): StateChange[] {
  const { namespaces, quotas, proposals, parameters, protocol } = changes;
  const isNone = namespaces.size + quotas.size + proposals.size === 0;
  const isSame = parameters === before.parameters && protocol === before.protocol;
  if (isNone && isSame) return [];
  const keys = registerKeys(context);
  const leaves: StateChange[] = [];
  for (const [path, found] of namespaces) {
    const value = found === undefined ? undefined : namespaceLeaf(found, context.names);
    leaves.push({ key: keys.namespaces.of(path), value });
  }
  for (const [nodeId, found] of quotas) {
    const value = found === undefined ? undefined : quotaLeaf(found);
    leaves.push({ key: keys.quotas.of(nodeId), value });
  }
  for (const [id, found] of proposals) {
    const value = found === undefined ? undefined : proposalLeaf(found);
    leaves.push({ key: keys.proposals.of(id), value });
  }
  if (parameters !== before.parameters) {
    leaves.push({ key: keys.parameters.of(''), value: parametersLeaf(parameters) });
  }
  if (protocol !== before.protocol) {
    leaves.push({ key: keys.protocol.of(''), value: protocolLeaf(protocol) });
  }
  return leaves;
}

const bad = (what: string): AegisError =>
  new AegisError('BAD_DATA', `a leaf of ${what} is not where it belongs`);

/**
 * The registers of a state.
 * @param protocol the version of the first block.
 * @throws {AegisError} what cannot be read.
 */
export function restoreRegisters(
  context: RegisterContext,
  protocol: number,
  state: StateReader,
): Registers {
  const keys = registerKeys(context);
  /** Of one kind, each under the key of its name. */
  const all = <T>(kind: Kind, read: (value: unknown) => T, nameOf: (item: T) => string) => {
    const found = new Map<string, T>();
    for (const { key, value } of state.under(kind.tag, Number.MAX_SAFE_INTEGER) ?? []) {
      const item = read(decode(value, { maxBytes: LIMITS.leafBytes }));
      if (kind.of(nameOf(item)) !== key) throw bad('the registers');
      found.set(nameOf(item), item);
    }
    return found;
  };
  const registers = new Registers(protocol);
  const [parameters] = all(keys.parameters, readParameters, () => '').values();
  const [version] = all(keys.protocol, readProtocol, () => '').values();
  registers.apply({
    namespaces: all(
      keys.namespaces,
      (value) => readNamespace(value, context.names),
      ({ path }) => path,
    ),
    quotas: all(keys.quotas, readQuota, ({ nodeId }) => nodeId),
    proposals: all(
      keys.proposals,
      (value) => readRecord(value, context),
      ({ signed }) => signed.digest,
    ),
    parameters: parameters ?? FIRST_PARAMETERS,
    protocol: version ?? registers.protocol,
  });
  return registers;
}

const NODE_ID = { maxBytes: 64 };

function readNamespace(value: unknown, names: Names): Namespace {
  const record = new RecordReader(value, 'namespace', ['name', 'owners', 'writers']);
  return {
    path: names.open(record.bytes('name', { maxBytes: SEALED_NAME_BYTES_MAX })),
    owners: record.texts('owners', NAMESPACE_OWNERS_MAX, NODE_ID),
    writers: record.texts('writers', NAMESPACE_WRITERS_MAX, NODE_ID),
  };
}

function readQuota(value: unknown): AgentQuota {
  const names = ['nodeId', 'changesPerHour', 'bytesPerHour', 'paths'];
  const record = new RecordReader(value, 'quota', names);
  const amount = (name: string): number | null =>
    record.item(name) === null ? null : record.integer(name, 0);
  return {
    nodeId: record.text('nodeId', NODE_ID),
    changesPerHour: amount('changesPerHour'),
    bytesPerHour: amount('bytesPerHour'),
    paths: amount('paths'),
  };
}

function readParameters(value: unknown): Parameters {
  const names = Object.keys(PARAMETERS) as ParameterName[];
  const record = new RecordReader(value, 'parameters', names);
  return Object.fromEntries(
    // One that came with a newer program is not in an older leaf.
    names.map((name) => [
      name,
      record.has(name)
        ? record.integer(name, PARAMETERS[name].min, PARAMETERS[name].max)
        : PARAMETERS[name].first,
    ]),
  ) as Parameters;
}

function readProtocol(value: unknown): ProtocolState {
  const record = new RecordReader(value, 'protocol', ['version', 'raise']);
  const version = record.integer('version', 1);
  return record.has('raise') ? { version, raise: record.integer('raise', 1) } : { version };
}

function readRecord(value: unknown, context: RegisterContext): ProposalRecord {
  const heights = ['decidedAt', 'effectiveAt', 'endedAt'] as const;
  const names = ['bytes', 'status', 'approvals', ...heights, 'why'];
  const record = new RecordReader(value, 'proposal', names);
  const maxBytes = PROPOSAL_BYTES_MAX + ENVELOPE_BYTES_MAX;
  const text = record.text('status', { maxBytes: 16 });
  const status = STATUSES.find((word) => word === text);
  if (status === undefined) throw bad('the proposals');
  const approvals = record.list('approvals', Number.MAX_SAFE_INTEGER) as [string, number][];
  const height = (name: (typeof heights)[number]) =>
    record.has(name) ? { [name]: record.integer(name, 1) } : {};
  return {
    signed: readProposal(record.bytes('bytes', { maxBytes }), context).signed,
    status,
    approvals: new Map(approvals),
    ...height('decidedAt'),
    ...height('effectiveAt'),
    ...height('endedAt'),
    ...(record.has('why') ? { why: record.text('why', { maxBytes: 1024 }) } : {}),
  };
}
