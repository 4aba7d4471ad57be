/**
 * The genesis of a cluster: its first custodians, by their signed bundles. Its hash is the cluster
 * id. Nobody signs it: whoever joins by it has chosen it, and compares the cluster id.
 */
import { base32 } from '../crypto/base32.ts';
import { sha256 } from '../crypto/hash.ts';
import { AegisError } from '../errors.ts';
import { fromArmour, toArmour } from './armour.ts';
import { type OpenBundle, openBundle } from './bundle.ts';
import { decode, encode } from './cbor.ts';
import { checkLabel, LABEL_BYTES_MAX } from './identity.ts';
import { RecordReader } from './record.ts';

const CUSTODIANS_MAX = 256;
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
  /** In the order of their node ids. */
  readonly custodians: readonly Member[];
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
  addresses: bundle.addresses,
  storageWeight: bundle.storageWeight,
});

const byNodeId = (a: { nodeId: string }, b: { nodeId: string }): number =>
  a.nodeId < b.nodeId ? -1 : Number(a.nodeId > b.nodeId);

/** @throws {AegisError} `BAD_REQUEST` when two custodians share an id, a key or a name. */
function checkDistinct(members: readonly Member[]): void {
  const seen = new Map<string, Member>();
  for (const member of members) {
    const marks = [
      ['node id', member.nodeId],
      ['identity key', Buffer.from(member.identityKey).toString('hex')],
      ['network key', Buffer.from(member.networkKey).toString('hex')],
      ['name', member.name],
    ] as const;
    for (const [what, value] of marks) {
      const other = seen.get(`${what} ${value}`);
      if (other !== undefined) {
        throw new AegisError(
          'BAD_REQUEST',
          `two custodians have the same ${what}: ${other.name} and ${member.name}`,
          { hint: 'Give each node once, and each node its own name.' },
        );
      }
      seen.set(`${what} ${value}`, member);
    }
  }
}

/**
 * Makes genesis bytes from signed bundles.
 * @throws {AegisError} `BAD_REQUEST` for none, too many or duplicates; what `openBundle` throws.
 */
export function createGenesis(fields: {
  readonly name: string;
  readonly createdAt: number;
  readonly bundles: readonly Uint8Array[];
}): Uint8Array {
  const { name, createdAt, bundles } = fields;
  const custodians = bundles.map(openBundle).toSorted(byNodeId);
  checkCount(custodians.length);
  checkDistinct(custodians.map(memberOf));
  return encode({
    v: 1,
    type: 'genesis',
    name: checkLabel('cluster name', name),
    createdAt,
    replicas: DEFAULT_REPLICAS,
    custodians: custodians.map((custodian) => custodian.bytes),
  });
}

function checkCount(count: number): void {
  if (count < 1 || count > CUSTODIANS_MAX) {
    throw new AegisError('BAD_REQUEST', `a cluster has 1 to ${CUSTODIANS_MAX} custodians`);
  }
}

/**
 * Reads genesis bytes and checks every bundle in them.
 * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`, `BAD_SIGNATURE`, `BAD_REQUEST`.
 */
export function openGenesis(bytes: Uint8Array): Genesis {
  const value = decode(bytes, { maxBytes: GENESIS_BYTES_MAX });
  const names = ['name', 'createdAt', 'replicas', 'custodians'];
  const record = new RecordReader(value, 'genesis', names);
  const bundles = record.byteStrings('custodians', CUSTODIANS_MAX, BUNDLE_LIMIT_BYTES);
  const custodians = bundles.map((bundle) => memberOf(openBundle(bundle)));
  checkCount(custodians.length);
  checkDistinct(custodians);
  for (const [index, custodian] of custodians.entries()) {
    const before = custodians[index - 1];
    if (before !== undefined && before.nodeId > custodian.nodeId) {
      throw new AegisError('BAD_ENCODING', 'the custodians of the genesis are not in order');
    }
  }
  return {
    clusterId: clusterIdOf(bytes),
    name: checkLabel('cluster name', record.text('name', { maxBytes: LABEL_BYTES_MAX })),
    createdAt: record.time('createdAt'),
    replicas: record.integer('replicas', 1, 16),
    custodians,
  };
}

/** The text form, for files and mails. */
export const genesisToText = (bytes: Uint8Array): string => toArmour('GENESIS', bytes);

/**
 * The bytes of a text form.
 * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. `openGenesis` checks what is inside.
 */
export const genesisFromText = (text: string): Uint8Array =>
  fromArmour('GENESIS', text, GENESIS_BYTES_MAX);
