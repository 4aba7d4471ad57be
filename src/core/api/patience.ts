/** Reads streams that may fall silent. */
export interface Patience {
  /** Between two chunks, while they are being waited for. */
  readonly idleTimeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** What silence means. */
  readonly late: () => Error;
}

/**
 * The chunks as they come. The time that the taker spends on a chunk does not count.
 *
 * @throws `late()` after `idleTimeoutMs` of silence, the signal's reason, or what `source` throws.
 */
export async function* patiently<T>(
  source: AsyncIterator<T>,
  patience: Patience,
): AsyncGenerator<T, void> {
  for (;;) {
    const next = await nextWithin(source, patience);
    if (next.done === true) return;
    yield next.value;
  }
}

async function nextWithin<T>(
  source: AsyncIterator<T>,
  { idleTimeoutMs, signal, late }: Patience,
): Promise<IteratorResult<T>> {
  signal?.throwIfAborted();
  let timer: NodeJS.Timeout | undefined;
  let onAbort: (() => void) | undefined;
  const cut = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), idleTimeoutMs);
    onAbort = () => reject(signal?.reason as Error);
    signal?.addEventListener('abort', onAbort);
  });
  const next = source.next();
  // When the cut wins, what was waited for may still fail, with nobody left to see it.
  next.catch(() => undefined);
  try {
    return await Promise.race([next, cut]);
  } finally {
    clearTimeout(timer);
    if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort);
  }
}
