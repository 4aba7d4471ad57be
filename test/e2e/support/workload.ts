/**
 * Clients of a cluster that compare and swap and read through all its nodes, and note what they
 * asked, what they were told, and when. What nobody answered may have happened or not.
 */
import { assert } from '../../../src/core/assert.ts';
import { ERRORS, hasCode, isAegisError } from '../../../src/core/errors.ts';
import { versionCidOf } from '../../../src/core/model/version.ts';
import type { Model, Op } from '../../../src/core/sim/linearizability.ts';
import { putFinal, readLinearizable, swapFinal } from './api.ts';
import type { Cluster } from './cluster.ts';
import { Prng } from './random.ts';

type Input =
  | { readonly type: 'read'; readonly path: string }
  | {
      readonly type: 'swap';
      readonly path: string;
      readonly value: string;
      /** What must be there; null: nothing. */
      readonly expected: string | null;
    };
/** `undefined`: nobody was told. */
type Output = { readonly value: string | null } | { readonly isDone: boolean } | undefined;

/** One path: a value that is swapped for another if it is the expected one. */
export const pathModel: Model<string | null, Input, Output> = {
  init: () => null,
  key: (value) => value ?? '',
  partition: ({ path }) => path,
  step(value, input, output) {
    if (input.type === 'read') {
      const isRead = output !== undefined && 'value' in output && output.value === value;
      return isRead ? value : undefined;
    }
    const isDone = value === input.expected;
    if (output !== undefined && 'isDone' in output && output.isDone !== isDone) return undefined;
    return isDone ? input.value : value;
  },
};

/** What is at a path, as a client knows it. */
interface Known {
  readonly value: string | null;
  readonly version: string | null;
}

type Asked<T> =
  | { readonly type: 'answer'; readonly answer: T }
  /** It was decided that it does not happen. */
  | { readonly type: 'refused' }
  /** Nobody has heard the question. */
  | { readonly type: 'unheard' }
  | { readonly type: 'lost' };

/** An intent that a node has called final. */
export interface Reported {
  readonly intent: string;
  readonly height: number;
  readonly result: string;
}

/** So long a client waits for one answer. */
const ANSWER_MS = 6000;
const DOCUMENTS = 4;
const COUNTERS = 3;
const GUESSES_MAX = 8;
const NOTHING: Known = { value: null, version: null };

const documentPath = (n: number): string => `documents/${n}`;
const counterPath = (n: number): string => `counters/${n}`;

export class Workload {
  readonly #cluster: Cluster;
  readonly #clients: Promise<void>[];
  readonly history: Op<Input, Output>[] = [];
  readonly reported: Reported[] = [];
  /** How often nobody answered, by reason. */
  readonly lost = new Map<string, number>();
  /** By counter, what may be there, the likeliest first: nobody can read them. */
  readonly #counters = new Map<string, readonly string[]>();
  #isOver = false;
  #serial = 0;

  constructor(cluster: Cluster, seed: number) {
    this.#cluster = cluster;
    this.#clients = cluster.devnet.nodes.map((_, client) =>
      this.#work(client, new Prng(seed * 1000 + client)),
    );
    // Their end is waited for later, and one may fail before.
    for (const client of this.#clients) client.catch(() => {});
  }

  /** Lets every client come to the end of what it does. Fails if one has met what must not be. */
  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#clients);
  }

  /** Reads every document through every node; for the end, when everything must answer. */
  async readAll(): Promise<void> {
    for (const [n] of this.#cluster.devnet.nodes.entries()) {
      for (let i = 0; i < DOCUMENTS; i += 1) {
        const found = await this.#read(-1, n + 1, documentPath(i));
        if (found === undefined) throw new Error(`node ${n + 1} does not answer a read`);
      }
    }
  }

  async #work(client: number, prng: Prng): Promise<void> {
    const known = new Map<string, Known>();
    while (!this.#isOver) {
      const node = prng.int(1, this.#cluster.devnet.nodes.length);
      const what = prng.float();
      const path = documentPath(prng.int(0, DOCUMENTS - 1));
      if (what < 0.3) await this.#swapCounter(client, node, counterPath(prng.int(1, COUNTERS)));
      else if (what < 0.6) known.set(path, (await this.#read(client, node, path)) ?? NOTHING);
      else known.set(path, await this.#swapDocument(client, node, path, known.get(path)));
    }
  }

  async #read(client: number, node: number, path: string): Promise<Known | undefined> {
    const call = performance.now();
    const found = await this.#ask<Known>(async () => {
      try {
        const { text, version } = await readLinearizable(this.#cluster, node, path, ANSWER_MS);
        return { value: text, version };
      } catch (error) {
        if (hasCode(error, 'NOT_FOUND')) return NOTHING;
        throw error;
      }
    });
    if (found.type !== 'answer') return undefined;
    const { value } = found.answer;
    const times = { call, return: performance.now() };
    this.history.push({ client, input: { type: 'read', path }, output: { value }, ...times });
    return found.answer;
  }

  /** @returns what is there then, as far as this client knows. */
  async #swapDocument(
    client: number,
    node: number,
    path: string,
    { value: expected, version: before }: Known = NOTHING,
  ): Promise<Known> {
    const value = `${path} ${this.#next()}`;
    const options = { ifVersion: before ?? 'none', timeoutMs: ANSWER_MS };
    const call = performance.now();
    const put = await this.#ask(() => putFinal(this.#cluster, node, path, value, options));
    this.#swapped({ client, input: { type: 'swap', path, value, expected }, call }, put.type);
    if (put.type !== 'answer') return NOTHING;
    const { version, height, intent } = put.answer;
    if (height === null || intent === null) throw new Error(`${value} is final at no height`);
    this.reported.push({ intent, height, result: 'done' });
    return { value, version };
  }

  /** Moves a path that no document is at, as a bare intent. */
  async #swapCounter(client: number, node: number, path: string): Promise<void> {
    const expected = this.#counters.get(path)?.[0] ?? null;
    const version = versionCidOf(Buffer.from(`${path} ${this.#next()}`)).toString();
    const call = performance.now();
    const asked = await this.#ask(() =>
      swapFinal(this.#cluster, node, { path, version, expected }, ANSWER_MS),
    );
    const fate = asked.type === 'answer' ? asked.answer : undefined;
    const result = asked.type === 'answer' ? (fate?.result ?? 'lost') : asked.type;
    const what = result === 'done' ? 'answer' : result;
    assert(what !== 'unchanged', 'each version is new');
    const input = { type: 'swap', path, value: version, expected } as const;
    this.#swapped({ client, input, call }, what);
    const now = this.#counters.get(path) ?? [];
    if (what === 'refused') this.#counters.set(path, [...now.slice(1), ...now.slice(0, 1)]);
    else if (what !== 'unheard') this.#counters.set(path, [version, ...now].slice(0, GUESSES_MAX));
    if (fate?.height == null) return;
    this.reported.push({ intent: fate.id, height: fate.height, result });
  }

  #swapped(
    op: Pick<Op<Input, Output>, 'client' | 'input' | 'call'>,
    what: Asked<unknown>['type'],
  ): void {
    if (what === 'unheard') return;
    const output = what === 'lost' ? undefined : { isDone: what === 'answer' };
    const end = what === 'lost' ? Infinity : performance.now();
    this.history.push({ ...op, output, return: end });
  }

  async #ask<T>(question: () => Promise<T>): Promise<Asked<T>> {
    try {
      return { type: 'answer', answer: await question() };
    } catch (error) {
      if (!isAegisError(error)) throw error;
      if (error.code === 'EXISTS') return { type: 'refused' };
      // A token of an earlier run; or nothing listens.
      if (error.code === 'DENIED' || isUnheard(error.cause)) return await unheard();
      // A reply that was cut is no reply either.
      if (!ERRORS[error.code].retryable && error.code !== 'BAD_ENCODING') throw error;
      this.lost.set(error.code, (this.lost.get(error.code) ?? 0) + 1);
      return { type: 'lost' };
    }
  }

  #next(): number {
    this.#serial += 1;
    return this.#serial;
  }
}

/** Whoever is turned away at once waits a moment, or the daemon that starts would have no turn. */
async function unheard(): Promise<Asked<never>> {
  await new Promise((done) => setTimeout(done, 50));
  return { type: 'unheard' };
}

const isUnheard = (cause: unknown): boolean =>
  ['ENOENT', 'ECONNREFUSED'].includes((cause as NodeJS.ErrnoException | undefined)?.code ?? '');
