/**
 * Verifies what this node keeps of the chain (docs/history.md, Y8): that its blocks follow upon one
 * another, that the custodians of their epochs have certified them, and that the leaves of the
 * state on the disk are those under the state root. It executes nothing again and mends nothing.
 */
import { sameBytes } from '../bytes.ts';
import type { Chain, Handover } from '../chain/chain.ts';
import { LIMITS } from '../chain/limits.ts';
import { TABLES } from '../chain/rows.ts';
import { blsScheme } from '../consensus/bls-scheme.ts';
import { verifyCertificate } from '../consensus/certificate.ts';
import { type CustodianKey, CustodianSet, CustodianSets } from '../consensus/custodian-sets.ts';
import type { Certificate } from '../consensus/types.ts';
import { hasCode, isAegisError } from '../errors.ts';
import type { CustodianEntry } from '../model/custodians.ts';
import type { Genesis } from '../model/genesis.ts';
import type { ChainStore } from '../storage/chain-store.ts';
import type { AuditFinding } from './audit-desk.ts';
import type { ArchivedBlock, BlockArchive } from './block-archive.ts';

export interface AuditDeps {
  readonly genesis: Genesis;
  readonly chain: Pick<Chain, 'tip' | 'handovers' | 'leaf'>;
  readonly archive: Pick<BlockArchive, 'blocks'>;
  readonly store: Pick<ChainStore, 'range'>;
  /** The lowest height whose block is kept. */
  base(): number;
  /** Resolves when all up to this height is durable. Rejects with the reason of `signal`. */
  reached(height: number, signal: AbortSignal): Promise<void>;
}

/** Blocks, and leaves of the state, that are read in one piece. */
const PAGE_BLOCKS = LIMITS.windowBlocks;
const PAGE_LEAVES = 512;
/** A leaf that is just being written is looked at again. */
const SECOND_LOOK_MS = 500;
/** Sorts after every key. */
const END = '~';

class Damage extends Error {
  readonly height: number;

  constructor(height: number, what: string) {
    super(what);
    this.height = height;
  }
}

/** Rejects with the reason of `signal`. */
export async function auditOwnChain(deps: AuditDeps, signal: AbortSignal): Promise<AuditFinding> {
  const { height, digest, header } = deps.chain.tip();
  // The chain steps ahead of the disk, and a block that is just being written is not missing.
  await deps.reached(height, signal);
  const base = Math.max(1, deps.base());
  const stateRoot = header?.stateRoot ?? new Uint8Array(32);
  const found = { base, height, digest: digest === '' ? NO_DIGEST : digest, stateRoot };
  try {
    await new BlockAudit(deps).run(base, { height, digest }, signal);
    await auditLeaves(deps, signal);
    return { ...found, verdict: 'sound' };
  } catch (error) {
    if (!(error instanceof Damage)) throw error;
    return { ...found, verdict: 'damaged', fault: { height: error.height, what: error.message } };
  }
}

class BlockAudit {
  readonly #deps: AuditDeps;
  readonly #handovers: readonly Handover[];
  #previous: Uint8Array | undefined;
  #certified = 0;

  constructor(deps: AuditDeps) {
    this.#deps = deps;
    this.#handovers = deps.chain.handovers();
  }

  async run(
    base: number,
    tip: { readonly height: number; readonly digest: string },
    signal: AbortSignal,
  ): Promise<void> {
    let last = '';
    for (let from = base; from <= tip.height; from += PAGE_BLOCKS) {
      signal.throwIfAborted();
      const upTo = Math.min(tip.height, from + PAGE_BLOCKS - 1);
      const page = await this.#page(from, upTo);
      const gap = from + page.findIndex(({ block }, n) => block.header.height !== from + n);
      const missing = gap < from ? from + page.length : gap;
      if (missing <= upTo) {
        // It was pruned meanwhile, or it is not there.
        if (missing >= this.#deps.base()) throw new Damage(missing, 'the block is not there');
        this.#previous = undefined;
        continue;
      }
      for (const archived of page) this.#take(archived);
      last = page.at(-1)!.block.digest;
    }
    const isWhole = tip.height < base || last === tip.digest;
    if (!isWhole) throw new Damage(tip.height, 'the last block is another one than the state says');
  }

  async #page(from: number, upTo: number): Promise<ArchivedBlock[]> {
    try {
      return await this.#deps.archive.blocks(from, upTo);
    } catch (error) {
      if (!isAegisError(error)) throw error;
      throw new Damage(from, `a block from here to ${upTo} cannot be read: ${error.message}`);
    }
  }

  #take({ block, certificate }: ArchivedBlock): void {
    const { header, digest } = block;
    const { height } = header;
    if (this.#previous !== undefined && !sameBytes(this.#previous, header.previous)) {
      throw new Damage(height, 'the block does not follow upon the one before');
    }
    this.#previous = new Uint8Array(Buffer.from(digest, 'hex'));
    if (certificate.height === height && certificate.digest !== digest) {
      throw new Damage(height, 'the certificate is for another block');
    }
    this.#verify(certificate, height);
  }

  /** Y1: one certificate may be for all blocks of its epoch before it. Each is verified once. */
  #verify(certificate: Certificate, height: number): void {
    if (certificate.height <= this.#certified) return;
    this.#certified = certificate.height;
    const { clusterId } = this.#deps.genesis;
    const set = new CustodianSet(this.#custodiansAt(certificate.height).map(keyOf));
    const scheme = blsScheme({ sets: new CustodianSets(set, certificate.height) });
    if (certificate.phase === 'commit' && verifyCertificate(certificate, scheme, clusterId)) return;
    throw new Damage(height, 'the custodians have not certified the block');
  }

  #custodiansAt(height: number): readonly CustodianEntry[] {
    const handover = this.#handovers.findLast((one) => one.height < height);
    return handover?.custodians ?? this.#deps.genesis.custodians;
  }
}

/** Votes are verified by the consensus key alone. */
const keyOf = ({ nodeId, consensusKey }: CustodianEntry): CustodianKey => ({
  nodeId,
  consensusKey,
  identityKey: new Uint8Array(32),
  vrfKey: new Uint8Array(32),
});

async function auditLeaves(deps: AuditDeps, signal: AbortSignal): Promise<void> {
  let from = '';
  for (;;) {
    signal.throwIfAborted();
    const page = await leavesFrom(deps, from, PAGE_LEAVES);
    const suspects = page.filter(({ key, value }) => !isLeaf(deps, key, value));
    if (suspects.length > 0) await lookAgain(deps, suspects, signal);
    const last = page.at(-1)?.key;
    if (last === undefined || page.length < PAGE_LEAVES) return;
    from = `${last}0`;
  }
}

/** The next block may be executed and not be written yet. */
async function lookAgain(
  deps: AuditDeps,
  suspects: readonly { readonly key: string }[],
  signal: AbortSignal,
): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, SECOND_LOOK_MS));
  signal.throwIfAborted();
  for (const { key } of suspects) {
    const [row] = await leavesFrom(deps, key, 1);
    if (row?.key !== key || isLeaf(deps, key, row.value)) continue;
    const { height } = deps.chain.tip();
    throw new Damage(height, `the leaf ${key} on the disk is not that of the state`);
  }
}

const leavesFrom = ({ store }: AuditDeps, from: string, limit: number) =>
  store.range({ table: TABLES.state, from, to: END, limit });

function isLeaf({ chain }: AuditDeps, key: string, value: Uint8Array): boolean {
  try {
    const leaf = chain.leaf(key);
    return leaf !== undefined && sameBytes(leaf, value);
  } catch (error) {
    // W40: the chain reads it from the same disk, and has seen that it is none.
    if (hasCode(error, 'STORE_DAMAGED')) return false;
    throw error;
  }
}

const NO_DIGEST = '00'.repeat(32);
