/**
 * Verifies the history in a home. Where it is all there, every block is executed anew and every
 * state root compared. Of a part it is verified that its blocks hang together and that certificates
 * of custodians who follow from the genesis are for them (Y1); that what was signed was executed
 * rightly is then for the state on the disk to show, which must be that of the last block.
 */
import { readHandover, Trail } from '../chain/handovers.ts';
import { Ledger } from '../chain/ledger.ts';
import {
  type ChainRow,
  heightKey,
  META,
  RECOVERY_TABLES,
  readChainRow,
  sortRows,
  TABLES,
} from '../chain/rows.ts';
import { StateStore } from '../chain/state-store.ts';
import { StateTree } from '../chain/state-tree.ts';
import type { StoredRow } from '../chain/types.ts';
import { blsScheme } from '../consensus/bls-scheme.ts';
import { CustodianSet, CustodianSets } from '../consensus/custodian-sets.ts';
import { AegisError, isAegisError } from '../errors.ts';
import { type Block, openBlock } from '../model/block.ts';
import type { CustodianEntry } from '../model/custodians.ts';
import type { Genesis } from '../model/genesis.ts';
import { FrozenChainRows } from '../storage/chain-rows.ts';
import { type HistorySource, handoversBefore, type Stretch, windowsOf } from './history-export.ts';
import { Replay, recoverFollower } from './history-replay.ts';
import { blocksOf } from './history-sources.ts';

export interface VerifyDeps {
  readonly signal: AbortSignal;
  told(height: number): void;
}

/** `genesis`: all was executed anew. */
export type Depth = 'genesis' | 'signatures';

/** Nobody's name: whoever has it is no member. */
const SELF = 'verifier';
const NO_KEY = new Uint8Array(32);

/**
 * The state that is on the disk, and whether it is the one of its last block.
 * @throws {AegisError} `BAD_DATA`.
 */
function verifyState(genesis: Genesis, rows: Iterable<StoredRow>, tree: StateTree): Ledger {
  try {
    const { clusterId } = genesis;
    return Ledger.recover({ clusterId, genesis }, sortRows(rows), tree).ledger;
  } catch (error) {
    if (!isAegisError(error)) throw error;
    throw new AegisError('BAD_DATA', error.message, { cause: error });
  }
}

/** The state on a disk as of one moment, until it is closed, and the leaders after it. */
export interface StateOnDisk extends Disposable {
  readonly ledger: Ledger;
  readonly leaders: Uint8Array;
}

/** @throws {AegisError} `BAD_DATA`; `NOT_FOUND` where no block is final. */
export function readState(chainDb: string, genesis: Genesis): StateOnDisk {
  const facts = new FrozenChainRows(chainDb);
  try {
    const rows = RECOVERY_TABLES.flatMap((table) =>
      facts
        .range({ table, from: '', limit: Number.MAX_SAFE_INTEGER })
        .map((row) => ({ table, ...row })),
    );
    const leaders = rows.find(({ table, key }) => table === TABLES.meta && key === META.leaders);
    const ledger = verifyState(genesis, rows, StateTree.open(new StateStore(facts)));
    if (leaders === undefined) throw new AegisError('NOT_FOUND', 'no block is final in this home');
    return { ledger, leaders: leaders.value, [Symbol.dispose]: () => facts[Symbol.dispose]() };
  } catch (error) {
    facts[Symbol.dispose]();
    throw error;
  }
}

/** How a stretch can be verified: all of it anew only from the first block of a cluster on. */
export const depthOf = (genesis: Genesis, { from }: Stretch): Depth =>
  from === 1 && genesis.origin === undefined ? 'genesis' : 'signatures';

/**
 * @returns the digest of the last block.
 * @throws {AegisError} `BAD_DATA` naming the first fault and its height.
 */
export async function verifyHistory(
  source: HistorySource,
  genesis: Genesis,
  stretch: Stretch,
  deps: VerifyDeps,
): Promise<string> {
  // First what is quick, and names the very block that was changed.
  const digest = await verifyLinks(source, genesis, stretch, deps);
  if (depthOf(genesis, stretch) === 'signatures') return digest;
  const { signal, told } = deps;
  const chain = recoverFollower(genesis, [], { self: SELF, standing: 'sound' });
  const replay = new Replay(chain, genesis, { commit: () => Promise.resolve(), told, signal });
  await replay.run(blocksOf(source, stretch));
  return digest;
}

/**
 * As `verifyHistory`, by hashes and signatures alone. Every certificate that is here is verified,
 * for it may be sent to others.
 */
export async function verifyLinks(
  source: HistorySource,
  genesis: Genesis,
  stretch: Stretch,
  { signal, told }: VerifyDeps,
): Promise<string> {
  const { clusterId, custodians: first } = genesis;
  const trail = new Trail({ clusterId, first, schemeOf: schemes() });
  for await (const handover of handoversBefore(source, stretch.from)) {
    trail.handOver(readHandover(handover));
  }
  let before: Block | undefined;
  for await (const { from, window } of windowsOf(source, stretch)) {
    signal.throwIfAborted();
    const rows = await rowsOf(source, from, window.blocks.length);
    for (const [at, bytes] of window.blocks.entries()) {
      const height = from + at;
      const block = opened(bytes, height);
      const row = rows[at]!;
      if (block.header.height !== height) throw badAt(height, 'it is the block of another height');
      if (block.digest !== row.digest) throw badAt(height, 'it is another block than was final');
      const previous = Buffer.from(block.header.previous).toString('hex');
      if (before !== undefined && previous !== before.digest) {
        throw badAt(height, 'it does not follow upon the block before');
      }
      if (row.certificate !== undefined) await judge(source, trail, block, row.certificate);
      before = block;
    }
    told(from + window.blocks.length - 1);
  }
  return before!.digest;
}

/** What the home remembers of these heights. */
async function rowsOf(source: HistorySource, from: number, count: number): Promise<ChainRow[]> {
  const keys = { from: heightKey(from), to: heightKey(from + count) };
  const rows = await source.range({ table: TABLES.chain, ...keys, limit: count });
  return rows.map(({ value }) => readChainRow(value));
}

/** A block with a certificate, and the custodians after it. */
async function judge(
  source: HistorySource,
  trail: Trail,
  { header, headerBytes }: Block,
  certificate: Uint8Array,
): Promise<void> {
  const { height } = header;
  const row = await source.get(TABLES.handovers, heightKey(height));
  try {
    if (row === undefined) trail.end(headerBytes, certificate);
    else trail.handOver(readHandover(row));
  } catch (error) {
    throw isAegisError(error) ? badAt(height, error.message) : error;
  }
}

function opened(bytes: Uint8Array, height: number): Block {
  try {
    return openBlock(bytes);
  } catch (error) {
    throw isAegisError(error) ? badAt(height, error.message) : error;
  }
}

const badAt = (height: number, what: string): AegisError =>
  new AegisError('BAD_DATA', `height ${height}: ${what}`, { details: { height, what } });

/** One for each list of custodians: what they have in common is computed once. */
function schemes() {
  let last: readonly CustodianEntry[] | undefined;
  let scheme: ReturnType<typeof blsScheme> | undefined;
  return (custodians: readonly CustodianEntry[]) => {
    if (scheme !== undefined && last === custodians) return scheme;
    last = custodians;
    const keys = custodians.map(({ nodeId, consensusKey }) => ({
      ...{ nodeId, consensusKey, identityKey: NO_KEY, vrfKey: NO_KEY },
    }));
    scheme = blsScheme({ sets: new CustodianSets(new CustodianSet(keys)) });
    return scheme;
  };
}
