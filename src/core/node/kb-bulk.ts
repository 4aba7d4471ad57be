/**
 * Many files as many paths (W4): signed, made durable and handed to the custodians in batches, the
 * next one being read and stored meanwhile. What was written stays written when it
 * breaks, and is found unchanged when it is repeated.
 */
import type { Query, Result } from '../api/contract/endpoints.ts';
import { AegisError, hasCode } from '../errors.ts';
import { CHANGES_MAX, INTENT_BYTES_MAX } from '../model/intent.ts';
import { parsePath } from '../model/path.ts';
import { KIB } from '../units.ts';
import type { Finality } from './finality.ts';
import type { ImportedFile } from './import.ts';
import type { Queued } from './intent-desk.ts';
import type { OwnVersions, WantedFile } from './own-versions.ts';
import { timeout } from './timeout.ts';

export interface KbBulkDeps {
  readonly own: OwnVersions;
  readonly finality: Finality;
  /** The roots of these files are complete here. */
  setRoots(files: readonly ImportedFile[]): Promise<void>;
  checkMayWrite(path: string, signal: AbortSignal): Promise<void>;
}

/** Intents of one upload that wait to be decided; then it waits for the first of them. */
const WAITING_MAX = 64;
/** What a change takes beside its path: name of the version, one parent, numbers. */
const CHANGE_BYTES = 192;
/** What an intent may come to; the rest is its own head. */
const BATCH_BYTES = INTENT_BYTES_MAX - 4 * KIB;

type Each = Query<'kb.each'>;

export class KbBulk {
  readonly #query: Each;
  readonly #deps: KbBulkDeps;
  readonly #signal: AbortSignal;
  readonly #waiting: Queued[] = [];
  readonly #intents: string[] = [];
  readonly #seen = { paths: 0, created: 0, unchanged: 0, sizeBytes: 0 };
  #height: number | null = null;

  constructor(query: Each, deps: KbBulkDeps, signal: AbortSignal) {
    this.#query = query;
    this.#deps = deps;
    this.#signal = signal;
  }

  /** @throws {AegisError} as a write of each; `NOT_FINAL` when nothing is decided in time. */
  async take(batches: AsyncIterable<readonly ImportedFile[]>): Promise<Result<'kb.each'>> {
    let writing: Promise<void> = Promise.resolve();
    for await (const files of batches) {
      await writing;
      writing = this.#write(files);
      // It is awaited when the next batch has come; until then nobody else hears of it.
      writing.catch(() => {});
    }
    await writing;
    const { prefix, wait } = this.#query;
    if (wait === 'final') while (this.#waiting.length > 0) await this.#settle();
    return { prefix, ...this.#seen, wait, height: this.#height, intents: this.#intents };
  }

  async #write(files: readonly ImportedFile[]): Promise<void> {
    const wanted = files.map((file): WantedFile & ImportedFile => {
      const path = parsePath(this.#query.prefix + file.path);
      return { ...file, path, message: this.#query.message };
    });
    for (const { path } of wanted) await this.#deps.checkMayWrite(path, this.#signal);
    await this.#deps.setRoots(wanted);
    for (const batch of batchesOf(wanted)) await this.#writeBatch(batch);
  }

  async #writeBatch(batch: readonly WantedFile[]): Promise<void> {
    while (this.#waiting.length >= WAITING_MAX) await this.#settle();
    const written = await this.#deps.own.writeAll(batch, this.#signal);
    const queued = new Map(
      written.flatMap((one) => (one.queued ? [[one.queued.id, one.queued]] : [])),
    );
    for (const [id, one] of queued) {
      this.#waiting.push(one);
      this.#intents.push(id);
    }
    const created = written.filter((one) => one.created).length;
    this.#seen.paths += batch.length;
    this.#seen.created += created;
    this.#seen.unchanged += batch.length - created;
    this.#seen.sizeBytes += batch.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  /** Waits for the intent that was handed in first. */
  async #settle(): Promise<void> {
    const { timeoutMs } = this.#query;
    const queued = this.#waiting.shift()!;
    try {
      const until = AbortSignal.any([this.#signal, timeout(timeoutMs)]);
      this.#height = Math.max(this.#height ?? 0, await this.#deps.finality.wait(queued, until));
    } catch (error) {
      if (!hasCode(error, 'TIMEOUT')) throw error;
      const message = `the custodians have decided nothing within ${timeoutMs} ms`;
      throw new AegisError('NOT_FINAL', message, {
        hint: 'What was written is queued. Repeat the command when they do: aegis consensus status',
        details: { ...this.#seen, intent: queued.id },
      });
    }
  }
}

/** So much that each fits into one intent. A path comes once in each. */
function* batchesOf(files: readonly WantedFile[]): Generator<WantedFile[]> {
  let batch = new Map<string, WantedFile>();
  let sizeBytes = 0;
  for (const file of files) {
    const more = CHANGE_BYTES + 2 * Buffer.byteLength(file.path);
    const isFull = batch.size >= CHANGES_MAX || sizeBytes + more > BATCH_BYTES;
    if (batch.size > 0 && (isFull || batch.has(file.path))) {
      yield [...batch.values()];
      batch = new Map();
      sizeBytes = 0;
    }
    batch.set(file.path, file);
    sizeBytes += more;
  }
  if (batch.size > 0) yield [...batch.values()];
}
