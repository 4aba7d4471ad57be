/**
 * The index of words from the main thread (W33). It can always be made anew, so none of its
 * failures is one of the node: what is damaged is deleted, a worker that died is started again
 * with the next question, and whoever fills it hears that it was opened, and looks what is
 * missing.
 */
import { rm } from 'node:fs/promises';
import { AegisError, hasCode, isAegisError } from '../errors.ts';
import type { FilterNews, FilterState } from '../kb/find/grown-filter.ts';
import type { Log } from '../ports.ts';
import type { IndexEntry, IndexedContent, IndexOperations } from './index-protocol.ts';
import { Link } from './link.ts';

export interface IndexStoreDeps {
  readonly log: Log;
  /** It was opened, perhaps empty. */
  opened(): void;
}

type Operation = keyof IndexOperations;
type IndexLink = Link<IndexOperations>;

export class IndexStore {
  readonly #path: string;
  readonly #key: Uint8Array;
  readonly #deps: IndexStoreDeps;
  #link: Promise<IndexLink> | undefined;
  #cleaning: Promise<void> | undefined;
  #isClosed = false;

  /** Nothing is opened before the first question. @param options.key that of its terms. */
  constructor(options: { readonly path: string; readonly key: Uint8Array }, deps: IndexStoreDeps) {
    this.#path = options.path;
    this.#key = options.key;
    this.#deps = deps;
  }

  /** @throws {AegisError} `DISK_FULL`; so everywhere else: `TRY_AGAIN`, `STOPPING`. */
  write(entries: readonly IndexEntry[], removed: readonly string[] = []): Promise<FilterState> {
    return this.#ask('write', { entries, removed });
  }

  look(items: IndexOperations['look']['args']): Promise<(IndexedContent | 'new')[]> {
    return this.#ask('look', items);
  }

  waiting(roots: readonly Uint8Array[]): Promise<Uint8Array[]> {
    return this.#ask('waiting', roots);
  }

  find(question: IndexOperations['find']['args']): Promise<IndexOperations['find']['result']> {
    return this.#ask('find', question);
  }

  /** W46. @returns whether there is nothing more to do. */
  purge(what: 'note' | 'step'): Promise<boolean> {
    return this.#ask('purge', what);
  }

  news(known: FilterState | undefined): Promise<FilterNews> {
    return this.#ask('news', known);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const link = await this.#link?.catch(() => undefined);
    await link?.close().catch(() => undefined);
  }

  async #ask<K extends Operation>(
    operation: K,
    args: IndexOperations[K]['args'],
  ): Promise<IndexOperations[K]['result']> {
    if (this.#isClosed) throw stopping();
    this.#link ??= this.#open();
    const asked = this.#link;
    try {
      const link = await asked;
      return (await link.call(operation, args as never)) as IndexOperations[K]['result'];
    } catch (error) {
      throw await this.#failed(asked, error);
    }
  }

  async #open(): Promise<IndexLink> {
    await this.#cleaning;
    const start = () => {
      // It dies alone: the next question starts another.
      const fatal = () => undefined;
      return Link.open<IndexOperations>(
        'index',
        this.#path,
        { log: this.#deps.log, fatal },
        {
          key: this.#key,
        },
      );
    };
    const link = await start().catch(async (error: unknown) => {
      if (!isUseless(error)) throw error;
      await this.#delete(error as AegisError);
      return await start();
    });
    this.#deps.opened();
    return link;
  }

  /** What the caller is told; the next question finds another worker, if this one is no use. */
  async #failed(asked: Promise<IndexLink>, error: unknown): Promise<unknown> {
    // What could not be opened is opened again with the next question.
    const isOpen = await asked.then(
      () => true,
      () => false,
    );
    if (!isOpen && this.#link === asked) this.#link = undefined;
    const isLasting = isUseless(error) || hasCode(error, 'BUG') || !isAegisError(error);
    if (!isLasting || this.#isClosed) return error;
    if (this.#link === asked) {
      this.#link = undefined;
      this.#cleaning = this.#clean(asked, error);
    }
    await this.#cleaning;
    return new AegisError('TRY_AGAIN', 'the index of words is being made anew', { cause: error });
  }

  async #clean(asked: Promise<IndexLink>, error: unknown): Promise<void> {
    const link = await asked.catch(() => undefined);
    await link?.close().catch(() => undefined);
    if (isUseless(error)) await this.#delete(error as AegisError);
  }

  async #delete({ code, message, details }: AegisError): Promise<void> {
    const fields = { code, reason: message };
    this.#deps.log.write('warn', 'the index of words is made anew', fields);
    const { aside } = details;
    for (const path of [this.#path, ...(typeof aside === 'string' ? [aside] : [])]) {
      for (const suffix of ['', '-wal', '-shm', '.suspect']) {
        await rm(path + suffix, { force: true });
      }
    }
  }
}

const isUseless = (error: unknown): boolean =>
  hasCode(error, 'STORE_DAMAGED') || hasCode(error, 'HOME_TOO_NEW');

const stopping = (): AegisError => new AegisError('STOPPING', 'the index of words is closed');
