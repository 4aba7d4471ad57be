/**
 * Writes the history of a home into a file (docs/formats.md): final blocks in windows, and the
 * hand-overs before them. It reads, and so may stand beside a running node.
 */
import { handoverRow } from '../chain/handovers.ts';
import { encodeFrame, type HistoryFrame } from '../chain/history-file.ts';
import type { Ledger } from '../chain/ledger.ts';
import { LIMITS } from '../chain/limits.ts';
import { heightKey, META, readBase, readChainRow, readTip, TABLES } from '../chain/rows.ts';
import { cutsOf, encodeManifest, pagesOf } from '../chain/snapshot.ts';
import { encodeCertificate } from '../consensus/certificate.ts';
import { AegisError } from '../errors.ts';
import { type ArchiveStore, BlockArchive } from './block-archive.ts';

export interface HistorySource extends ArchiveStore {
  get(table: string, key: string): Promise<Uint8Array | undefined>;
}

/** The heights whose blocks are in a home. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

const NONE = 'no block is final in this home';

/** @throws {AegisError} `NOT_FOUND` where there are none. */
export async function ownStretch(source: HistorySource): Promise<Stretch> {
  const from = readBase(await source.get(TABLES.meta, META.base));
  const row = await source.get(TABLES.meta, META.tip);
  const to = row === undefined ? 0 : readTip(row).height;
  if (to === 0) throw new AegisError('NOT_FOUND', NONE);
  if (to < from) {
    throw new AegisError('NOT_FOUND', 'this home has a state, and no block yet', {
      hint: 'It began with a snapshot; blocks come with what becomes final from now on.',
    });
  }
  return { from, to };
}

/**
 * Of what was asked for, what is there. It ends where a certificate shows that it is final (Y1):
 * that may be a few blocks after what was asked for.
 * @throws {AegisError} `NOT_FOUND`.
 */
export async function stretchOf(
  source: HistorySource,
  wanted: { readonly from?: number | undefined; readonly to?: number | undefined },
): Promise<Stretch> {
  const own = await ownStretch(source);
  if (wanted.from !== undefined && wanted.to !== undefined && wanted.to < wanted.from) {
    throw new AegisError('BAD_REQUEST', `there is nothing from ${wanted.from} to ${wanted.to}`);
  }
  const from = wanted.from ?? own.from;
  const to = Math.min(wanted.to ?? own.to, own.to);
  if (from < own.from) {
    throw new AegisError('NOT_FOUND', `the blocks before ${own.from} are not kept here`, {
      hint: `Begin later: --from ${own.from}`,
    });
  }
  if (from > own.to || to < from) {
    throw new AegisError('NOT_FOUND', `the last final block here is ${own.to}`);
  }
  const end = (await certified(source, to, to + LIMITS.windowBlocks)).at(0);
  // The last blocks may have come in a window that is not complete.
  const last =
    end ?? (await certified(source, Math.max(from, to - LIMITS.windowBlocks), to)).at(-1);
  if (last !== undefined) return { from, to: last };
  throw new AegisError('NOT_FOUND', `no certificate here shows that block ${from} is final`, {
    hint: 'It comes with the next blocks. Try again when this node has caught up.',
  });
}

/** The heights in between that have a certificate of their own. */
async function certified(source: HistorySource, from: number, to: number): Promise<number[]> {
  const keys = { from: heightKey(from), to: heightKey(to) };
  const rows = await source.range({ table: TABLES.chain, ...keys, limit: to - from });
  const some = rows.filter(({ value }) => readChainRow(value).certificate !== undefined);
  return some.map(({ key }) => Number(key));
}

/** Hand-overs of heights before this one. */
export async function* handoversBefore(
  source: HistorySource,
  height: number,
): AsyncGenerator<Uint8Array> {
  let from = '';
  for (;;) {
    const query = { table: TABLES.handovers, from, to: heightKey(height), limit: 64 };
    const rows = await source.range(query);
    for (const { value } of rows) yield value;
    const last = rows.at(-1);
    if (last === undefined) return;
    from = `${last.key}\u0000`;
  }
}

/** Y1: windows end with each epoch. */
export async function epochEnd(source: HistorySource, from: number, to: number): Promise<number> {
  const keys = { from: heightKey(from), to: heightKey(to + 1) };
  const [row] = await source.range({ table: TABLES.handovers, ...keys, limit: 1 });
  return row === undefined ? to : Number(row.key);
}

/** @throws {AegisError} `STORE_DAMAGED` where a block is missing. */
export async function* windowsOf(source: HistorySource, { from, to }: Stretch) {
  const archive = new BlockArchive(source);
  for (let next = from; next <= to; ) {
    const end = await epochEnd(source, next, to);
    const window = await archive.window(next, end, LIMITS.windowBytes);
    if (window === undefined) {
      const base = readBase(await source.get(TABLES.meta, META.base));
      if (base <= next) throw new AegisError('STORE_DAMAGED', `block ${next} is missing here`);
      throw new AegisError('TRY_AGAIN', `block ${next} has been pruned meanwhile`);
    }
    yield { from: next, window };
    next += window.blocks.length;
  }
}

/** The file, frame by frame. `told` hears how far it is. */
export async function* exportHistory(
  source: HistorySource,
  clusterId: string,
  stretch: Stretch,
  told: (progress: { readonly height: number; readonly handovers: number }) => void,
): AsyncGenerator<Uint8Array> {
  let frames = 0;
  const framed = (frame: HistoryFrame): Uint8Array => {
    frames += 1;
    return encodeFrame(frame);
  };
  yield encodeFrame({ type: 'history', clusterId, ...stretch });
  for await (const handover of handoversBefore(source, stretch.from)) {
    yield framed({ type: 'handover', handover });
  }
  const handovers = frames;
  for await (const { from, window } of windowsOf(source, stretch)) {
    yield framed({ type: 'window', ...window });
    told({ height: from + window.blocks.length - 1, handovers });
  }
  yield encodeFrame({ type: 'end', frames });
}

/**
 * The state of a home as a file (Y4): a manifest, the hand-overs and what else leads to it, and the
 * leaves in parts.
 * @throws {AegisError} `TRY_AGAIN` while no certificate for its last block is here.
 */
export function* exportSnapshot(
  clusterId: string,
  { tip, certificate, tree, handovers, provenRows }: Ledger,
  leaders: Uint8Array,
): Generator<Uint8Array> {
  const { height, headerBytes: header } = tip;
  if (header === undefined) throw new AegisError('NOT_FOUND', NONE);
  if (certificate?.height !== height) {
    throw new AegisError('TRY_AGAIN', `the certificate of block ${height} is not here yet`);
  }
  const handed = handovers.map((handover) => ({
    ...{ table: TABLES.handovers, key: heightKey(handover.height), value: handoverRow(handover) },
  }));
  const pages = pagesOf([...handed, ...provenRows]);
  const parts = cutsOf(tree);
  const manifest = encodeManifest({
    ...{ height, header, certificate: encodeCertificate(certificate), leaders, parts },
    pages: pages.length,
  });
  yield encodeFrame({ type: 'snapshot', clusterId, height });
  yield encodeFrame({ type: 'manifest', manifest });
  for (const [index, rows] of pages.entries()) yield encodeFrame({ type: 'page', index, rows });
  for (const { prefix } of parts) {
    yield encodeFrame({ type: 'part', prefix, leaves: tree.leaves(prefix) });
  }
  yield encodeFrame({ type: 'end', frames: 1 + pages.length + parts.length });
}
