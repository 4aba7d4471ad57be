/** What the commands of `cluster` share: how a genesis is read, described and shown. */

import type { ClusterMember } from '../core/api/contract/cluster.ts';
import { hex } from '../core/bytes.ts';
import type { HomePaths } from '../core/config/home.ts';
import { AegisError } from '../core/errors.ts';
import { statIfPresent } from '../core/files.ts';
import { fingerprint } from '../core/model/bundle.ts';
import {
  GENESIS_BYTES_MAX,
  type Genesis,
  genesisFromText,
  type Member,
  openGenesis,
} from '../core/model/genesis.ts';
import { peerIdOf, shortId } from '../core/model/identity.ts';
import { readDocument } from './documents.ts';
import { facts, table } from './format.ts';
import { safeText } from './text.ts';

export interface ClusterFacts {
  clusterId: string;
  fingerprint: string;
  name: string;
  createdAt: string;
  replicas: number;
  custodians: ClusterMember[];
  agents: ClusterMember[];
}

export function describeCluster(genesis: Genesis, ownNodeId: string | undefined): ClusterFacts {
  const { clusterId, name, createdAt, replicas, custodians, agents } = genesis;
  const describe = (member: Member) => describeMember(member, ownNodeId);
  return {
    clusterId,
    fingerprint: fingerprint(clusterId),
    name,
    createdAt: new Date(createdAt).toISOString(),
    replicas,
    custodians: custodians.map(describe),
    agents: agents.map(describe),
  };
}

const describeMember = (member: Member, ownNodeId: string | undefined): ClusterMember => ({
  nodeId: member.nodeId,
  name: member.name,
  role: member.role,
  zone: member.zone,
  region: member.region,
  fingerprint: fingerprint(member.nodeId),
  peerId: peerIdOf(member.networkKey),
  consensusKey: hex(member.consensusKey),
  vrfKey: hex(member.vrfKey),
  addresses: [...member.addresses],
  storageWeight: member.storageWeight,
  self: member.nodeId === ownNodeId,
});

export function clusterText(cluster: ClusterFacts): string {
  const head = facts([
    ['cluster', safeText(cluster.name)],
    ['cluster id', cluster.clusterId],
    ['fingerprint', cluster.fingerprint],
    ['created', cluster.createdAt],
    ['replicas', String(cluster.replicas)],
    ['custodians', String(cluster.custodians.length)],
    ['agents', cluster.agents.length === 0 ? undefined : String(cluster.agents.length)],
  ]);
  const members = table(
    [...cluster.custodians, ...cluster.agents],
    [
      {
        title: 'NAME',
        cell: (member) => (member.self ? `${member.name} (this node)` : member.name),
      },
      { title: 'NODE', cell: (member) => shortId(member.nodeId) },
      { title: 'ROLE', cell: (member) => member.role },
      { title: 'ZONE', cell: (member) => member.zone },
      { title: 'FINGERPRINT', cell: (member) => member.fingerprint },
      { title: 'ADDRESSES', cell: (member) => member.addresses.join(' ') },
    ],
  );
  return `${head}\n\n${members}`;
}

/** Genesis bytes of the text form, or as they lie in a home. */
export function genesisBytes(bytes: Uint8Array): Uint8Array {
  const text = Buffer.from(bytes).toString('latin1');
  return text.trimStart().startsWith('-----BEGIN') ? genesisFromText(text) : bytes;
}

/**
 * The genesis of this home.
 * @throws {AegisError} `NOT_FOUND` when the home has joined no cluster, `BAD_ENCODING` when the
 * file is damaged.
 */
export async function ownGenesis(
  paths: HomePaths,
): Promise<{ genesis: Genesis; bytes: Uint8Array }> {
  if ((await statIfPresent(paths.genesis)) === undefined) {
    throw new AegisError('NOT_FOUND', `the node at ${paths.label} is in no cluster yet`, {
      hint: 'Make one: aegis cluster create; or join one: aegis cluster join GENESIS',
    });
  }
  const bytes = await readDocument(paths.genesis, GENESIS_BYTES_MAX);
  return { genesis: openGenesis(bytes), bytes };
}

/**
 * Whether this home has this very genesis already.
 * @throws {AegisError} `EXISTS` when it has another one.
 */
export async function hasGenesis(paths: HomePaths, bytes: Uint8Array): Promise<boolean> {
  if ((await statIfPresent(paths.genesis)) === undefined) return false;
  const before = await readDocument(paths.genesis, GENESIS_BYTES_MAX);
  if (Buffer.compare(before, bytes) === 0) return true;
  throw new AegisError('EXISTS', `the node at ${paths.label} is in another cluster already`, {
    hint: 'See it: aegis cluster show. For one more: aegis cluster join FILE --cluster NAME',
  });
}

/** @throws {AegisError} `BAD_REQUEST` when the node of this home is not among the members. */
export function checkMember(genesis: Genesis, nodeId: string): void {
  if (genesis.members.some((member) => member.nodeId === nodeId)) return;
  throw new AegisError('BAD_REQUEST', 'the node of this home is not among the members', {
    hint: 'Its bundle is needed when the cluster is made: aegis cluster bundle --out me.bundle',
  });
}
