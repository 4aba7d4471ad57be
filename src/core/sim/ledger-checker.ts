/**
 * The disk and the state: one chain. Certificates hold, blocks follow each other, every node that
 * is told a final height holds the same block there, nothing final is lost, only what clients
 * signed is decided, exactly once and in the order of each author, and every node's receipts and
 * refs are those that the simulator computes for itself.
 */
import type { Chain } from '../chain/chain.ts';
import {
  blockKey,
  type ChainRow,
  heightKey,
  META,
  readBase,
  readChainRow,
  TABLES,
} from '../chain/rows.ts';
import type { Finalised } from '../chain/types.ts';
import {
  decodeCertificate,
  encodeCertificate,
  verifyCertificate,
} from '../consensus/certificate.ts';
import type { VoteScheme } from '../consensus/scheme.ts';
import type { Certificate } from '../consensus/types.ts';
import { type Block, openBlock } from '../model/block.ts';
import { isMove } from '../model/change.ts';
import { type Move, readIntent, type SignedIntent } from '../model/intent.ts';
import { placeAt } from './clients.ts';
import type { SimCluster } from './consensus-tools.ts';
import type { SimNode } from './node.ts';
import { Polity } from './polity.ts';
import { type Heads, write } from './register.ts';
import { SimFailure } from './scenario.ts';
import type { Truth } from './truth.ts';

interface LedgerContext {
  readonly cluster: SimCluster;
  readonly verifier: VoteScheme;
  readonly truth: Truth;
  readonly isByzantine: (nodeId: string) => boolean;
  readonly isSubmitted: (digest: string) => boolean;
}

interface Decided {
  readonly digest: string;
  readonly block: Block;
  /** Of each intent, as this checker computes them. */
  readonly results: readonly Result[];
}

interface Result {
  readonly id: string;
  readonly isDone: boolean;
  /** The checker whose promise would be broken if it were otherwise. */
  readonly promise: string;
}

const NO_DIGEST = '0'.repeat(64);

export class LedgerChecker {
  readonly #context: LedgerContext;
  /** From height 1 on. */
  readonly #chain: Decided[] = [];
  /** By digest, where it was decided. */
  readonly #intents = new Map<string, number>();
  readonly #sequences = new Map<string, number>();
  readonly #refs = new Map<string, Heads>();
  /** Versions that say that there is nothing any more. */
  readonly #deletions = new Set<string>();
  /** Paths that an erasure has taken the name of. */
  readonly #nameless = new Set<string>();
  readonly polity: Polity;
  /** Digests of those that were decided, and by node id the number of the last entry. */
  readonly #statements = new Set<string>();
  readonly #numbers = new Map<string, number>();
  /** By node id, the highest height that it has told and has not lost with its disk. */
  readonly #told = new Map<string, number>();
  readonly #certificates = new Set<string>();
  /** By height, digests for which certificates were shown before the blocks. */
  readonly #certified = new Map<number, string>();
  /** Blocks whose header was made in a later view than 0. */
  laterViews = 0;
  /** Entries of successions that are final. */
  successions = 0;
  /** States that nodes have taken over. */
  snapshots = 0;

  constructor(context: LedgerContext) {
    this.#context = context;
    this.polity = new Polity(context.cluster);
  }

  /** Heights that are final somewhere. */
  get height(): number {
    return this.#chain.length;
  }

  get intents(): number {
    return this.#intents.size;
  }

  /** Where an intent was decided; undefined: nowhere. */
  placeOf(digest: string): number | undefined {
    return this.#intents.get(digest);
  }

  /** Whether some intent of this sequence was decided. */
  isUsed(author: string, sequence: number): boolean {
    return (this.#sequences.get(author) ?? 0) >= sequence;
  }

  onBoot(node: SimNode, chain: Chain): void {
    const told = this.#told.get(node.nodeId) ?? 0;
    if (chain.height < told) {
      fail('finality', node, `told ${told} to be final, and knows ${chain.height} after a start`);
    }
    this.#learn(node, chain.height);
    if (told > 0) this.#told.set(node.nodeId, chain.height);
  }

  /** Heights that a node made durable, and crashed before it told anybody. */
  #learn(node: SimNode, upTo: number): void {
    for (let height = this.#chain.length + 1; height <= upTo; height += 1) {
      this.#append(node, height, this.#kept(node, height).digest);
    }
  }

  #kept(node: SimNode, height: number): ChainRow {
    const row = node.disk.get(TABLES.chain, heightKey(height));
    if (row === undefined) fail('durability', node, `holds ${height} and does not keep it`);
    return readChainRow(row);
  }

  #agree(node: SimNode, height: number, digest: string): void {
    const decided = this.#chain[height - 1]!.digest;
    if (decided === digest) return;
    fail('agreement', node, `has ${digest} final at ${height}, others ${decided}`);
  }

  onDiskLoss(node: SimNode): void {
    this.#told.delete(node.nodeId);
  }

  onFinalised(node: SimNode, told: Finalised): void {
    const { height, digest, certificate } = told;
    this.#learn(node, height - 1);
    this.#checkCertificate(node, certificate, height);
    if (height > this.#chain.length) this.#append(node, height, digest);
    const decided = this.#chain[height - 1]!;
    this.#agree(node, height, digest);
    this.#checkReceipts(node, told, decided.results);
    const before = this.#told.get(node.nodeId);
    if (before !== undefined && height !== before + 1) {
      fail('finality', node, `tells height ${height} after ${before}`);
    }
    this.#told.set(node.nodeId, height);
  }

  #checkReceipts(node: SimNode, told: Finalised, results: readonly Result[]): void {
    const { receipts, height } = told;
    for (const [at, { id, isDone, promise }] of results.entries()) {
      const said = receipts[at];
      if (said?.id === id && (said.result !== 'refused') === isDone) continue;
      const what = `says ${said?.result} (${said?.reason ?? said?.id}) of entry ${at} at ${height}`;
      fail(promise, node, `${what}, which should be ${isDone ? 'done' : 'refused'}`);
    }
    if (receipts.length !== results.length) fail('execution', node, `has receipts for nothing`);
  }

  /** The node has taken over the state of a later height, and will go on from there. */
  onSnapshot(node: SimNode, height: number): void {
    if (height > this.#chain.length) fail('sync', node, `takes a state of ${height}, not final`);
    this.#told.set(node.nodeId, height);
    this.snapshots += 1;
  }

  /** The lowest height whose block a node need keep. */
  #baseOf(node: SimNode): number {
    const row = node.disk.get(TABLES.meta, META.base);
    return row === undefined ? 1 : readBase(row);
  }

  /** All that a node holds, at the end. */
  onSettled(node: SimNode, chain: Chain): void {
    const base = this.#baseOf(node);
    let certified = false;
    for (const [i, { digest }] of this.#chain.entries()) {
      const height = i + 1;
      if (height < base) continue;
      const kept = this.#kept(node, height);
      this.#agree(node, height, kept.digest);
      certified = kept.certificate !== undefined;
      if (kept.certificate !== undefined) {
        this.#checkCertificate(node, decodeCertificate(kept.certificate), height);
      }
      if (!node.disk.has(TABLES.blocks, blockKey(height, digest))) {
        fail('finality', node, `has lost block ${height}`);
      }
    }
    if (!certified && base <= this.#chain.length)
      fail('finality', node, 'cannot show its last block');
    this.#checkState(node, chain);
  }

  /** Refs, and the root that is the same everywhere. */
  #checkState(node: SimNode, chain: Chain): void {
    const last = this.#chain.at(-1);
    if (last !== undefined) {
      const { stateRoot } = chain.prove('doc 1');
      const isSame = Buffer.compare(stateRoot, last.block.header.stateRoot) === 0;
      if (!isSame) fail('execution', node, `has another state than the block of ${this.height}`);
    }
    for (const [path, heads] of this.#refs) {
      const ref = chain.ref(path)?.heads.map(({ version }) => version.toString()) ?? [];
      if (ref.toSorted().join(' ') !== heads.join(' ')) {
        fail('execution', node, `has ${ref.length} heads at ${path}, not ${heads.length}`);
      }
    }
  }

  #append(node: SimNode, height: number, digest: string): void {
    const bytes = node.disk.get(TABLES.blocks, blockKey(height, digest));
    if (bytes === undefined) fail('durability', node, `tells ${height} and does not hold it`);
    const block = openBlock(bytes);
    const { header } = block;
    const previous = this.#chain.at(-1)?.digest ?? NO_DIGEST;
    const isLinked = Buffer.from(header.previous).toString('hex') === previous;
    if (block.digest !== digest || header.height !== height || !isLinked) {
      fail('certificates', node, `has a block at ${height} that does not follow`);
    }
    if (header.time <= (this.#chain.at(-1)?.block.header.time ?? 0)) {
      fail('validity', node, `has a block at ${height} that is older than the one before`);
    }
    const certified = this.#certified.get(height);
    if (certified !== undefined && certified !== digest) {
      fail('agreement', node, `has ${digest} final at ${height}, others ${certified}`);
    }
    if (header.protocol !== this.polity.version) {
      fail('upgrade', node, `executes ${height} by version ${header.protocol}`);
    }
    if (header.view > 0) this.laterViews += 1;
    this.#chain.push({ digest, block, results: this.#execute(node, block) });
    const { truth } = this.#context;
    if (this.polity.end(height, header.time)) truth.change(height, this.polity.custodians);
    truth.advance(height);
    const { digest: next } = truth.at(height + 1);
    if (Buffer.compare(next, header.custodians) !== 0) {
      fail('membership', node, `names other custodians after ${height} than were decided`);
    }
  }

  /** By which the block of a height is executed; of the last ones it is not known yet. */
  versionAt(height: number): number {
    return this.#chain[height - 1]?.block.header.protocol ?? this.polity.version;
  }

  /** The block at a height that is final. */
  blockAt(height: number): Block | undefined {
    return this.#chain[height - 1]?.block;
  }

  #execute(node: SimNode, { header, intents }: Block): Result[] {
    const { height, time } = header;
    this.polity.begin();
    return intents.map((bytes, index): Result => {
      const { signed } = readIntent(bytes, this.#context.cluster);
      const { author, sequence } = signed.intent;
      if (signed.statement !== undefined) return this.#state(node, signed, height, time);
      if (!this.#context.isByzantine(author) && !this.#context.isSubmitted(signed.digest)) {
        fail('validity', node, `decides an intent of ${author} that nobody has submitted`);
      }
      if (this.#intents.has(signed.digest)) fail('validity', node, 'decides an intent twice');
      if (sequence !== (this.#sequences.get(author) ?? 0) + 1) {
        fail('validity', node, `decides sequence ${sequence} of ${author} out of order`);
      }
      this.#intents.set(signed.digest, placeAt(height, index));
      this.#sequences.set(author, sequence);
      return { id: signed.id, ...this.#apply(signed, time) };
    });
  }

  /** A statement that an operator has made. */
  #state(
    node: SimNode,
    { id, digest, statement }: SignedIntent,
    height: number,
    time: number,
  ): Result {
    if (statement === undefined || !this.#context.isSubmitted(digest)) {
      fail('validity', node, 'decides a statement that nobody has submitted');
    }
    if (statement.type !== 'succession') {
      this.#statements.add(digest);
      return { id, isDone: this.polity.state(statement, height, time), promise: 'membership' };
    }
    // Decided again it changes nothing.
    const result = { id, isDone: true, promise: 'execution' };
    if (this.#statements.has(digest)) return result;
    const { nodeId, number, keys, replaced } = statement.signed.succession;
    const isNext = number === (this.#numbers.get(nodeId) ?? 0) + 1;
    if (!isNext) fail('validity', node, `decides entry ${number} of ${nodeId} out of order`);
    this.#numbers.set(nodeId, number);
    this.#statements.add(digest);
    this.successions += 1;
    this.polity.succeed(nodeId, { nodeId, ...keys }, replaced.includes('identity'));
    return result;
  }

  /** Whether the statement with this digest is final somewhere. */
  isStated(digest: string): boolean {
    return this.#statements.has(digest);
  }

  /** All changes of an intent, or none. */
  #apply({ intent, bytes }: SignedIntent, time: number): Omit<Result, 'id'> {
    const { author, changes } = intent;
    const { rights } = this.polity;
    for (const change of changes) {
      const refusal = rights.judge(author, change, (path) => this.#isDeleted(path));
      if (refusal === undefined) continue;
      const isOfRights = refusal === 'rights' || refusal === 'upgrade';
      return { isDone: false, promise: isOfRights ? refusal : 'execution' };
    }
    const after = this.#moved(changes.filter(isMove));
    if (after === undefined) return { isDone: false, promise: 'execution' };
    const newPaths = [...after.keys()].filter((path) => !this.#refs.has(path)).length;
    const newLabels = changes.filter((change) => rights.isNewLabel(author, change)).length;
    const more = {
      changes: changes.length,
      bytes: bytes.length,
      paths: newPaths + newLabels,
    };
    if (!rights.use(author, more, time)) return { isDone: false, promise: 'quota' };
    for (const [path, heads] of after) this.#refs.set(path, heads);
    for (const change of changes) {
      if (isMove(change) && change.deleted === true) {
        this.#deletions.add(change.version.toString());
      }
      if (isMove(change)) this.#nameless.delete(change.path);
      if (change.op === 'erase') this.#nameless.add(change.path);
      rights.apply(author, change);
    }
    return { isDone: true, promise: 'rights' };
  }

  /** Undefined: nothing has ever been there. */
  #isDeleted(path: string): boolean | undefined {
    return this.#refs.get(path)?.every((head) => this.#deletions.has(head));
  }

  #moved(moves: readonly Move[]): Map<string, Heads> | undefined {
    const after = new Map<string, Heads>();
    for (const { path, version, parents, expected } of moves) {
      const heads = write(after.get(path) ?? this.#refs.get(path) ?? [], {
        type: 'write',
        path,
        version: version.toString(),
        parents: parents.map(String),
        expected: expected === undefined || expected === null ? expected : expected.toString(),
      });
      if (heads === undefined) return undefined;
      after.set(path, heads);
    }
    return after;
  }

  /** Y1: of the block itself, or of a later one of its epoch. */
  #checkCertificate(node: SimNode, certificate: Certificate, height: number): void {
    const text = Buffer.from(encodeCertificate(certificate)).toString('hex');
    if (this.#certificates.has(text)) return;
    const { cluster, verifier, truth } = this.#context;
    const { size } = truth.at(height);
    const later = certificate.height;
    const known = this.#chain[later - 1]?.digest ?? this.#certified.get(later);
    const isRight =
      certificate.phase === 'commit' &&
      later >= height &&
      (known === undefined || known === certificate.digest) &&
      new Set(certificate.signers).size >= size - truth.faultyMax(height) &&
      certificate.signers.every((signer) => signer < size) &&
      verifyCertificate(certificate, verifier, cluster.clusterId);
    if (!isRight) fail('certificates', node, `has a certificate of ${height} that does not hold`);
    this.#certified.set(later, certificate.digest);
    this.#certificates.add(text);
  }
}

function fail(checker: string, node: SimNode, what: string): never {
  throw new SimFailure(`${checker}: ${node.options.name} ${what}`);
}
