/** What the commands of the topic `cluster` print. They work on files; no daemon is asked. */
import * as v from 'valibot';
import { clusterState } from './governance.ts';
import { address, count, nodeId, time, word } from './values.ts';

const fingerprint = v.pipe(v.string(), v.description('eight groups of four hexadecimal digits'));

const role = v.picklist(['custodian', 'agent']);
const hex = v.pipe(v.string(), v.hexadecimal());

const member = v.object({
  nodeId,
  name: word,
  role,
  zone: word,
  region: word,
  fingerprint,
  peerId: word,
  /** BLS12-381: votes. */
  consensusKey: hex,
  /** Edwards25519: seeds of the order of leaders. */
  vrfKey: hex,
  addresses: v.array(address),
  storageWeight: count,
  /** Whether it is the node of this home. */
  self: v.boolean(),
});
export type ClusterMember = v.InferOutput<typeof member>;

const cluster = {
  clusterId: v.pipe(v.string(), v.startsWith('aegisc1')),
  fingerprint,
  name: word,
  createdAt: time,
  replicas: count,
  custodians: v.array(member),
  /** Members that do not vote. */
  agents: v.array(member),
};

/** From where a recovered cluster goes on. */
const recovery = v.object({
  clusterId: v.pipe(v.string(), v.startsWith('aegisc1')),
  height: count,
  /** Of the state after that height. */
  stateRoot: hex,
});
export type RecoveryView = v.InferOutput<typeof recovery>;

/** `aegis cluster bundle` */
export const clusterBundleResult = v.object({
  schema: v.literal('aegis.cluster.bundle/1'),
  nodeId,
  name: word,
  fingerprint,
  role,
  addresses: v.array(address),
  storageWeight: count,
  /** What its signer agrees to; `null`: a bundle for a new cluster. */
  recovery: v.nullable(recovery),
  /** The text form, as others need it. */
  bundle: v.string(),
  /** `null` when it went to standard output. */
  out: v.nullable(word),
});
export type ClusterBundleResult = v.InferOutput<typeof clusterBundleResult>;

/** `aegis cluster create` */
export const clusterCreateResult = v.object({
  schema: v.literal('aegis.cluster.create/1'),
  ...cluster,
  /** The text form, as others need it for `cluster join`. */
  genesis: v.string(),
  /** `null` when it was written into this home only, or to standard output. */
  out: v.nullable(word),
});
export type ClusterCreateResult = v.InferOutput<typeof clusterCreateResult>;

/** What an invitation says. */
const invitation = v.object({
  /** 16 bytes in hexadecimal. */
  id: hex,
  inviter: v.object({ nodeId, name: word }),
  createdAt: time,
  expiresAt: time,
});
export type InvitationView = v.InferOutput<typeof invitation>;

/** `aegis cluster join` */
export const clusterJoinResult = v.object({
  schema: v.literal('aegis.cluster.join/1'),
  ...cluster,
  /** `null` when the genesis names this node. */
  invitation: v.nullable(invitation),
  /** The cluster from whose state this one goes on; `null`: it is new. */
  recovery: v.nullable(recovery),
  /** False when this home was in the cluster before. */
  joined: v.boolean(),
});
export type ClusterJoinResult = v.InferOutput<typeof clusterJoinResult>;

/** `aegis cluster list` */
export const clusterListResult = v.object({
  schema: v.literal('aegis.cluster.list/1'),
  clusters: v.array(
    v.object({
      /** What `--cluster` takes; `default` is the one without a name. */
      cluster: word,
      /** `null`: its genesis is damaged, and so below. */
      clusterId: v.nullable(cluster.clusterId),
      name: v.nullable(word),
      /** Whether a daemon runs for it. */
      running: v.boolean(),
      pid: v.nullable(count),
      /** Left out of the home by `cluster forget`. */
      forgotten: v.boolean(),
      /** Entries of the own succession that are final there, as far as the home knows. */
      number: count,
      /** Where its data is. */
      directory: word,
    }),
  ),
});
export type ClusterListResult = v.InferOutput<typeof clusterListResult>;

/** `aegis cluster forget` */
export const clusterForgetResult = v.object({
  schema: v.literal('aegis.cluster.forget/1'),
  cluster: word,
  clusterId: cluster.clusterId,
  directory: word,
  /** False when it was left out before. */
  forgotten: v.boolean(),
});
export type ClusterForgetResult = v.InferOutput<typeof clusterForgetResult>;

/** `aegis cluster recover` */
export const clusterRecoverResult = v.object({
  schema: v.literal('aegis.cluster.recover/1'),
  ...recovery.entries,
  /** What every custodian gives to `cluster bundle --recover`. */
  consent: v.string(),
  /** The cluster that goes on; `null` without bundles. */
  cluster: v.nullable(v.object(cluster)),
  /** The text form, as others need it for `cluster join`; `null` without bundles. */
  genesis: v.nullable(v.string()),
  /** `null` when it went to standard output, or was not made. */
  out: v.nullable(word),
  /** Where the state was written. */
  state: v.nullable(word),
});
export type ClusterRecoverResult = v.InferOutput<typeof clusterRecoverResult>;

/** `aegis cluster rejoin` */
export const clusterRejoinResult = v.object({
  schema: v.literal('aegis.cluster.rejoin/1'),
  ...cluster,
  invitation,
});
export type ClusterRejoinResult = v.InferOutput<typeof clusterRejoinResult>;

/** `aegis cluster show` */
export const clusterShowResult = v.object({
  schema: v.literal('aegis.cluster.show/1'),
  ...cluster,
  /** As of the last final block; `null`: no daemon runs for this home. */
  state: v.nullable(v.omit(clusterState.result, ['clusterId', 'clusterName'])),
});
export type ClusterShowResult = v.InferOutput<typeof clusterShowResult>;
