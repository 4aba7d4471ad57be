/** The holders that one fetch may ask, and how each has done so far. */

export interface Source {
  readonly nodeId: string;
  /** Requests in a row that brought nothing. */
  failures: number;
  isBusy: boolean;
  /** Why it is not asked any more. */
  out: string | undefined;
}

export class Sources {
  readonly #failuresMax: number;
  readonly #all = new Map<string, Source>();

  constructor(options: { readonly nodeIds: readonly string[]; readonly failuresMax: number }) {
    this.#failuresMax = options.failuresMax;
    for (const nodeId of options.nodeIds) this.add(nodeId);
  }

  /** A holder that left may come back; one that lied may not. */
  add(nodeId: string): void {
    const known = this.#all.get(nodeId);
    if (known === undefined) {
      this.#all.set(nodeId, { nodeId, failures: 0, isBusy: false, out: undefined });
    } else if (known.out === 'left') known.out = undefined;
  }

  /** The idle holder that failed least, in the order in which they were named. */
  pick(): Source | undefined {
    let best: Source | undefined;
    for (const source of this.#all.values()) {
      if (source.isBusy || source.out !== undefined) continue;
      if (best === undefined || source.failures < best.failures) best = source;
    }
    return best;
  }

  /** The holder is idle again; `isProgress` tells whether its request brought anything. */
  release(nodeId: string, isProgress: boolean, why: string): void {
    const source = this.#all.get(nodeId);
    if (source === undefined) return;
    source.isBusy = false;
    source.failures = isProgress ? 0 : source.failures + 1;
    if (source.failures >= this.#failuresMax) source.out ??= why;
  }

  rule(nodeId: string, out: string): void {
    const source = this.#all.get(nodeId);
    if (source !== undefined && (source.out === undefined || source.out === 'left')) {
      source.out = out;
    }
  }

  /** Why each holder is not asked any more. */
  reasons(): Record<string, string> {
    const out: Record<string, string> = {};
    for (const { nodeId, out: why } of this.#all.values()) {
      if (why !== undefined) out[nodeId] = why;
    }
    return out;
  }
}
