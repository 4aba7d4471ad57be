/** All endpoints by name. Only the server, the generators and the tests import this at run time. */
import type * as v from 'valibot';
import * as anchors from './anchors.ts';
import * as chain from './chain.ts';
import * as consensus from './consensus.ts';
import * as errors from './errors.ts';
import * as events from './events.ts';
import * as governance from './governance.ts';
import * as intents from './intents.ts';
import * as kb from './kb.ts';
import * as copies from './kb-copies.ts';
import * as find from './kb-find.ts';
import * as merge from './kb-merge.ts';
import * as space from './kb-space.ts';
import * as versions from './kb-versions.ts';
import * as membership from './membership.ts';
import * as node from './node.ts';
import * as peers from './peers.ts';
import * as rights from './rights.ts';
import type { RouteName } from './routes.ts';
import * as succession from './succession.ts';
import * as tor from './tor.ts';

export const ENDPOINTS = {
  'node.status': node.nodeStatus,
  'node.info': node.nodeInfo,
  'node.wait': node.nodeWait,
  'node.stop': node.nodeStop,
  'node.backup': node.nodeBackup,
  'node.drain': copies.nodeDrain,
  'node.metrics': node.nodeMetrics,
  'peers.list': peers.peersList,
  'peers.show': peers.peersShow,
  'peers.add': peers.peersAdd,
  'peers.remove': peers.peersRemove,
  'peers.ping': peers.peersPing,
  'peers.find': peers.peersFind,
  'peers.why': peers.peersWhy,
  'peers.audit': peers.peersAudit,
  'peers.isolate': peers.peersIsolate,
  'peers.ban': peers.peersBan,
  'peers.unban': peers.peersUnban,
  'keys.status': succession.keysStatus,
  'keys.seal': succession.keysSeal,
  'keys.adopt': succession.keysAdopt,
  'keys.session': succession.keysSession,
  'keys.history': succession.keysHistory,
  'cluster.members': membership.clusterMembers,
  'cluster.invite': membership.clusterInvite,
  'cluster.leave': membership.clusterLeave,
  'cluster.propose': governance.clusterPropose,
  'cluster.approve': governance.clusterApprove,
  'cluster.proposals': governance.clusterProposals,
  'cluster.state': governance.clusterState,
  'cluster.quotas': governance.clusterQuotas,
  'consensus.status': consensus.consensusStatus,
  'consensus.blocks': consensus.consensusBlocks,
  'consensus.block': consensus.consensusBlock,
  'consensus.validators': consensus.consensusValidators,
  'consensus.explain': consensus.consensusExplain,
  'consensus.evidence': consensus.consensusEvidence,
  'chain.prune': chain.chainPrune,
  'intents.submit': intents.intentsSubmit,
  'intents.list': intents.intentsList,
  'intents.show': intents.intentsShow,
  'intents.cancel': intents.intentsCancel,
  'intents.anchor': anchors.intentsAnchor,
  'intents.anchors': anchors.intentsAnchors,
  'intents.relay': anchors.intentsRelay,
  'kb.put': kb.kbPut,
  'kb.get': kb.kbGet,
  'kb.each': versions.kbEach,
  'kb.revert': versions.kbRevert,
  'kb.rm': versions.kbRm,
  'kb.diff': versions.kbDiff,
  'kb.conflicts': merge.kbConflicts,
  'kb.resolve': merge.kbResolve,
  'kb.watch': versions.kbWatch,
  'kb.find': find.kbFind,
  'kb.ls': kb.kbLs,
  'kb.log': kb.kbLog,
  'kb.stat': kb.kbStat,
  'kb.where': kb.kbWhere,
  'kb.status': copies.kbStatus,
  'kb.repair': copies.kbRepair,
  'kb.scrub': copies.kbScrub,
  'kb.gc': space.kbGc,
  'kb.space': space.kbSpace,
  'kb.pin': space.kbPin,
  'kb.unpin': space.kbUnpin,
  'kb.pins': space.kbPins,
  'kb.proof': kb.kbProof,
  'kb.rights': rights.kbRights,
  'kb.grant': rights.kbGrant,
  'kb.revoke': rights.kbRevoke,
  'kb.erase': rights.kbErase,
  'tor.status': tor.torStatus,
  'tor.route': tor.torRoute,
  'tor.check': tor.torCheck,
  'tor.circuits': tor.torCircuits,
  'tor.newnym': tor.torNewnym,
  'tor.onion': tor.torOnion,
  'tor.renew': tor.torRenew,
  events: events.events,
  'failures.show': errors.failuresShow,
} as const;

type Of<N extends RouteName> = (typeof ENDPOINTS)[N];
/** The query after defaults have been filled in: what a backend gets. */
export type Query<N extends RouteName> = v.InferOutput<Of<N>['query']>;
/** The query as a caller gives it. */
export type QueryInput<N extends RouteName> = v.InferInput<Of<N>['query']>;
export type Body<N extends RouteName> = v.InferOutput<Of<N>['body']>;
export type BodyInput<N extends RouteName> = v.InferInput<Of<N>['body']>;
/** The reply without `schema`: what a backend returns. */
export type Result<N extends RouteName> = v.InferOutput<Of<N>['result']>;
/** The reply as sent. */
export type Reply<N extends RouteName> = v.InferOutput<Of<N>['reply']>;
