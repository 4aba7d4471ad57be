/**
 * What the server asks of the node behind it. `node/` implements this; the server knows nothing
 * else of a node. Every method may throw an AegisError, which becomes the reply.
 */

import type { ConsensusStatus, Explanation } from './contract/consensus.ts';
import type { Body, Query, Result } from './contract/endpoints.ts';
import type { Change, Snapshot } from './contract/events.ts';
import type { KbWatchRecord } from './contract/kb-versions.ts';
import type { Scope } from './contract/routes.ts';

/** What every call carries. */
export interface CallContext {
  /** Aborts when the caller hangs up, when an upload stalls, and when the server stops. */
  readonly signal: AbortSignal;
  readonly scope: Scope;
}

/** One file or empty directory of a tree. Files come in the order of the archive. */
export interface TreeEntry {
  /** Relative, `/` between parts, no `.` or `..`, valid UTF-8. */
  readonly path: string;
  readonly kind: 'file' | 'directory';
  /** 0 for a directory. The bytes are exactly as many. */
  readonly sizeBytes: number;
  /** Must be read to its end (or the iteration of the tree ended) before the next entry comes. */
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** What is uploaded. Chunks have any size; back-pressure is the pace of the iteration. */
export type Upload =
  | { readonly kind: 'file'; readonly bytes: AsyncIterable<Uint8Array> }
  | { readonly kind: 'directory'; readonly entries: AsyncIterable<TreeEntry> };

interface DownloadFacts {
  readonly path: string;
  /** Root of the content. */
  readonly cid: string;
  /** CID of the signed version. */
  readonly version: string;
  readonly sizeBytes: number;
  readonly final: boolean;
  /** At which the version became final; `null` when it is not, or not known any more. */
  readonly height: number | null;
  /** W17: conflicts of the merge that it is, at or around what is asked for; none unless given. */
  readonly conflicts?: number;
}

/** What is downloaded. An iteration that throws cuts the reply; the error stays askable. */
export type Download = DownloadFacts & Upload;

export interface WaitFor {
  readonly condition: 'ready' | 'peers' | 'height';
  /** Connected peers wanted; 0 unless `peers`. */
  readonly peers: number;
  /** The final height wanted; 0 unless `height`. */
  readonly height: number;
  readonly timeoutMs: number;
}

export interface TorBackend {
  status(): Promise<Result<'tor.status'>>;
  /** O6. A route that cannot begin is a result that says why. `BUSY`, `BAD_CONFIG`. */
  route(body: Body<'tor.route'>, context: CallContext): Promise<Result<'tor.route'>>;
  /** O21. @throws {AegisError} for a target that is not reached: each error of Tor's own. */
  check(body: Body<'tor.check'>, context: CallContext): Promise<Result<'tor.check'>>;
  /** @throws {AegisError} `ROUTE_FORBIDS` while the route is `off`, `TOR_UNREACHABLE`; so below. */
  circuits(query: Query<'tor.circuits'>, context: CallContext): Promise<Result<'tor.circuits'>>;
  newnym(body: Body<'tor.newnym'>, context: CallContext): Promise<Result<'tor.newnym'>>;
  onion(): Promise<Result<'tor.onion'>>;
  renew(body: Body<'tor.renew'>, context: CallContext): Promise<Result<'tor.renew'>>;
}

/** W2 to W6. */
export interface VersionsBackend {
  /** @throws {AegisError} as `put`; `NOT_FOUND`, `NOT_KEPT` for what there is no content of. */
  revert(body: Body<'kb.revert'>, context: CallContext): Promise<Result<'kb.revert'>>;
  /** @throws {AegisError} as `put`; `NOT_FOUND` for a path that was never written. */
  remove(body: Body<'kb.rm'>, context: CallContext): Promise<Result<'kb.rm'>>;
  /** What was written when it fails stays written, and is found unchanged by the next one. */
  putEach(
    query: Query<'kb.each'>,
    entries: AsyncIterable<TreeEntry>,
    context: CallContext,
  ): Promise<Result<'kb.each'>>;
  /** @throws {AegisError} `NOT_FOUND`, `NOT_REACHABLE`. */
  diff(query: Query<'kb.diff'>, context: CallContext): Promise<Result<'kb.diff'>>;
  /** Records until the signal aborts: `ready` first. A slow reader gets a `gap`. */
  watch(query: Query<'kb.watch'>, context: CallContext): AsyncIterable<KbWatchRecord>;
}

/** W17. */
export interface MergesBackend {
  conflicts(query: Query<'kb.conflicts'>): Promise<Result<'kb.conflicts'>>;
  /** @throws {AegisError} as `put`; `NOT_FOUND` where there is no conflict. */
  resolve(body: Body<'kb.resolve'>, context: CallContext): Promise<Result<'kb.resolve'>>;
}

/** W33 to W35. */
export interface SearchBackend {
  /** @throws {AegisError} `BAD_REQUEST`; `TRY_AGAIN` while the index is made anew. */
  find(query: Query<'kb.find'>, context: CallContext): Promise<Result<'kb.find'>>;
}

/** W28 to W32. */
export interface SpaceBackend {
  /**
   * Ends with the signal, whole or not.
   * @throws {AegisError} `BUSY` when another is under way, `STORE_DAMAGED` for a kept root that
   * lacks objects.
   */
  gc(body: Body<'kb.gc'>, context: CallContext): Promise<Result<'kb.gc'>>;
  space(): Promise<Result<'kb.space'>>;
  /** @throws {AegisError} `NOT_FOUND`, `NOT_REACHABLE`, `TIMEOUT`; nothing is pinned then. */
  pin(body: Body<'kb.pin'>, context: CallContext): Promise<Result<'kb.pin'>>;
  /** @throws {AegisError} `NOT_FOUND`. */
  unpin(body: Body<'kb.unpin'>): Promise<Result<'kb.unpin'>>;
  pins(query: Query<'kb.pins'>): Promise<Result<'kb.pins'>>;
}

export interface CopiesBackend {
  status(query: Query<'kb.status'>): Promise<Result<'kb.status'>>;
  /** @throws {AegisError} `NOT_FOUND`, `BAD_HASH` for what nobody has whole, `TIMEOUT`. */
  repair(body: Body<'kb.repair'>, context: CallContext): Promise<Result<'kb.repair'>>;
  scrub(body: Body<'kb.scrub'>): Promise<Result<'kb.scrub'>>;
  /** @throws {AegisError} `UNDER_REPLICATED` when the time is over; it goes on. */
  drain(body: Body<'node.drain'>, context: CallContext): Promise<Result<'node.drain'>>;
}

export interface Backend {
  status(): Promise<Result<'node.status'>>;
  info(): Promise<Result<'node.info'>>;
  /** @throws {AegisError} `TIMEOUT`. Resolves as soon as the condition holds. */
  wait(wanted: WaitFor, context: CallContext): Promise<void>;
  /** Begins the graceful stop and returns at once; the reply is sent before the server closes. */
  stop(): void;
  /** Resolves when the copy is durable. @throws {AegisError} `EXISTS`, `BUSY`, `DISK_FULL`. */
  backup(body: Body<'node.backup'>, context: CallContext): Promise<Result<'node.backup'>>;
  /** Prometheus text format. */
  metrics(): Promise<string>;

  peers(): Promise<Result<'peers.list'>>;
  /** `id` here and below: a node id, the start of one, a peer id or a name. `NOT_FOUND`. */
  peer(id: string): Promise<Result<'peers.show'>>;
  addPeer(body: Body<'peers.add'>, context: CallContext): Promise<Result<'peers.add'>>;
  removePeer(id: string, context: CallContext): Promise<Result<'peers.remove'>>;
  pingPeer(
    id: string,
    body: Body<'peers.ping'>,
    context: CallContext,
  ): Promise<Result<'peers.ping'>>;
  findPeer(
    id: string,
    query: Query<'peers.find'>,
    context: CallContext,
  ): Promise<Result<'peers.find'>>;
  whyPeer(id: string): Promise<Result<'peers.why'>>;

  /** Rule Y8. @throws {AegisError} `NOT_FOUND`, `NOT_REACHABLE`, `BAD_SIGNATURE`, `TIMEOUT`. */
  auditPeer(
    id: string,
    body: Body<'peers.audit'>,
    context: CallContext,
  ): Promise<Result<'peers.audit'>>;

  /** Replaces the set of nodes that this one keeps no connection with; volatile. */
  isolatePeers(body: Body<'peers.isolate'>, context: CallContext): Promise<Result<'peers.isolate'>>;

  /** Rule M4: survives restarts. @throws {AegisError} `NOT_FOUND`, `BAD_REQUEST` for itself. */
  banPeer(id: string, context: CallContext): Promise<Result<'peers.ban'>>;
  unbanPeer(id: string, context: CallContext): Promise<Result<'peers.unban'>>;

  keys(): Promise<Result<'keys.status'>>;
  /** Rule A3: so that the number that a succession seals stays true until it is handed in. */
  sealVersions(context: CallContext): Promise<Result<'keys.seal'>>;
  /**
   * Takes up what is prepared in `keys/pending`. Repeating it is harmless.
   * @throws {AegisError} `NOT_FOUND` without one, `NOT_FINAL` when the time is over (it stays
   * handed in), `CHECK_FAILED` with the reason when the custodians refuse it.
   */
  adoptKeys(query: Query<'keys.adopt'>, context: CallContext): Promise<Result<'keys.adopt'>>;
  rotateSession(context: CallContext): Promise<Result<'keys.session'>>;
  /** `id`: a node id, the start of one or a name; `self` is this node. `NOT_FOUND`. */
  keyHistory(id: string): Promise<Result<'keys.history'>>;
  members(query: Query<'cluster.members'>): Promise<Result<'cluster.members'>>;
  /** @throws {AegisError} `DENIED` to an agent. */
  invite(body: Body<'cluster.invite'>, context: CallContext): Promise<Result<'cluster.invite'>>;
  /** Rule M3. @throws {AegisError} `DENIED` to a custodian. */
  leave(body: Body<'cluster.leave'>, context: CallContext): Promise<Result<'cluster.leave'>>;

  /**
   * Rule E2: who proposes, approves. @throws {AegisError} `DENIED` to an agent, `NOT_FOUND` for a
   * member that there is not, `CHECK_FAILED` with the reason when the statement is refused,
   * `NOT_FINAL` when the time is over (it stays handed in).
   */
  propose(body: Body<'cluster.propose'>, context: CallContext): Promise<Result<'cluster.propose'>>;
  /** `id` may be the start of one. @throws {AegisError} as `propose`. Again is harmless. */
  approve(
    id: string,
    body: Body<'cluster.approve'>,
    context: CallContext,
  ): Promise<Result<'cluster.approve'>>;
  proposals(query: Query<'cluster.proposals'>): Promise<Result<'cluster.proposals'>>;
  clusterState(): Promise<Result<'cluster.state'>>;
  quotas(query: Query<'cluster.quotas'>): Promise<Result<'cluster.quotas'>>;

  /** The server adds `why`. @throws {AegisError} `NOT_FOUND` without a cluster; so do all below. */
  consensus(): Promise<ConsensusStatus>;
  blocks(query: Query<'consensus.blocks'>): Promise<Result<'consensus.blocks'>>;
  /** @throws {AegisError} `NOT_FOUND` for a height that is not final here. */
  block(height: number): Promise<Result<'consensus.block'>>;
  validators(): Promise<Result<'consensus.validators'>>;
  /** The server adds `verdict`. @throws {AegisError} `NOT_FOUND` above the height that is open. */
  explainBlock(height: number): Promise<Explanation>;
  evidence(): Promise<Result<'consensus.evidence'>>;

  /** Rule Z1. @throws {AegisError} `BUSY`, `DISK_FULL`: what was done until then stays done. */
  pruneChain(body: Body<'chain.prune'>, context: CallContext): Promise<Result<'chain.prune'>>;

  /**
   * Signs and queues all of them or none. Repeating what is pending or final gives the same ids
   * and changes nothing. With `wait: 'final'` resolves when all are decided or the time is up:
   * that some are pending still is a result, not an error.
   *
   * @throws {AegisError} `BUSY` when the queue has no room; `BAD_REQUEST`, `TOO_LARGE`, `DENIED`.
   */
  submitIntents(
    body: Body<'intents.submit'>,
    context: CallContext,
  ): Promise<Result<'intents.submit'>>;
  intents(query: Query<'intents.list'>): Promise<Result<'intents.list'>>;
  /** @throws {AegisError} `NOT_FOUND`, also for one that is not remembered any more. */
  intent(id: string): Promise<Result<'intents.show'>>;
  /** Puts an intent without changes in its place. @throws {AegisError} `NOT_FOUND`, `DENIED`. */
  cancelIntent(
    id: string,
    query: Query<'intents.cancel'>,
    context: CallContext,
  ): Promise<Result<'intents.cancel'>>;

  /**
   * Rule R4. @throws {AegisError} `CHECK_FAILED` when `previous` is not the last one, `NOT_FINAL`.
   */
  anchor(body: Body<'intents.anchor'>, context: CallContext): Promise<Result<'intents.anchor'>>;
  anchors(query: Query<'intents.anchors'>): Promise<Result<'intents.anchors'>>;
  /**
   * Rule Q3. @throws {AegisError} `OTHER_CLUSTER`, `REPLAYED`, `OUT_OF_ORDER`, `BAD_SIGNATURE`,
   * `BAD_ENCODING`: nothing of the request has been taken then.
   */
  relayIntents(body: Body<'intents.relay'>, context: CallContext): Promise<Result<'intents.relay'>>;

  /** Rules N1 to N4. @throws {AegisError} `NOT_ALLOWED`, `NOT_FOUND`, `NOT_FINAL`. */
  grant(body: Body<'kb.grant'>, context: CallContext): Promise<Result<'kb.grant'>>;
  revoke(body: Body<'kb.revoke'>, context: CallContext): Promise<Result<'kb.revoke'>>;
  erase(body: Body<'kb.erase'>, context: CallContext): Promise<Result<'kb.erase'>>;
  rights(query: Query<'kb.rights'>): Promise<Result<'kb.rights'>>;

  /**
   * @throws {AegisError} `EXISTS` when `ifVersion` does not hold, `UNDER_REPLICATED` and
   * `NOT_FINAL` when the wait is over before the version is where it should be; it stays queued.
   */
  put(query: Query<'kb.put'>, upload: Upload, context: CallContext): Promise<Result<'kb.put'>>;
  /** Resolves once the root and its size are known; the bytes may still have to be fetched. */
  get(query: Query<'kb.get'>, context: CallContext): Promise<Download>;
  list(query: Query<'kb.ls'>): Promise<Result<'kb.ls'>>;
  log(query: Query<'kb.log'>): Promise<Result<'kb.log'>>;
  stat(query: Query<'kb.stat'>): Promise<Result<'kb.stat'>>;
  where(query: Query<'kb.where'>): Promise<Result<'kb.where'>>;
  /**
   * @throws {AegisError} `TRY_AGAIN` before anything is final, `NOT_FOUND` for a version that is
   * not final and a checkpoint that is not here, `CHECK_FAILED` for one of another history,
   * `TOO_LARGE`.
   */
  proof(query: Query<'kb.proof'>, context: CallContext): Promise<Result<'kb.proof'>>;

  readonly tor: TorBackend;
  readonly versions: VersionsBackend;
  readonly merges: MergesBackend;
  readonly copies: CopiesBackend;
  readonly space: SpaceBackend;
  readonly search: SearchBackend;

  /** The state from which a reader of events starts. */
  snapshot(): Promise<Omit<Snapshot, 'type' | 'schema'>>;
  /** Calls back on every change until the returned function is called. Must never throw. */
  subscribe(listener: (change: Change) => void): () => void;
}
