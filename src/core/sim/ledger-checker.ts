/**
 * The disk and the state: one chain. Certificates hold, blocks follow each other, every node that
 * is told a final height holds the same block there, nothing final is lost, only what clients
 * signed is decided, exactly once and in the order of each author, and every node's receipts and
 * refs are those that the simulator computes for itself.
 */
import type { Chain } from '../chain/chain.ts';
import { blockKey, heightKey, readChainRow, TABLES } from '../chain/rows.ts';
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
import { type Intent, readIntent, type SignedIntent } from '../model/intent.ts';
import { placeAt } from './clients.ts';
import type { SimCluster } from './consensus-tools.ts';
import type { KeyTruth } from './key-truth.ts';
import type { SimNode } from './node.ts';
import { type Heads, write } from './register.ts';
import { SimFailure } from './scenario.ts';

interface LedgerContext {
  readonly cluster: SimCluster;
  readonly verifier: VoteScheme;
  readonly truth: KeyTruth;
  readonly isByzantine: (nodeId: string) => boolean;
  readonly isSubmitted: (digest: string) => boolean;
}

interface Decided {
  readonly digest: string;
  readonly block: Block;
  /** `id result` of each intent, as this checker computes them. */
  readonly receipts: string;
}

interface Result {
  readonly id: string;
  readonly isDone: boolean;
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
  /** Digests of those that were decided, and by node id the number of the last entry. */
  readonly #statements = new Set<string>();
  readonly #numbers = new Map<string, number>();
  /** By node id, the highest height that it has told and has not lost with its disk. */
  readonly #told = new Map<string, number>();
  readonly #certificates = new Set<string>();
  /** Blocks whose header was made in a later view than 0. */
  laterViews = 0;

  constructor(context: LedgerContext) {
    this.#context = context;
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

  #kept(node: SimNode, height: number): Certificate {
    const row = node.disk.get(TABLES.chain, heightKey(height));
    if (row === undefined) fail('durability', node, `holds ${height} and keeps no certificate`);
    return decodeCertificate(readChainRow(row).certificate);
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
    this.#checkCertificate(node, certificate, height, digest);
    this.#learn(node, height - 1);
    if (height > this.#chain.length) this.#append(node, height, digest);
    const decided = this.#chain[height - 1]!;
    this.#agree(node, height, digest);
    const receipts = receiptsText(told.receipts);
    if (receipts !== decided.receipts) {
      fail('execution', node, `says ${receipts} at ${height}, not ${decided.receipts}`);
    }
    const before = this.#told.get(node.nodeId);
    if (before !== undefined && height !== before + 1) {
      fail('finality', node, `tells height ${height} after ${before}`);
    }
    this.#told.set(node.nodeId, height);
  }

  /** All that a node holds, at the end. */
  onSettled(node: SimNode, chain: Chain): void {
    const rows = node.disk.scan(TABLES.chain);
    if (rows.length !== this.#chain.length) {
      fail('finality', node, `keeps ${rows.length} final blocks of ${this.#chain.length}`);
    }
    for (const [i, { digest }] of this.#chain.entries()) {
      const height = i + 1;
      const kept = this.#kept(node, height);
      this.#agree(node, height, kept.digest);
      this.#checkCertificate(node, kept, height, digest);
      if (!node.disk.has(TABLES.blocks, blockKey(height, digest))) {
        fail('finality', node, `has lost block ${height}`);
      }
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
    if (header.view > 0) this.laterViews += 1;
    this.#chain.push({ digest, block, receipts: this.#execute(node, block) });
    this.#context.truth.advance(height);
  }

  #execute(node: SimNode, { header, intents }: Block): string {
    const { height } = header;
    const results = intents.map((bytes, index): Result => {
      const { signed } = readIntent(bytes, this.#context.cluster);
      const { author, sequence } = signed.intent;
      if (signed.statement !== undefined) return this.#state(node, signed, height);
      if (!this.#context.isByzantine(author) && !this.#context.isSubmitted(signed.digest)) {
        fail('validity', node, `decides an intent of ${author} that nobody has submitted`);
      }
      if (this.#intents.has(signed.digest)) fail('validity', node, 'decides an intent twice');
      if (sequence !== (this.#sequences.get(author) ?? 0) + 1) {
        fail('validity', node, `decides sequence ${sequence} of ${author} out of order`);
      }
      this.#intents.set(signed.digest, placeAt(height, index));
      this.#sequences.set(author, sequence);
      return { id: signed.id, isDone: this.#apply(signed.intent) };
    });
    return results.map(({ id, isDone }) => `${id} ${isDone}`).join(',');
  }

  /** A statement: in these runs, an entry of a succession that an operator has made. */
  #state(node: SimNode, { id, digest, statement }: SignedIntent, height: number): Result {
    const { cluster, isSubmitted, truth } = this.#context;
    if (statement?.type !== 'succession' || !isSubmitted(digest)) {
      fail('validity', node, 'decides a statement that nobody has submitted');
    }
    // Decided again it changes nothing.
    if (this.#statements.has(digest)) return { id, isDone: true };
    const { nodeId, number, keys } = statement.signed.succession;
    const isNext = number === (this.#numbers.get(nodeId) ?? 0) + 1;
    if (!isNext) fail('validity', node, `decides entry ${number} of ${nodeId} out of order`);
    this.#numbers.set(nodeId, number);
    this.#statements.add(digest);
    truth.change(cluster.custodians.indexOf(nodeId), height, keys);
    return { id, isDone: true };
  }

  /** Whether the statement with this digest is final somewhere. */
  isStated(digest: string): boolean {
    return this.#statements.has(digest);
  }

  /** Entries of successions that are final. */
  get successions(): number {
    return this.#statements.size;
  }

  /** All changes of an intent, or none. */
  #apply({ changes }: Intent): boolean {
    const after = new Map<string, Heads>();
    for (const { path, version, parents, expected } of changes.filter(isMove)) {
      const heads = write(after.get(path) ?? this.#refs.get(path) ?? [], {
        type: 'write',
        path,
        version: version.toString(),
        parents: parents.map(String),
        expected: expected === undefined || expected === null ? expected : expected.toString(),
      });
      if (heads === undefined) return false;
      after.set(path, heads);
    }
    for (const [path, heads] of after) this.#refs.set(path, heads);
    return true;
  }

  #checkCertificate(node: SimNode, certificate: Certificate, height: number, digest: string): void {
    const text = Buffer.from(encodeCertificate(certificate)).toString('hex');
    if (this.#certificates.has(text)) return;
    const { cluster, verifier } = this.#context;
    const { custodians, clusterId, faultyMax } = cluster;
    const isRight =
      certificate.phase === 'commit' &&
      certificate.height === height &&
      certificate.digest === digest &&
      new Set(certificate.signers).size >= custodians.length - faultyMax &&
      certificate.signers.every((signer) => signer < custodians.length) &&
      verifyCertificate(certificate, verifier, custodians.length, clusterId);
    if (!isRight) fail('certificates', node, `has a certificate of ${height} that does not hold`);
    this.#certificates.add(text);
  }
}

const receiptsText = (receipts: Finalised['receipts']): string =>
  receipts.map(({ id, result }) => `${id} ${result !== 'refused'}`).join(',');

function fail(checker: string, node: SimNode, what: string): never {
  throw new SimFailure(`${checker}: ${node.options.name} ${what}`);
}
