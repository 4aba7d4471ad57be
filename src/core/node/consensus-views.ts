/** How agreement looks to an operator: the answers of the topic `consensus`. */

import type {
  BlockSummary,
  ConsensusStatus,
  EvidenceEntry,
  Explanation,
  Who,
} from '../api/contract/consensus.ts';
import { SIGNED_OF_LAST } from '../api/contract/consensus.ts';
import type { Query, Result } from '../api/contract/endpoints.ts';
import { BLOCKS_RECENT_MAX } from '../api/contract/events.ts';
import { assert } from '../assert.ts';
import { hex } from '../bytes.ts';
import type { ChainStatus, Conflict, Divergence, Finalised } from '../chain/chain.ts';
import { decodeEvidence, encodeEvidence } from '../consensus/evidence.ts';
import { EVIDENCE_TABLE } from '../consensus/journal.ts';
import type { Certificate, Evidence } from '../consensus/types.ts';
import { sha256 } from '../crypto/hash.ts';
import { AegisError } from '../errors.ts';
import type { Block } from '../model/block.ts';
import type { Genesis } from '../model/genesis.ts';
import { peerIdOf } from '../model/identity.ts';
import { readIntent } from '../model/intent.ts';
import type { ChainStore } from '../storage/chain-store.ts';
import { MIB } from '../units.ts';
import type { ArchivedBlock } from './block-archive.ts';
import type { ChainRoom } from './chain-room.ts';
import type { Duplicities, Duplicity } from './duplicities.ts';
import { changeView } from './intent-views.ts';

export interface ConsensusViewsDeps {
  readonly genesis: Genesis;
  /** Node id of this node. */
  readonly self: string;
  readonly room: ChainRoom;
  readonly store: ChainStore;
  isConnected(nodeId: string): boolean;
  /** Whether two daemons with its identity have been there at one time. */
  runsTwice(nodeId: string): boolean;
  readonly duplicities: Pick<Duplicities, 'all' | 'count'>;
  /** V4. */
  readonly protocolMax: number;
  /** S8: by the chain, or by what hello has shown. */
  isFrozen(nodeId: string): boolean;
}

/** Blocks read in one piece for a list. */
const PAGE_BLOCKS = 16;
const PAGE_BYTES_MAX = 16 * MIB;
const EVIDENCE_MAX = 1000;
const KEY_MISSING = 'its consensus key in force is not in this home, or its signer is away';

export class ConsensusViews {
  readonly #deps: ConsensusViewsDeps;
  /** The last final blocks, the highest last. */
  readonly #recent: BlockSummary[] = [];
  readonly #evidenceAt = new Map<string, number>();
  #evidence = 0;

  constructor(deps: ConsensusViewsDeps) {
    this.#deps = deps;
  }

  /** Reads what is shown without asking the disk each time. */
  async open(): Promise<void> {
    const { height } = this.#deps.room.chain;
    const first = Math.max(1, height - BLOCKS_RECENT_MAX + 1);
    this.#recent.push(...(await this.#summaries(first, height)));
    this.#evidence = (await this.#evidenceRows()).length;
  }

  /** Takes a final block among those that are shown. */
  add(block: Finalised): BlockSummary {
    const { height, digest, time, proposer, view, intents, sizeBytes, certificate } = block;
    const facts = { height, digest, view, intents, sizeBytes };
    const summary = { ...facts, ...this.#signers(certificate), ...this.#made(proposer, time) };
    this.#recent.push(summary);
    if (this.#recent.length > BLOCKS_RECENT_MAX) this.#recent.shift();
    return summary;
  }

  accused(evidence: Evidence): void {
    this.#evidence += 1;
    this.#evidenceAt.set(hex(sha256(encodeEvidence(evidence))), Date.now());
  }

  recent(): BlockSummary[] {
    return [...this.#recent];
  }

  custodians(): Who[] {
    return this.#deps.room.chain.custodians().nodeIds.map((nodeId) => this.who(nodeId));
  }

  who(nodeId: string): Who {
    return { nodeId, name: this.#deps.room.chain.roster.author(nodeId)?.name ?? null };
  }

  status(): ConsensusStatus {
    const { room, self } = this.#deps;
    const status = room.chain.status();
    const { height } = room;
    // Of what goes on in memory, which may be further than what may be shown.
    const open = room.chain.height + 1;
    const { nodeIds: custodians } = room.chain.custodians();
    const isCustodian = custodians.includes(self);
    const ids = (indices: readonly number[]) => indices.map((index) => custodians[index]!);
    return {
      height,
      digest: this.#digestOf(height),
      lastFinalAt: timeOf(room.rounds.lastFinalAt),
      role: isCustodian ? 'custodian' : 'agent',
      view: status.view,
      viewSince: timeOf(status.viewSince),
      leader: this.#member(status.leader, open),
      phase: status.phase,
      timeoutMs: status.timeoutMs,
      custodians: custodians.length,
      faultyMax: status.faultyMax,
      quorum: status.quorum,
      connected: custodians.filter((nodeId) => this.#isConnected(nodeId)).length,
      isVoting: status.isVoting,
      doubt: status.doubt ?? null,
      votes: { prepare: ids(status.votes.prepare), commit: ids(status.votes.commit) },
      timeouts: ids(status.timeouts),
      missing: this.#missing(status),
      passedOver: status.passedOver.map((index) => this.#member(index, open)),
      refused: this.#refused(open),
      keyMissing: isCustodian && status.keyMissing ? KEY_MISSING : null,
      keyElsewhere: status.keyElsewhere ?? null,
      runTwice: this.custodians().filter(({ nodeId }) => this.#deps.runsTwice(nodeId)),
      behind: Math.max(0, status.lag),
      mempool: {
        intents: status.mempool.intents,
        sizeBytes: status.mempool.bytes,
        own: room.desk.pendingCount,
      },
      finalMsP50: room.rounds.finalMs(0.5),
      finalMsP95: room.rounds.finalMs(0.95),
      evidence: this.#evidence + this.#deps.duplicities.count,
      ...this.#faults(status),
    };
  }

  /** Of the last height that may be shown; null: there is none. */
  #digestOf(height: number): string | null {
    const tip = this.#deps.room.chain.tip();
    if (height > 0 && tip.height === height) return tip.digest;
    return this.#recent.findLast((block) => block.height === height)?.digest ?? null;
  }

  #faults({ divergence }: ChainStatus) {
    const { room, protocolMax: max } = this.#deps;
    const { version, raise } = room.chain.protocol();
    const { conflict } = room.faults;
    const lies = room.faults.lies();
    return {
      divergence: divergence === undefined ? null : divergenceView(divergence),
      conflict: conflict === undefined ? null : this.#conflictView(conflict),
      liars: lies.map(({ nodeId, what, height, at }) => {
        return { ...this.who(nodeId), what, height, at: timeText(at) };
      }),
      protocol: { version, max, raise: raise ?? null },
    };
  }

  #conflictView({ height, ours, theirs, from }: Conflict) {
    return { height, ours, theirs, from: this.who(from) };
  }

  async blocks({ from, limit }: Query<'consensus.blocks'>): Promise<Result<'consensus.blocks'>> {
    const { height } = this.#deps.room;
    const highest = Math.min(from ?? height, height);
    const lowest = Math.max(1, highest - limit + 1);
    const blocks = await this.#summaries(lowest, highest);
    const last = blocks[0]?.height ?? 1;
    return { blocks: blocks.toReversed(), height, next: last > 1 ? last - 1 : null };
  }

  async block(height: number): Promise<Result<'consensus.block'>> {
    const { room, genesis } = this.#deps;
    const archived = await room.archive.block(height);
    const { header, digest, bytes } = archived.block;
    const signed = archived.block.intents.map((one) => readIntent(one, genesis).signed);
    const receipts = await room.archive.receipts(signed.map(({ id }) => id));
    const { view, signers, signature } = archived.certificate;
    return {
      height: header.height,
      digest,
      previous: hex(header.previous),
      time: timeText(header.time),
      proposer: this.who(header.proposer),
      view: header.view,
      intents: signed.map(({ id, intent, statement }, n) => ({
        id,
        author: intent.author,
        authorName: this.who(intent.author).name,
        sequence: intent.sequence,
        statement: statement?.type ?? null,
        changes: intent.changes.map(changeView),
        result: receipts[n]?.result ?? 'unchanged',
        reason: receipts[n]?.reason ?? null,
      })),
      intentsRoot: hex(header.intentsRoot),
      stateRoot: hex(header.stateRoot),
      sizeBytes: bytes.length,
      seedProof: header.seedProof === undefined ? null : hex(header.seedProof),
      certificate: {
        view,
        signers: signers.map((index) => this.#member(index, archived.certificate.height)),
        signature: hex(signature),
      },
    };
  }

  async validators(): Promise<Result<'consensus.validators'>> {
    const { room, self } = this.#deps;
    const { height } = room;
    const status = room.chain.status();
    const first = Math.max(1, height - SIGNED_OF_LAST + 1);
    const certificates = await room.archive.certificates(first, height);
    const validators = room.chain.custodians().nodeIds.map((nodeId, index) => {
      const signed = certificates.filter(({ signers, height: at }) => {
        return signers.includes(this.#idsAt(at).indexOf(nodeId));
      });
      return {
        ...this.who(nodeId),
        index,
        ...this.#keysOf(nodeId),
        self: nodeId === self,
        connected: this.#isConnected(nodeId),
        isLeader: index === status.leader,
        passedOver: status.passedOver.includes(index),
        lastSignedHeight: signed.at(-1)?.height ?? null,
        signedOfLast: signed.length,
      };
    });
    const { view, quorum } = status;
    return { validators, height, view, quorum, blocks: certificates.length };
  }

  #keysOf(nodeId: string) {
    const member = this.#deps.room.chain.roster.get(nodeId);
    assert(member !== undefined, 'a custodian is a member');
    const { zone, keys: state } = member;
    const { keys, keyEpoch, expiresAt } = state;
    return {
      zone,
      consensusKey: hex(keys.consensusKey),
      keyEpoch,
      peerId: peerIdOf(keys.networkKey),
      frozen: this.#deps.isFrozen(nodeId),
      expiresAt: timeText(expiresAt.consensus),
    };
  }

  async explain(height: number): Promise<Explanation> {
    const { room } = this.#deps;
    if (height > room.height + 1 || height < 1) {
      throw new AegisError('NOT_FOUND', `nothing is decided at height ${height} yet`);
    }
    const isOpen = height === room.height + 1;
    const archived = isOpen ? undefined : await room.archive.block(height);
    const { quorum } = room.chain.status();
    const seen = room.rounds.get(height);
    const certified = archived === undefined ? undefined : this.#signers(archived.certificate);
    const signers =
      archived?.certificate.signers.map((index) =>
        this.#member(index, archived.certificate.height),
      ) ?? [];
    return {
      height,
      state: isOpen ? 'open' : 'final',
      ...headerView(archived?.block),
      proposer: archived === undefined ? null : this.who(archived.block.header.proposer),
      finalView: archived?.certificate.view ?? null,
      signers,
      absent: certified?.absent.map((nodeId) => this.who(nodeId)) ?? [],
      quorum,
      views: this.#views(height, archived),
      timing: {
        startedAt: timeOf(seen?.startedAt),
        proposedAt: timeOf(seen?.proposedAt),
        preparedAt: timeOf(seen?.preparedAt),
        finalAt: timeOf(seen?.finalAt),
      },
    };
  }

  async evidence(): Promise<Result<'consensus.evidence'>> {
    const rows = await this.#evidenceRows();
    const evidence = [
      ...rows.map((bytes) => this.#evidenceView(bytes)),
      ...this.#deps.duplicities.all().map((one) => this.#duplicityView(one)),
    ];
    return { evidence, total: evidence.length };
  }

  #views(height: number, archived: ArchivedBlock | undefined): Explanation['views'] {
    const seen = this.#deps.room.rounds.get(height)?.views ?? [];
    const finalView = archived?.certificate.view;
    const views = seen.map((one) => ({
      view: one.view,
      leader: this.#member(one.leader, height),
      outcome: outcomeOf(one.view, finalView, seen.at(-1)?.view),
      startedAt: timeOf(one.startedAt),
      endedAt: timeOf(one.endedAt),
      proposed: one.isProposed,
      timeouts: one.timeouts.map((index) => this.#member(index, height)),
    }));
    const known = views.some(({ view }) => view === finalView);
    if (archived === undefined || known) return views;
    const leader = this.who(archived.block.header.proposer);
    const facts = { startedAt: null, endedAt: null, proposed: null, timeouts: [] };
    return [...views, { view: archived.certificate.view, leader, outcome: 'final', ...facts }];
  }

  #missing({ phase, votes, timeouts, leader }: ChainStatus): ConsensusStatus['missing'] {
    const { self, room } = this.#deps;
    const { nodeIds } = room.chain.custodians();
    const heard: Readonly<Record<ChainStatus['phase'], readonly number[] | undefined>> = {
      idle: undefined,
      'catch-up': undefined,
      propose: nodeIds.map((_, index) => index).filter((index) => index !== leader),
      prepare: votes.prepare,
      commit: votes.commit,
      timeout: timeouts,
    };
    const isAwaited = (index: number) => heard[phase]?.includes(index) === false;
    return nodeIds.flatMap((nodeId, index) => {
      const connected = this.#isConnected(nodeId);
      if (nodeId === self || (connected && !isAwaited(index))) return [];
      return [{ ...this.who(nodeId), connected, lastHeardAt: timeOf(room.heardAt(nodeId)) }];
    });
  }

  #refused(height: number): ConsensusStatus['refused'] {
    const refused = this.#deps.room.rounds.refused;
    if (refused?.height !== height) return null;
    const { view, proposer, reason, detail, at } = refused;
    return { view, proposer: this.who(proposer), reason, detail, at: timeText(at) };
  }

  /** Ascending; where they are large only the highest of them. */
  async #summaries(from: number, upTo: number): Promise<BlockSummary[]> {
    const pages: BlockSummary[][] = [];
    let bytes = 0;
    for (let to = upTo; to >= from && bytes < PAGE_BYTES_MAX; to -= PAGE_BLOCKS) {
      const page = await this.#deps.room.archive.blocks(Math.max(from, to - PAGE_BLOCKS + 1), to);
      for (const { block } of page) bytes += block.bytes.length;
      pages.unshift(page.map((archived) => this.#summary(archived)));
    }
    return pages.flat();
  }

  #summary({ block: { header, digest, bytes }, certificate }: ArchivedBlock): BlockSummary {
    const { height, view, intents, proposer, time } = header;
    const facts = { height, digest, view, intents, sizeBytes: bytes.length };
    return { ...facts, ...this.#signers(certificate), ...this.#made(proposer, time) };
  }

  #made(proposer: string, time: number) {
    return { proposer: this.who(proposer), time: timeText(time) };
  }

  #signers({ signers, height }: Certificate): { signers: number; absent: string[] } {
    const absent = this.#idsAt(height).filter((_, index) => !signers.includes(index));
    return { signers: signers.length, absent: [...absent] };
  }

  /** E1: an index is that among the custodians of its height. */
  #member(index: number, height: number): Who {
    return this.who(this.#idsAt(height)[index] ?? '');
  }

  /** Node ids of the custodians of a height, in their order. */
  #idsAt(height: number): readonly string[] {
    const { chain } = this.#deps.room;
    if (height > chain.height) return chain.custodians().nodeIds;
    const handover = chain.handovers().findLast((one) => one.height < height);
    const custodians = handover?.custodians ?? this.#deps.genesis.custodians;
    return custodians.map(({ nodeId }) => nodeId);
  }

  #isConnected(nodeId: string): boolean {
    return nodeId === this.#deps.self || this.#deps.isConnected(nodeId);
  }

  async #evidenceRows(): Promise<Uint8Array[]> {
    const query = { table: EVIDENCE_TABLE, from: '', to: '~', limit: EVIDENCE_MAX };
    return (await this.#deps.store.range(query)).map(({ value }) => value);
  }

  #duplicityView({ nodeId, number, digests, bytes }: Duplicity): EvidenceEntry {
    return {
      ...{ id: hex(sha256(bytes)), kind: 'duplicity', custodian: this.who(nodeId) },
      ...{ height: number, view: 0, signed: [...digests], at: null },
      bytes: Buffer.from(bytes).toString('base64'),
    };
  }

  #evidenceView(bytes: Uint8Array): EvidenceEntry {
    const evidence = decodeEvidence(bytes);
    const { kind, custodian, height, view, claims } = evidence;
    const id = hex(sha256(bytes));
    return {
      id,
      kind,
      custodian: this.#member(custodian, height),
      height,
      view,
      signed: claims.map((claim) => claimText(claim)),
      at: timeOf(this.#evidenceAt.get(id)),
      bytes: Buffer.from(bytes).toString('base64'),
    };
  }
}

const divergenceView = ({ height, ours, theirs, key, path }: Divergence) => ({
  ...{ height, ours, theirs },
  ...{ key: key ?? null, path: path ?? null },
});

function headerView(block: Block | undefined) {
  if (block === undefined) return { digest: null, time: null, intents: null, view: null };
  const { time, intents, view } = block.header;
  return { digest: block.digest, time: timeText(time), intents, view };
}

function outcomeOf(view: number, final: number | undefined, last: number | undefined) {
  if (view === final) return 'final' as const;
  return final === undefined && view === last ? ('open' as const) : ('failed' as const);
}

const claimText = ({ digest, highView }: Evidence['claims'][number]): string =>
  digest ?? (highView === undefined ? 'none' : String(highView));

const timeText = (ms: number): string => new Date(ms).toISOString();
const timeOf = (ms: number | undefined): string | null => (ms === undefined ? null : timeText(ms));
