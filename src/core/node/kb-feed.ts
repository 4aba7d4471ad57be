/**
 * Tells those who watch what becomes final, path by path (W6). It keeps nothing for who comes
 * later, and for a slow reader so much; then it says what that reader has to read again.
 */
import type { KbWatchRecord } from '../api/contract/kb-versions.ts';
import type { Finalised } from '../chain/types.ts';
import { isMove } from '../model/change.ts';

/** Records that wait for one reader. */
export const WAITING_MAX = 4096;

type Told = Extract<KbWatchRecord, { type: 'change' | 'gap' }>;
type Block = Pick<Finalised, 'height' | 'time' | 'receipts' | 'signed'>;

export class KbFeed {
  readonly #watchers = new Set<Watcher>();

  /** A block has become final. */
  finalised(block: Block): void {
    if (this.#watchers.size === 0) return;
    const changes = changesOf(block);
    for (const watcher of this.#watchers) watcher.tell(block.height, changes);
  }

  /** From the next block on, until the signal aborts. @param height the last one that is final. */
  async *watch(
    { prefix, height }: { readonly prefix: string; readonly height: number },
    signal: AbortSignal,
  ): AsyncGenerator<KbWatchRecord, void> {
    const watcher = new Watcher(prefix, height);
    const wake = (): void => watcher.wake();
    signal.addEventListener('abort', wake);
    this.#watchers.add(watcher);
    try {
      yield { type: 'ready', schema: 'aegis.kb.watch/1', prefix, height };
      while (!signal.aborted) {
        for (let told = watcher.take(); told !== undefined; told = watcher.take()) yield told;
        if (!signal.aborted) await watcher.more();
      }
    } finally {
      this.#watchers.delete(watcher);
      signal.removeEventListener('abort', wake);
    }
  }
}

function changesOf({ height, time, receipts, signed }: Block): Extract<Told, { type: 'change' }>[] {
  return receipts.flatMap(({ result }, n) => {
    const intent = signed[n]?.intent;
    if (result !== 'done' || intent === undefined) return [];
    return intent.changes.filter(isMove).map(({ path, version, deleted, merge }) => ({
      type: 'change' as const,
      path,
      height,
      version: version.toString(),
      author: intent.author,
      deleted: deleted === true,
      merge: merge !== undefined,
      time: new Date(time).toISOString(),
    }));
  });
}

class Watcher {
  readonly #prefix: string;
  #height: number;
  #waiting: Told[] = [];
  #woken = Promise.withResolvers<void>();

  constructor(prefix: string, height: number) {
    this.#prefix = prefix;
    this.#height = height;
  }

  tell(height: number, changes: readonly Extract<Told, { type: 'change' }>[]): void {
    const own = changes.filter(({ path }) => path.startsWith(this.#prefix));
    const missed = height - this.#height - 1;
    // A state that was taken over from others came without its blocks.
    if (missed > 0) this.#gap(this.#height + 1, height - 1);
    if (this.#waiting.length + own.length > WAITING_MAX) this.#gap(height, height);
    else this.#waiting.push(...own);
    this.#height = height;
    if (this.#waiting.length > 0) this.wake();
  }

  take(): Told | undefined {
    return this.#waiting.shift();
  }

  /** Resolves when there is more, or when the reader has gone. */
  async more(): Promise<void> {
    await this.#woken.promise;
    this.#woken = Promise.withResolvers<void>();
  }

  wake(): void {
    this.#woken.resolve();
  }

  /** Who has to read again anyway needs nothing of what waits. */
  #gap(fromHeight: number, toHeight: number): void {
    const [first] = this.#waiting;
    const from = first?.type === 'gap' ? first.fromHeight : (first?.height ?? fromHeight);
    this.#waiting = [{ type: 'gap', prefix: this.#prefix, fromHeight: from, toHeight }];
  }
}
