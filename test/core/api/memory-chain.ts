/** The part of the memory backend that has a chain: one block an intent, decided at once. */
import { createHash } from 'node:crypto';
import type { BlockSummary, ConsensusStatus } from '../../../src/core/api/contract/consensus.ts';
import type { Body, Query, Result } from '../../../src/core/api/contract/endpoints.ts';
import type { IntentEntry } from '../../../src/core/api/contract/intents.ts';
import { AegisError } from '../../../src/core/errors.ts';

const id = (letter: string): string => `aegis1${letter.repeat(52)}`;
export const ALICE = { nodeId: id('a'), name: 'alice' };
export const BOB = { nodeId: id('b'), name: 'bob' };
export const CAROL = { nodeId: id('c'), name: 'carol' };
export const DAVE = { nodeId: id('d'), name: 'dave' };
export const CUSTODIANS = [ALICE, BOB, CAROL, DAVE];
const STARTED = '2026-11-20T12:00:00.000Z';

export const hex = (text: string): string => createHash('sha256').update(text).digest('hex');

export function consensusStatus(overrides: Partial<ConsensusStatus> = {}): ConsensusStatus {
  return {
    height: 0,
    digest: null,
    lastFinalAt: null,
    role: 'custodian',
    view: 0,
    viewSince: null,
    leader: BOB,
    phase: 'idle',
    timeoutMs: 1000,
    custodians: 4,
    faultyMax: 1,
    quorum: 3,
    connected: 4,
    isVoting: true,
    doubt: null,
    votes: { prepare: [], commit: [] },
    timeouts: [],
    missing: [],
    passedOver: [],
    refused: null,
    keyMissing: null,
    keyElsewhere: null,
    behind: 0,
    mempool: { intents: 0, sizeBytes: 0, own: 0 },
    finalMsP50: null,
    finalMsP95: null,
    runTwice: [],
    evidence: 0,
    ...{ divergence: null, conflict: null, liars: [] },
    protocol: { version: 2, max: 2, raise: null },
    ...overrides,
  };
}

export class MemoryChain {
  /** The block at height 1 first. */
  readonly blocks: Result<'consensus.block'>[] = [];
  readonly intents = new Map<string, IntentEntry>();
  /** What differs from a healthy cluster; replaced by tests. */
  status: Partial<ConsensusStatus> = {};
  /** Without a quorum what is submitted stays pending. */
  hasQuorum = true;
  #sequence = 0;

  get height(): number {
    return this.blocks.length;
  }

  consensus(): ConsensusStatus {
    const last = this.blocks.at(-1);
    const pending = [...this.intents.values()].filter(({ status }) => status === 'pending').length;
    return consensusStatus({
      height: this.height,
      digest: last?.digest ?? null,
      lastFinalAt: last?.time ?? null,
      mempool: { intents: pending, sizeBytes: pending * 250, own: pending },
      evidence: this.evidence().total,
      ...this.status,
    });
  }

  summaries(): BlockSummary[] {
    return this.blocks.map(({ height, digest, time, proposer, view, sizeBytes, ...block }) => ({
      ...{ height, digest, time, proposer, view, sizeBytes },
      intents: block.intents.length,
      signers: block.certificate.signers.length,
      absent: CUSTODIANS.filter(
        ({ nodeId }) => !block.certificate.signers.some((signer) => signer.nodeId === nodeId),
      ).map(({ nodeId }) => nodeId),
    }));
  }

  list({ from, limit }: Query<'consensus.blocks'>): Result<'consensus.blocks'> {
    const below = this.summaries().filter(({ height }) => height <= (from ?? this.height));
    const blocks = below.toReversed().slice(0, limit);
    const lowest = blocks.at(-1)?.height ?? 1;
    return { blocks, height: this.height, next: lowest > 1 ? lowest - 1 : null };
  }

  block(height: number): Result<'consensus.block'> {
    const found = this.blocks[height - 1];
    if (found !== undefined) return found;
    throw new AegisError('NOT_FOUND', `height ${height} is not final here`);
  }

  validators(): Result<'consensus.validators'> {
    const validators = CUSTODIANS.map((who, index) => ({
      ...who,
      zone: 'z1',
      index,
      consensusKey: hex(who.name).repeat(2).slice(0, 96),
      ...{ keyEpoch: 0, peerId: `12D3KooW${who.name}`, frozen: false, expiresAt: null },
      self: index === 0,
      connected: true,
      isLeader: index === 1,
      passedOver: index === 3,
      lastSignedHeight: index === 3 || this.height === 0 ? null : this.height,
      signedOfLast: index === 3 ? 0 : this.height,
    }));
    return { validators, height: this.height, view: 0, quorum: 3, blocks: this.height };
  }

  explain(height: number) {
    const { digest, time, proposer, intents, certificate } = this.block(height);
    const views = [
      {
        ...{ view: 0, leader: DAVE, outcome: 'failed' as const, proposed: false },
        ...{ startedAt: STARTED, endedAt: '2026-11-20T12:00:01.000Z', timeouts: [ALICE, BOB] },
      },
    ];
    return {
      ...{ height, state: 'final' as const, digest, time, proposer, intents: intents.length },
      ...{ view: 1, finalView: 1, signers: certificate.signers, absent: [DAVE], quorum: 3, views },
      timing: { startedAt: STARTED, proposedAt: null, preparedAt: null, finalAt: time },
    };
  }

  evidence(): Result<'consensus.evidence'> {
    if (this.status.evidence === undefined) return { evidence: [], total: 0 };
    const entry = {
      ...{ id: hex('evidence'), kind: 'commit' as const, custodian: DAVE, height: 7, view: 2 },
      ...{ signed: [hex('one'), hex('two')], at: STARTED, bytes: 'aGVsbG8=' },
    };
    return { evidence: [entry], total: 1 };
  }

  submit({ intents, wait }: Body<'intents.submit'>): Result<'intents.submit'> {
    const entries = intents.map(({ changes }) => this.#one(changes));
    return { wait, intents: entries.map(({ author: _a, authorName: _n, ...fate }) => bare(fate)) };
  }

  intentList({ status, limit }: Query<'intents.list'>): Result<'intents.list'> {
    const all = [...this.intents.values()].toReversed();
    const chosen = all.filter((each) => status === undefined || each.status === status);
    const pending = all.filter((each) => each.status === 'pending').length;
    return { intents: chosen.slice(0, limit), pending };
  }

  intent(text: string): Result<'intents.show'> {
    const entry = this.#find(text);
    if (entry.status === 'pending') return { ...entry, proof: null };
    const intentsRoot = hex('intents');
    return { ...entry, proof: { index: 0, intents: 1, siblings: [], intentsRoot } };
  }

  cancel(text: string): Result<'intents.cancel'> {
    const { id: found, sequence, status, height } = this.#find(text);
    if (status === 'final') return { id: found, sequence, outcome: 'too-late', height };
    if (!this.hasQuorum) return { id: found, sequence, outcome: 'pending', height: null };
    this.intents.delete(found);
    return { id: found, sequence, outcome: 'cancelled', height: this.height + 1 };
  }

  /** The start of an id is enough. */
  #find(text: string): IntentEntry {
    const found = [...this.intents.values()].find((each) => each.id.startsWith(text));
    if (found !== undefined) return found;
    throw new AegisError('NOT_FOUND', `no intent ${text} is known here`);
  }

  #one(changes: Body<'intents.submit'>['intents'][number]['changes']): IntentEntry {
    const key = hex(JSON.stringify(changes));
    const before = this.intents.get(key);
    if (before !== undefined) return before;
    this.#sequence += 1;
    const isRefused = changes.some(({ expected }) => expected !== undefined && expected !== null);
    const entry: IntentEntry = {
      id: key,
      sequence: this.#sequence,
      status: this.hasQuorum ? 'final' : 'pending',
      height: this.hasQuorum ? this.height + 1 : null,
      result: this.hasQuorum ? (isRefused ? 'refused' : 'done') : null,
      reason: this.hasQuorum && isRefused ? 'conflict' : null,
      author: ALICE.nodeId,
      authorName: ALICE.name,
      time: STARTED,
      changes,
    };
    this.intents.set(key, entry);
    if (this.hasQuorum) this.#decide(entry);
    return entry;
  }

  #decide(entry: IntentEntry): void {
    const height = this.height + 1;
    this.blocks.push({
      height,
      digest: hex(`block ${height}`),
      previous: height === 1 ? '0'.repeat(64) : hex(`block ${height - 1}`),
      time: new Date(Date.parse(STARTED) + height * 1000).toISOString(),
      proposer: BOB,
      view: 0,
      intents: [{ ...bareIntent(entry), result: entry.result ?? 'done', reason: entry.reason }],
      intentsRoot: hex('intents'),
      stateRoot: hex(`state ${height}`),
      sizeBytes: 640,
      seedProof: null,
      certificate: { view: 0, signers: [ALICE, BOB, CAROL], signature: 'ab'.repeat(96) },
    });
  }
}

function bare({ time: _t, changes: _c, ...fate }: Omit<IntentEntry, 'author' | 'authorName'>) {
  return fate;
}

const bareIntent = ({ id: key, author, authorName, sequence, changes }: IntentEntry) => ({
  ...{ id: key, author, authorName, sequence, statement: null, changes },
});
