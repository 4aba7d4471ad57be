/**
 * At which height each version became final, or was refused. It follows from the blocks and is kept
 * as an index beside them: written a little later than the block itself, and made up for from
 * the blocks at the next start.
 */
import type { Receipt } from '../chain/execution.ts';
import { AegisError, toAegisError } from '../errors.ts';
import type { LogEntry } from '../machine.ts';
import { isMove } from '../model/change.ts';
import type { SignedIntent } from '../model/intent.ts';

export interface Final {
  readonly height: number;
  readonly result: Receipt['result'];
}

/** What a final block has decided. */
export interface Decided {
  readonly height: number;
  readonly receipts: readonly Receipt[];
  /** In the order of the receipts. */
  readonly signed: readonly SignedIntent[];
}

export interface FinalsStore {
  commit(entries: readonly LogEntry[]): Promise<void>;
  get(table: string, key: string): Promise<Uint8Array | undefined>;
  getMany(table: string, keys: readonly string[]): Promise<(Uint8Array | undefined)[]>;
}

/** By version, its height in decimal and the first letter of the result. */
export const FINALS_TABLE = 'node/finals';
const TABLE = FINALS_TABLE;
/** Up to which height the index is complete. */
const UP_TO = { table: 'node/finals-up-to', key: '' };
const RESULTS: Readonly<Record<string, Final['result']>> = {
  d: 'done',
  u: 'unchanged',
  r: 'refused',
};
/** The index may lag so far behind: it saves a transaction for each block. */
const SAVE_AFTER_MS = 200;
/** Versions that are in memory at a time while those of a whole state are written. */
const PAGE_HEADS = 4096;

export class Finals {
  readonly #store: FinalsStore;
  #unsaved = new Map<string, Final>();
  #saving: Map<string, Final> | undefined;
  /** Why the last attempt to write has failed. */
  #failure: AegisError | undefined;
  #height: number;
  /** The height before the state that is being gone through, and how many such there are. */
  #adopting: number | undefined;
  #adoptions = 0;
  #timer: NodeJS.Timeout | undefined;
  #last: Promise<void> = Promise.resolve();

  private constructor(store: FinalsStore, height: number) {
    this.#store = store;
    this.#height = height;
  }

  static async open(store: FinalsStore): Promise<Finals> {
    const bytes = await store.get(UP_TO.table, UP_TO.key);
    return new Finals(store, bytes === undefined ? 0 : Number(textOf(bytes)));
  }

  /** The last height up to which it knows all. */
  get height(): number {
    return this.#adopting ?? this.#height;
  }

  /** Of each version what is known; a version that was refused first may be final later. */
  async find(versions: readonly string[]): Promise<(Final | undefined)[]> {
    const found = versions.map((version) => this.#inMemory(version));
    const missing = versions.filter((_, n) => found[n] === undefined);
    if (missing.length === 0) return found;
    const rows = await this.#store.getMany(TABLE, missing);
    const stored = new Map(missing.map((version, n) => [version, readFinal(rows[n])]));
    return versions.map((version, n) => found[n] ?? stored.get(version));
  }

  async get(version: string): Promise<Final | undefined> {
    const [found] = await this.find([version]);
    return found;
  }

  /**
   * Y4: what a state points to is final by its height; of what was before it nothing is known. With
   * very many of them that takes a while: until then it stands on the disk that this is not done,
   * and the next start does it again.
   * @throws what keeps it from being written.
   */
  async adopt(heads: Iterable<string>, height: number): Promise<void> {
    this.#adopting ??= this.#height;
    this.#adoptions += 1;
    this.#height = height;
    let page = 0;
    for (const version of heads) {
      this.#unsaved.set(version, { height, result: 'done' });
      page += 1;
      if (page % PAGE_HEADS === 0) await this.saved();
    }
    this.#adoptions -= 1;
    if (this.#adoptions === 0) this.#adopting = undefined;
    this.#timer ??= setTimeout(() => void this.#save(), SAVE_AFTER_MS).unref();
  }

  /** Blocks come in the order of their heights. */
  learn({ height, receipts, signed }: Decided): void {
    for (const [n, { result }] of receipts.entries()) {
      for (const { version } of signed[n]?.intent.changes.filter(isMove) ?? []) {
        const key = version.toString();
        // What was done stays so: only a later attempt of the same version can have failed.
        const isFinal = this.#inMemory(key)?.result === 'done';
        if (result === 'done' || !isFinal) this.#unsaved.set(key, { height, result });
      }
    }
    this.#height = height;
    this.#timer ??= setTimeout(() => void this.#save(), SAVE_AFTER_MS).unref();
  }

  /** Intents in the place of which others were decided: their versions are refused. */
  withdraw(cancelled: readonly SignedIntent[], height: number): void {
    for (const { intent } of cancelled) {
      for (const { version } of intent.changes.filter(isMove)) {
        // The same version may have been final by another intent.
        if (this.#inMemory(version.toString())?.result === 'done') continue;
        this.#unsaved.set(version.toString(), { height, result: 'refused' });
      }
    }
  }

  /**
   * All that was known when it was called is on the disk. What was withdrawn cannot be found again:
   * the blocks do not name it, and after a restart it would be asked for once more.
   * @throws what keeps it from being written.
   */
  async saved(): Promise<void> {
    await this.#save();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Writes what is not written yet. */
  async close(): Promise<void> {
    await this.#save();
  }

  #inMemory(version: string): Final | undefined {
    return this.#unsaved.get(version) ?? this.#saving?.get(version);
  }

  #save(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#last = this.#last.then(() => this.#write());
    return this.#last;
  }

  async #write(): Promise<void> {
    const saving = this.#unsaved;
    const { height } = this;
    this.#saving = saving;
    this.#unsaved = new Map();
    try {
      const keys = [...saving.keys()];
      const stored = await this.#store.getMany(TABLE, keys);
      const isNew = keys.filter((_, n) => readFinal(stored[n])?.result !== 'done');
      const entries = isNew.map((key) => {
        const { height: at, result } = saving.get(key)!;
        return { table: TABLE, key, value: finalRow({ height: at, result }) };
      });
      await this.#store.commit([...entries, { ...UP_TO, value: bytesOf(String(height)) }]);
      this.#failure = undefined;
    } catch (error) {
      this.#failure = toAegisError(error);
      // A full disk, or the end of the node: what came later wins over what could not be written.
      this.#unsaved = new Map([...saving, ...this.#unsaved]);
    }
    this.#saving = undefined;
  }
}

/** Height 0: it was final in a cluster before this one (R2). */
export const finalRow = ({ height, result }: Final): Uint8Array =>
  bytesOf(`${height} ${result.charAt(0)}`);

export function readFinal(bytes: Uint8Array | undefined): Final | undefined {
  if (bytes === undefined) return undefined;
  const [height, letter] = textOf(bytes).split(' ');
  const result = RESULTS[letter ?? ''];
  if (result !== undefined) return { height: Number(height), result };
  throw new AegisError('STORE_DAMAGED', 'an entry of the index of final versions is damaged');
}

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
