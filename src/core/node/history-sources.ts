/** What a replay gets its blocks from: those of a home, or a file, read once from its beginning. */
import { FrameSplitter, type HistoryFrame, type HistoryHead } from '../chain/history-file.ts';
import { LIMITS } from '../chain/limits.ts';
import type { ChainMessage, OutgoingMessage } from '../chain/messages.ts';
import { decodeManifest, type Manifest } from '../chain/snapshot.ts';
import type { BlockWindow } from '../chain/types.ts';
import { AegisError } from '../errors.ts';
import { MIB } from '../units.ts';
import { BlockArchive } from './block-archive.ts';
import { epochEnd, type HistorySource, type Stretch } from './history-export.ts';
import type { ReplaySource } from './history-replay.ts';

type Wanted<T extends ChainMessage['type']> = Extract<ChainMessage, { type: T }>;
type SnapshotHead = Extract<HistoryFrame, { type: 'snapshot' }>;

/** Blocks that lie in a home. */
export function blocksOf(source: HistorySource, { from: base, to }: Stretch): ReplaySource {
  const archive = new BlockArchive(source);
  return {
    ...{ height: to, base, snapshot: 0 },
    answer: async (wanted) => {
      if (wanted.type !== 'want') return undefined;
      const { from } = wanted;
      const upTo = await epochEnd(source, from, Math.min(wanted.to, to));
      const window = from > to ? undefined : await archive.window(from, upTo, LIMITS.windowBytes);
      if (window === undefined && from <= to) {
        throw new AegisError('BAD_DATA', `height ${from}: the block is missing`);
      }
      return { type: 'blocks', from, window };
    },
  };
}

/** The frames of a file, one after the other. */
export class FrameReader {
  readonly #frames: AsyncGenerator<HistoryFrame, void>;

  private constructor(frames: AsyncGenerator<HistoryFrame, void>) {
    this.#frames = frames;
  }

  /** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
  static async open(
    bytes: AsyncIterable<Uint8Array>,
  ): Promise<{ readonly head: HistoryHead | SnapshotHead; readonly reader: FrameReader }> {
    const reader = new FrameReader(framesOf(bytes));
    const head = await reader.next();
    if (head?.type === 'history' || head?.type === 'snapshot') return { head, reader };
    throw new AegisError('BAD_ENCODING', 'the history file is none');
  }

  /** Undefined: the file has ended as it should. */
  async next(): Promise<HistoryFrame | undefined> {
    const { value } = await this.#frames.next();
    return value ?? undefined;
  }

  async close(): Promise<void> {
    await this.#frames.return();
  }
}

async function* framesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<HistoryFrame, void> {
  const splitter = new FrameSplitter();
  for await (const chunk of bytes) yield* splitter.push(chunk);
  splitter.end();
}

interface Held {
  readonly block: Uint8Array;
  readonly certificate: Uint8Array | undefined;
}

/** Blocks that were answered with may be asked for again, as a part of another window. */
const HELD_BLOCKS = LIMITS.windowBlocks * LIMITS.windowsAtOnce * 2;
const HELD_BYTES_MAX = 64 * MIB;

/** A file with blocks. It is read as far as is asked for. */
export class BlockFile implements ReplaySource {
  readonly height: number;
  readonly base: number;
  readonly snapshot = 0;
  readonly #reader: FrameReader;
  /** By height, the lowest first. */
  readonly #held = new Map<number, Held>();
  #heldBytes = 0;
  /** The first height that has not been read. */
  #next: number;

  /** @param own the last height that is there already. */
  constructor({ from, to }: HistoryHead, reader: FrameReader, own: number) {
    this.height = to;
    // What lies below is passed over.
    this.base = Math.max(from, own + 1);
    this.#next = from;
    this.#reader = reader;
  }

  async answer(wanted: ChainMessage): Promise<OutgoingMessage | undefined> {
    if (wanted.type !== 'want') return undefined;
    const { from } = wanted;
    const window = await this.#window(from);
    // What is not held any more has been answered with before.
    const isOver = window === undefined && from < this.#next && !this.#held.has(from);
    return isOver ? undefined : { type: 'blocks', from, window };
  }

  /** From there to the end of the window of the file: that is within one epoch (Y1). */
  async #window(from: number): Promise<BlockWindow | undefined> {
    const blocks: Uint8Array[] = [];
    for (let height = from; blocks.length < LIMITS.windowBlocks; height += 1) {
      await this.#readTo(height);
      const held = this.#held.get(height);
      if (held === undefined) return undefined;
      blocks.push(held.block);
      if (held.certificate !== undefined) return { blocks, certificate: held.certificate };
    }
    return undefined;
  }

  async #readTo(height: number): Promise<void> {
    while (this.#next <= height) {
      const frame = await this.#reader.next();
      if (frame === undefined) return;
      if (frame.type !== 'window') continue;
      const { blocks, certificate } = frame;
      for (const [at, block] of blocks.entries()) {
        const isLast = at === blocks.length - 1;
        this.#hold({ block, certificate: isLast ? certificate : undefined });
      }
    }
  }

  #hold(held: Held): void {
    if (this.#next >= this.base) {
      this.#held.set(this.#next, held);
      this.#heldBytes += held.block.length;
    }
    this.#next += 1;
    for (const [height, { block }] of this.#held) {
      const isMuch = this.#held.size > HELD_BLOCKS || this.#heldBytes > HELD_BYTES_MAX;
      if (!isMuch) return;
      this.#held.delete(height);
      this.#heldBytes -= block.length;
    }
  }
}

/** A file with a snapshot: its manifest, then pages and parts in their order. */
export class SnapshotFile implements ReplaySource {
  readonly height: number;
  readonly base: number;
  readonly snapshot: number;
  readonly #reader: FrameReader;
  #manifest: Manifest | undefined;
  /** What was read before it was asked for. */
  readonly #held = new Map<string, HistoryFrame>();

  constructor({ height }: SnapshotHead, reader: FrameReader) {
    this.height = height;
    // It has no block at all.
    this.base = height + 1;
    this.snapshot = height;
    this.#reader = reader;
  }

  async answer(wanted: ChainMessage): Promise<OutgoingMessage | undefined> {
    switch (wanted.type) {
      case 'want':
        return { type: 'blocks', from: wanted.from, window: undefined };
      case 'snapshot-want':
        return await this.#answerManifest(wanted);
      case 'page-want': {
        const { height, index } = wanted;
        const frame = await this.#find(`page ${index}`);
        const rows = frame?.type === 'page' ? frame.rows : undefined;
        return { type: 'page', height, index, rows };
      }
      case 'part-want': {
        const { height, prefix } = wanted;
        const frame = await this.#find(`part ${prefix}`);
        const leaves = frame?.type === 'part' ? frame.leaves : undefined;
        return { type: 'part', height, prefix, leaves };
      }
      default:
        return undefined;
    }
  }

  async #answerManifest({ height }: Wanted<'snapshot-want'>): Promise<OutgoingMessage> {
    if (this.#manifest === undefined) {
      const frame = await this.#find('manifest');
      if (frame?.type === 'manifest') this.#manifest = decodeManifest(frame.manifest);
    }
    const manifest = height === this.height ? this.#manifest : undefined;
    return { type: 'snapshot', height, manifest };
  }

  async #find(what: string): Promise<HistoryFrame | undefined> {
    for (;;) {
      const held = this.#held.get(what);
      if (held !== undefined) {
        this.#held.delete(what);
        return held;
      }
      if (this.#held.size > LIMITS.partsAtOnce) {
        throw new AegisError('BAD_DATA', 'the parts of the snapshot are out of order');
      }
      const frame = await this.#reader.next();
      if (frame === undefined) throw new AegisError('BAD_DATA', 'the snapshot lacks a part');
      this.#held.set(nameOf(frame), frame);
    }
  }
}

function nameOf(frame: HistoryFrame): string {
  if (frame.type === 'page') return `page ${frame.index}`;
  return frame.type === 'part' ? `part ${frame.prefix}` : frame.type;
}
