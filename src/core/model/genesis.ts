/**
 * The genesis of a cluster: its first custodians and agents, by their signed bundles. Its hash is
 * the cluster id. Nobody signs it: whoever joins by it has chosen it, and compares the cluster id.
 */
import { base32 } from '../crypto/base32.ts';
import { sha256 } from '../crypto/hash.ts';
import { AegisError } from '../errors.ts';
import { fromArmour, toArmour } from './armour.ts';
import { type OpenBundle, openBundle, type Role } from './bundle.ts';
import { decode, encode } from './cbor.ts';
import { checkLabel, LABEL_BYTES_MAX } from './identity.ts';
import { RecordReader } from './record.ts';

const CUSTODIANS_MAX = 256;
const AGENTS_MAX = 256;
/** 1 had no agents and no keys of consensus. */
const GENESIS_VERSION = 2;
export const GENESIS_BYTES_MAX = 4 * 1024 * 1024;
const BUNDLE_LIMIT_BYTES = 16_384;

/** A member as the cluster knows it. */
export interface Member {
  readonly nodeId: string;
  readonly name: string;
  readonly zone: string;
  readonly region: string;
  readonly identityKey: Uint8Array;
  readonly networkKey: Uint8Array;
  readonly role: Role;
  /** BLS12-381, 48 bytes; its possession is proved. */
  readonly consensusKey: Uint8Array;
  /** Edwards25519, 32 bytes. */
  readonly vrfKey: Uint8Array;
  readonly addresses: readonly string[];
  readonly storageWeight: number;
}

export interface Genesis {
  readonly clusterId: string;
  readonly name: string;
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number;
  /** Copies kept of every root. */
  readonly replicas: number;
  /** In the order of their node ids; the place here is the custodian's index. */
  readonly custodians: readonly Member[];
  /** In the order of their node ids. */
  readonly agents: readonly Member[];
  /** The custodians, then the agents. */
  readonly members: readonly Member[];
}

const DEFAULT_REPLICAS = 3;

const clusterIdOf = (bytes: Uint8Array): string => `aegisc1${base32(sha256(bytes))}`;

const memberOf = ({ nodeId, inception, bundle }: OpenBundle): Member => ({
  nodeId,
  name: inception.name,
  zone: inception.zone,
  region: inception.region,
  identityKey: inception.identityKey,
  networkKey: inception.networkKey,
  role: bundle.role,
  consensusKey: bundle.consensusKey,
  vrfKey: bundle.vrfKey,
  addresses: bundle.addresses,
  storageWeight: bundle.storageWeight,
});

const byNodeId = (a: { nodeId: string }, b: { nodeId: string }): number =>
  a.nodeId < b.nodeId ? -1 : Number(a.nodeId > b.nodeId);

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** @throws {AegisError} `BAD_REQUEST` when two members share an id, a key or a name. */
function checkDistinct(members: readonly Member[]): void {
  const seen = new Map<string, Member>();
  for (const member of members) {
    const marks = [
      ['node id', member.nodeId],
      ['identity key', hexOf(member.identityKey)],
      ['network key', hexOf(member.networkKey)],
      ['consensus key', hexOf(member.consensusKey)],
      ['VRF key', hexOf(member.vrfKey)],
      ['name', member.name],
    ] as const;
    for (const [what, value] of marks) {
      const other = seen.get(`${what} ${value}`);
      if (other !== undefined) {
        throw new AegisError(
          'BAD_REQUEST',
          `two members have the same ${what}: ${other.name} and ${member.name}`,
          { hint: 'Give each node once, and each node its own name.' },
        );
      }
      seen.set(`${what} ${value}`, member);
    }
  }
}

/**
 * Makes genesis bytes from signed bundles. Their roles say who is a custodian.
 * @throws {AegisError} `BAD_REQUEST` for no custodian, too many or duplicates; what `openBundle`
 * throws.
 */
export function createGenesis(fields: {
  readonly name: string;
  readonly createdAt: number;
  readonly bundles: readonly Uint8Array[];
}): Uint8Array {
  const { name, createdAt, bundles } = fields;
  const opened = bundles.map(openBundle).toSorted(byNodeId);
  const of = (role: Role): OpenBundle[] => opened.filter(({ bundle }) => bundle.role === role);
  const [custodians, agents] = [of('custodian'), of('agent')];
  checkCounts(custodians.length, agents.length);
  checkDistinct(opened.map(memberOf));
  return encode({
    v: GENESIS_VERSION,
    type: 'genesis',
    name: checkLabel('cluster name', name),
    createdAt,
    replicas: DEFAULT_REPLICAS,
    custodians: custodians.map(({ bytes }) => bytes),
    agents: agents.map(({ bytes }) => bytes),
  });
}

function checkCounts(custodians: number, agents: number): void {
  if (custodians < 1 || custodians > CUSTODIANS_MAX) {
    throw new AegisError('BAD_REQUEST', `a cluster has 1 to ${CUSTODIANS_MAX} custodians`, {
      hint: 'Bundles are of custodians unless they were made with --role agent.',
    });
  }
  if (agents > AGENTS_MAX) {
    throw new AegisError('BAD_REQUEST', `a cluster has at most ${AGENTS_MAX} agents`);
  }
}

/**
 * Reads genesis bytes and checks every bundle in them.
 * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`, `BAD_SIGNATURE`, `BAD_REQUEST`.
 */
export function openGenesis(bytes: Uint8Array): Genesis {
  const value = decode(bytes, { maxBytes: GENESIS_BYTES_MAX });
  const names = ['name', 'createdAt', 'replicas', 'custodians', 'agents'];
  const record = new RecordReader(value, 'genesis', names, GENESIS_VERSION);
  const lists = {
    custodian: record.byteStrings('custodians', CUSTODIANS_MAX, BUNDLE_LIMIT_BYTES),
    agent: record.byteStrings('agents', AGENTS_MAX, BUNDLE_LIMIT_BYTES),
  };
  checkCounts(lists.custodian.length, lists.agent.length);
  const custodians = readMembers(lists.custodian, 'custodian');
  const agents = readMembers(lists.agent, 'agent');
  const members = [...custodians, ...agents];
  checkDistinct(members);
  return {
    clusterId: clusterIdOf(bytes),
    name: checkLabel('cluster name', record.text('name', { maxBytes: LABEL_BYTES_MAX })),
    createdAt: record.time('createdAt'),
    replicas: record.integer('replicas', 1, 16),
    custodians,
    agents,
    members,
  };
}

/** One genesis has one encoding: each list in order, each member in the list of its role. */
function readMembers(bundles: readonly Uint8Array[], role: Role): Member[] {
  const members = bundles.map((bundle) => memberOf(openBundle(bundle)));
  for (const [index, member] of members.entries()) {
    const before = members[index - 1];
    if (before !== undefined && before.nodeId > member.nodeId) {
      throw new AegisError('BAD_ENCODING', `the ${role}s of the genesis are not in order`);
    }
    if (member.role !== role) {
      throw new AegisError('BAD_ENCODING', `the genesis has another role among its ${role}s`);
    }
  }
  return members;
}

/** The text form, for files and mails. */
export const genesisToText = (bytes: Uint8Array): string => toArmour('GENESIS', bytes);

/**
 * The bytes of a text form.
 * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. `openGenesis` checks what is inside.
 */
export const genesisFromText = (text: string): Uint8Array =>
  fromArmour('GENESIS', text, GENESIS_BYTES_MAX);
