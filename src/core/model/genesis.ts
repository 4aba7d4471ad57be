/**
 * The genesis of a cluster: its first custodians and agents, by their signed bundles. Its hash is
 * the cluster id. Nobody signs it: whoever joins by it has chosen it, and compares the cluster id.
 * A recovery genesis goes on from the state of an older cluster (R1); it does not hold that state.
 */
import { hex, sameBytes } from '../bytes.ts';
import { base32 } from '../crypto/base32.ts';
import { sha256 } from '../crypto/hash.ts';
import { AegisError } from '../errors.ts';
import { type Verified, verified } from '../units.ts';
import { fromArmour, toArmour } from './armour.ts';
import {
  BUNDLE_BYTES_MAX,
  type OpenBundle,
  openBundle,
  type Recovery,
  type Role,
} from './bundle.ts';
import { decode, encode } from './cbor.ts';
import {
  CUSTODIANS_MAX,
  type CustodianEntry,
  custodianPairs,
  readCustodians,
} from './custodians.ts';
import { checkLabel, LABEL_BYTES_MAX } from './identity.ts';
import { NAME_KEY_BYTES, Names, nameKeyOf } from './names.ts';
import { PROTOCOL } from './protocol.ts';
import { RecordReader } from './record.ts';
import { ENVELOPE_BYTES_MAX } from './signed.ts';
import type { KeySet, KeyState, SignedSuccession } from './succession.ts';

const AGENTS_MAX = 256;
/** 1 had no agents and no keys of consensus; 2 no successions; 3 no protocol and no names. */
const GENESIS_VERSION = 4;
export const GENESIS_BYTES_MAX = 4 * 1024 * 1024;

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
  /** The keys that it began with. */
  readonly origin: KeyState;
  /** The keys that its bundle ends with; those above are of them. */
  readonly keys: KeyState;
  /** Signed. */
  readonly inceptionBytes: Uint8Array;
  /** The entries of its bundle, all since the inception. */
  readonly succession: readonly Verified<SignedSuccession>[];
}

/** From where a recovered cluster goes on (R1). */
export interface Origin extends Recovery {
  /** The key of names of the oldest cluster of the line: the state goes on under them. */
  readonly names: Uint8Array;
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
  /** The version by which the first block is executed (V1). */
  readonly protocol: number;
  /** By which the state and the blocks call paths. */
  readonly names: Names;
  /** A recovery genesis names it. */
  readonly origin?: Origin;
}

const DEFAULT_REPLICAS = 3;

const GENESIS_NAMES = [
  'name',
  'createdAt',
  'replicas',
  'protocol',
  'custodians',
  'bundles',
  'origin',
];

const clusterIdOf = (bytes: Uint8Array): string => `aegisc1${base32(sha256(bytes))}`;

/** Whether `text` has the form of a cluster id. Says nothing about its existence. */
const isClusterId = (text: string): boolean => /^aegisc1[a-z2-7]{52}$/.test(text);

const memberOf = (opened: Verified<OpenBundle>): Member => {
  const { nodeId, inception, bundle, origin, keys } = opened;
  const { identityKey, networkKey, consensusKey, vrfKey } = keys.keys;
  return {
    nodeId,
    name: inception.name,
    zone: inception.zone,
    region: inception.region,
    identityKey,
    networkKey,
    role: bundle.role,
    consensusKey,
    vrfKey,
    addresses: bundle.addresses,
    storageWeight: bundle.storageWeight,
    origin,
    keys,
    inceptionBytes: bundle.inception,
    // Opening the bundle has verified each of them.
    succession: opened.succession.map((entry) => verified(entry)),
  };
};

const byNodeId = (a: { nodeId: string }, b: { nodeId: string }): number =>
  a.nodeId < b.nodeId ? -1 : Number(a.nodeId > b.nodeId);

type Mark = readonly [what: string, value: string];

/** What no two members share: S6 for the keys that they have, and those that they have had. */
const marksOf = (opened: OpenBundle): readonly Mark[] => {
  const { identityKey, networkKey, onionKey } = opened.inception;
  const entries = opened.succession.map(({ succession }) => succession.keys);
  return [
    ['node id', opened.nodeId],
    ...keyMarks({ ...opened.bundle, identityKey, networkKey, onionKey }),
    ...entries.flatMap(keyMarks),
    ['name', opened.inception.name],
  ];
};

const keyMarks = (keys: Omit<KeySet, 'nextIdentityDigest'>): readonly Mark[] => [
  ['identity key', hex(keys.identityKey)],
  ['network key', hex(keys.networkKey)],
  ['consensus key', hex(keys.consensusKey)],
  ['VRF key', hex(keys.vrfKey)],
  ['onion key', hex(keys.onionKey)],
];

/** @throws {AegisError} `BAD_REQUEST` when two members share an id, a key or a name. */
function checkDistinct(bundles: readonly OpenBundle[]): void {
  const seen = new Map<string, { readonly name: string; readonly bundle: OpenBundle }>();
  for (const bundle of bundles) {
    const { name } = bundle.inception;
    for (const [what, value] of marksOf(bundle)) {
      const other = seen.get(`${what} ${value}`);
      if (other !== undefined && other.bundle !== bundle) {
        throw new AegisError(
          'BAD_REQUEST',
          `two members have the same ${what}: ${other.name} and ${name}`,
          { hint: 'Give each node once, and each node its own name.' },
        );
      }
      seen.set(`${what} ${value}`, { name, bundle });
    }
  }
}

/**
 * Makes genesis bytes from signed bundles. Their roles say who is a custodian. When the custodians
 * agree to a recovery, it is a recovery genesis.
 * @throws {AegisError} `BAD_REQUEST` for no custodian, too many, duplicates, or custodians that
 * agree to different recoveries; what `openBundle` throws.
 */
export function createGenesis(fields: {
  readonly name: string;
  readonly createdAt: number;
  readonly bundles: readonly Uint8Array[];
  /** The key of names of the cluster before: needed for a recovery, and of no effect without. */
  readonly names?: Uint8Array;
  /** Of the first block (V1). @default the latest that this program knows */
  readonly protocol?: number;
}): Uint8Array {
  const { name, createdAt, bundles, names, protocol = PROTOCOL.max } = fields;
  const opened = bundles.map(openBundle).toSorted(byNodeId);
  const of = (role: Role) => opened.filter(({ bundle }) => bundle.role === role);
  const [custodians, agents] = [of('custodian'), of('agent')];
  checkCounts(custodians.length, agents.length);
  checkDistinct(opened);
  const recovery = recoveryOf(opened);
  if (recovery !== undefined && names === undefined) {
    throw new AegisError('BAD_REQUEST', 'the bundles agree to a recovery, not to a new cluster', {
      hint: 'Where the state is: aegis cluster recover BUNDLE...',
    });
  }
  return encode({
    v: GENESIS_VERSION,
    type: 'genesis',
    name: checkLabel('cluster name', name),
    createdAt,
    replicas: DEFAULT_REPLICAS,
    protocol,
    custodians: custodianPairs(custodians.map(entryOf)),
    bundles: opened.map(({ bytes }) => bytes),
    ...(recovery === undefined ? {} : { origin: { ...recovery, names } }),
  });
}

/**
 * R1: what all custodians have agreed to. An agent may not have been there to agree, but does not
 * agree to anything else.
 */
function recoveryOf(bundles: readonly OpenBundle[]): Recovery | undefined {
  const custodian = bundles.find(({ bundle }) => bundle.role === 'custodian');
  const agreed = custodian?.bundle.recovery;
  for (const { bundle, inception } of bundles) {
    const isAbsent = bundle.role === 'agent' && bundle.recovery === undefined;
    if (isAbsent || isSame(bundle.recovery, agreed)) continue;
    throw new AegisError(
      'BAD_REQUEST',
      `not the same recovery is named by all: ${inception.name}`,
      {
        hint: 'Every custodian makes a bundle for the recovery, at one height of one cluster.',
      },
    );
  }
  return agreed;
}

const isSame = (a: Recovery | undefined, b: Recovery | undefined): boolean =>
  a === undefined || b === undefined
    ? a === b
    : a.clusterId === b.clusterId &&
      a.height === b.height &&
      Buffer.compare(a.stateRoot, b.stateRoot) === 0;

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
 * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`, `BAD_SIGNATURE`, `BAD_REQUEST`, `BAD_DATA`.
 */
export function openGenesis(bytes: Uint8Array): Genesis {
  const value = decode(bytes, { maxBytes: GENESIS_BYTES_MAX });
  const record = new RecordReader(value, 'genesis', GENESIS_NAMES, GENESIS_VERSION);
  const entries = readCustodians(record.item('custodians'));
  const bundleBytesMax = BUNDLE_BYTES_MAX + ENVELOPE_BYTES_MAX;
  const bundles = record.byteStrings('bundles', CUSTODIANS_MAX + AGENTS_MAX, bundleBytesMax);
  const opened = readBundles(bundles);
  const of = (role: Role) => opened.filter(({ bundle }) => bundle.role === role);
  const [custodians, agents] = [of('custodian'), of('agent')];
  checkCounts(custodians.length, agents.length);
  checkDistinct(opened);
  checkEntries(entries, custodians);
  const origin = record.has('origin') ? readOrigin(record.item('origin')) : undefined;
  if (!isSame(recoveryOf(opened), origin)) {
    throw new AegisError('BAD_ENCODING', 'the genesis has another origin than its bundles');
  }
  const members = { custodians: custodians.map(memberOf), agents: agents.map(memberOf) };
  return {
    clusterId: clusterIdOf(bytes),
    name: checkLabel('cluster name', record.text('name', { maxBytes: LABEL_BYTES_MAX })),
    createdAt: record.time('createdAt'),
    replicas: record.integer('replicas', 1, 16),
    protocol: record.integer('protocol', 1),
    names: new Names(origin?.names ?? nameKeyOf(bytes)),
    ...members,
    members: [...members.custodians, ...members.agents],
    ...(origin === undefined ? {} : { origin }),
  };
}

const entryOf = ({ nodeId, keys }: OpenBundle): CustodianEntry => ({
  nodeId,
  consensusKey: keys.keys.consensusKey,
});

/** A verifier of proofs reads the list alone, so it is that of the signed bundles. */
function checkEntries(entries: readonly CustodianEntry[], custodians: readonly OpenBundle[]): void {
  const isSameEntry = ({ nodeId, consensusKey }: CustodianEntry, at: number): boolean =>
    nodeId === entries[at]?.nodeId && sameBytes(consensusKey, entries[at].consensusKey);
  if (entries.length === custodians.length && custodians.map(entryOf).every(isSameEntry)) return;
  throw new AegisError('BAD_ENCODING', 'the genesis has other custodians than its bundles');
}

function readOrigin(value: unknown): Origin {
  const names = ['clusterId', 'height', 'stateRoot', 'names'];
  const record = new RecordReader(value, 'origin', names, null);
  const origin: Origin = {
    clusterId: record.text('clusterId', { maxBytes: 64 }),
    height: record.integer('height', 0),
    stateRoot: record.bytes('stateRoot', { length: 32 }),
    names: record.bytes('names', { length: NAME_KEY_BYTES }),
  };
  if (isClusterId(origin.clusterId)) return origin;
  throw new AegisError('BAD_ENCODING', 'the origin of the genesis names what is not a cluster id');
}

/** One genesis has one encoding: the bundles are in the order of node ids. */
function readBundles(bundles: readonly Uint8Array[]): Verified<OpenBundle>[] {
  const opened = bundles.map(openBundle);
  for (const [index, { nodeId }] of opened.entries()) {
    const before = opened[index - 1];
    if (before !== undefined && before.nodeId > nodeId) {
      throw new AegisError('BAD_ENCODING', 'the bundles of the genesis are not in order');
    }
  }
  return opened;
}

/** The text form, for files and mails. */
export const genesisToText = (bytes: Uint8Array): string => toArmour('GENESIS', bytes);

/**
 * The bytes of a text form.
 * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. `openGenesis` checks what is inside.
 */
export const genesisFromText = (text: string): Uint8Array =>
  fromArmour('GENESIS', text, GENESIS_BYTES_MAX);
