/**
 * Blocks of the first height that is not final: those that were proposed, checked or voted for. The
 * latest have the state after them at hand (execute before vote). What was voted for is durable,
 * and stays until the height is decided.
 */
import { assert } from '../assert.ts';
import { BLOCK_BYTES_MAX, type Block, createBlock } from '../model/block.ts';
import { readIntent, type SignedIntent } from '../model/intent.ts';
import type { Instant } from '../units.ts';
import {
  custodiansAfter,
  endsEpoch,
  executeUpon,
  type Judgement,
  judge,
  leadersAfter,
  type RuleContext,
  seedOf,
} from './block-rules.ts';
import { LIMITS } from './limits.ts';
import type { Mempool } from './mempool.ts';
import { type OpenedBlock, openBlockBytes } from './opened-block.ts';
import { blockKey, TABLES } from './rows.ts';
import { seedAlpha } from './seeds.ts';
import type { Turn } from './turn.ts';

interface Candidate {
  readonly bytes: Uint8Array;
  readonly height: number;
  opened: OpenedBlock | undefined;
  /** Forgotten when there are many; executing it again gives the same. */
  judgement: Judgement | undefined;
  isDurable: boolean;
}

/** What of a block is neither intent nor their framing. */
const HEADER_SLACK_BYTES = 2048;
const FRAME_BYTES = 5;
const INTENT_BYTES = BLOCK_BYTES_MAX - HEADER_SLACK_BYTES - LIMITS.blockIntents * FRAME_BYTES;

export class Candidates {
  readonly #context: RuleContext;
  readonly #mempool: Mempool;
  /** By digest, in the order in which they came. */
  readonly #all = new Map<string, Candidate>();
  /** Keys of durable ones that were too many: deleted when the height is decided. */
  #dropped: string[] = [];
  /** Digests of those that were too many, until the owner hears of them. */
  #forgotten: string[] = [];

  constructor(context: RuleContext, mempool: Mempool) {
    this.#context = context;
    this.#mempool = mempool;
  }

  get size(): number {
    return this.#all.size;
  }

  has(digest: string): boolean {
    return this.#all.has(digest);
  }

  bytes(digest: string): Uint8Array | undefined {
    return this.#all.get(digest)?.bytes;
  }

  block(digest: string): Block | undefined {
    const candidate = this.#all.get(digest);
    return candidate === undefined ? undefined : this.#opened(candidate).block;
  }

  /** One that was durable when the node started. */
  restore(height: number, digest: string, bytes: Uint8Array): void {
    const rest = { opened: undefined, judgement: undefined, isDurable: true };
    this.#all.set(digest, { bytes, height, ...rest });
  }

  add(opened: OpenedBlock, keep?: string): void {
    const { digest, bytes, header } = opened.block;
    if (this.#all.has(digest)) return;
    const rest = { opened, judgement: undefined, isDurable: false };
    this.#all.set(digest, { bytes, height: header.height, ...rest });
    this.#bound(keep);
  }

  /** What was dropped since the last call: consensus must not count on it any more. */
  takeForgotten(): readonly string[] {
    const forgotten = this.#forgotten;
    this.#forgotten = [];
    return forgotten;
  }

  /** Adds the block of a payload, unless it is here. Its signatures were verified when it came. */
  addBytes(bytes: Uint8Array, digest: string, keep?: string): void {
    if (this.#all.has(digest)) return;
    this.add(openBlockBytes(bytes, this.#openOptions, []), keep);
  }

  /** Whether the block of `digest`, which must be here, follows the last final one. */
  judge(digest: string): Judgement {
    const candidate = this.#all.get(digest)!;
    const judgement = candidate.judgement ?? this.#judge(candidate);
    candidate.judgement = judgement;
    this.#forgetStates(candidate);
    return judgement;
  }

  /** The same of a final block, which need not be kept among those that are undecided. */
  judgeFinal(opened: OpenedBlock): Judgement {
    const known = this.#all.get(opened.block.digest)?.judgement;
    return known ?? judge(this.#context, opened.block, this.#intents(opened), true);
  }

  /** Makes the bytes durable in this transaction, if they are not yet. */
  persist(turn: Turn, digest: string): void {
    const candidate = this.#all.get(digest)!;
    if (candidate.isDurable) return;
    candidate.isDurable = true;
    turn.persist(TABLES.blocks, blockKey(candidate.height, digest), candidate.bytes);
  }

  /**
   * A block of what waits, upon the last final one.
   * @param keep the one that must not be dropped for it.
   * @returns its digest; `nothing` waits; or the seed proof that it needs was `refused`.
   */
  build(
    view: number,
    proposer: string,
    now: Instant,
    keep?: string,
  ): { readonly digest: string } | 'nothing' | 'refused' {
    const { clusterId, ledger, leaders, seeds } = this.#context;
    const { tip } = ledger;
    const height = tip.height + 1;
    const time = Math.max(now, (tip.header?.time ?? 0) + 1);
    const intents = this.#mempool.takeAll(INTENT_BYTES, LIMITS.blockIntents, time);
    if (intents.length === 0) return 'nothing';
    const executed = executeUpon(this.#context, { height, time }, intents);
    const tree = ledger.tree.update(executed.changes);
    const seedProof = endsEpoch(leaders, height)
      ? seeds.prove(height, seedAlpha(leaders.seed(height), leaders.epochOf(height)))
      : undefined;
    // Without the proof it would be no block (K3, G2).
    if (seedProof === undefined && endsEpoch(leaders, height)) return 'refused';
    const header = {
      clusterId,
      height,
      previous: new Uint8Array(Buffer.from(tip.digest, 'hex')),
      time,
      proposer,
      view,
      protocol: ledger.protocol,
      ...(seedProof === undefined ? {} : { seedProof }),
      stateRoot: tree.root,
      custodians: custodiansAfter(this.#context, executed).digest,
    };
    const seed = seedOf(this.#context, header);
    assert(typeof seed !== 'string', 'an own seed proof holds');
    const after = leadersAfter(this.#context, header, executed, seed);
    const block = createBlock(
      { ...header, leaders: after.digest },
      intents.map(({ bytes }) => bytes),
    );
    const digests = intents.map(({ digest }) => digest);
    this.add({ block, digests, intents }, keep);
    const candidate = this.#all.get(block.digest)!;
    const result = { ...executed, block, intents, tree, seed, leaders: after };
    candidate.judgement = { isValid: true, executed: result };
    return { digest: block.digest };
  }

  /** The height is decided: the others are deleted. Those of later heights stay. */
  decide(turn: Turn, height: number, digest: string): void {
    // It may be one that was dropped, and fetched again when it was decided.
    const decided = blockKey(height, digest);
    for (const key of this.#dropped) {
      if (key !== decided) turn.persist(TABLES.blocks, key, undefined);
    }
    this.#dropped = [];
    this.#forgotten = [];
    for (const [other, candidate] of this.#all) {
      if (candidate.height > height) {
        // What it was judged by is over.
        candidate.judgement = undefined;
        continue;
      }
      this.#all.delete(other);
      if (candidate.isDurable && other !== digest) {
        turn.persist(TABLES.blocks, blockKey(candidate.height, other), undefined);
      }
    }
  }

  #judge(candidate: Candidate): Judgement {
    const opened = this.#opened(candidate);
    return judge(this.#context, opened.block, this.#intents(opened));
  }

  #opened(candidate: Candidate): OpenedBlock {
    candidate.opened ??= openBlockBytes(candidate.bytes, this.#openOptions, []);
    return candidate.opened;
  }

  get #openOptions() {
    return {
      ...this.#readContext,
      isKnown: (digest: string) => this.#mempool.get(digest) !== undefined,
    };
  }

  #intents({ block, digests, intents }: OpenedBlock): SignedIntent[] {
    return digests.map((digest, at) => {
      const known = intents[at] ?? this.#mempool.get(digest);
      return known ?? readIntent(block.intents[at]!, this.#readContext).signed;
    });
  }

  get #readContext() {
    const { clusterId, ledger } = this.#context;
    return { clusterId, names: ledger.names };
  }

  /** Only the latest, and the one that is asked about, keep the state after them. */
  #forgetStates(wanted: Candidate): void {
    if (this.#all.size <= LIMITS.undecidedStates) return;
    const judged = [...this.#all.values()].filter(
      (candidate) => candidate.judgement !== undefined && candidate !== wanted,
    );
    for (const candidate of judged.slice(0, -LIMITS.undecidedStates)) {
      candidate.judgement = undefined;
      candidate.opened = undefined;
    }
  }

  /**
   * More than one a view takes many views without a decision. The oldest goes, not the one that
   * consensus may come back to.
   */
  #bound(keep: string | undefined): void {
    if (this.#all.size <= LIMITS.undecidedBlocks) return;
    const old = [...this.#all].slice(0, -1).filter(([digest]) => digest !== keep);
    const [digest, candidate] = old.find(([, { isDurable }]) => !isDurable) ?? old[0]!;
    this.#all.delete(digest);
    this.#forgotten.push(digest);
    if (candidate.isDurable) this.#dropped.push(blockKey(candidate.height, digest));
  }
}
