/**
 * The roots that this node has to fetch: a few at a time, those whose holders can be reached, and
 * after a failure again with growing delays, for ever. Authors take turns, and none may have all
 * fetches: roots that never come must not keep those of others waiting. They wait in rows; in
 * memory is what is being fetched, and what has failed lately.
 */
import { CID } from 'multiformats/cid';
import { decode, encode } from '../model/cbor.ts';
import { RecordReader } from '../model/record.ts';
import { type Instant, instant } from '../units.ts';
import { backoff } from './backoff.ts';
import { KbStore, TABLES } from './store.ts';

export interface WantsOptions {
  /** Fetches at a time. One author has three quarters of them at most. */
  readonly maxFetches: number;
  readonly firstMs: number;
  readonly maxMs: number;
  /** Makes the jitter differ between nodes. */
  readonly seed: string;
}

export interface Want {
  readonly root: CID;
  /** Who named the root first. */
  readonly author: string;
  /** The most that any version says: a small lie must not keep the root away. */
  readonly sizeBytes: number;
  /** It was here or elsewhere before (W24). */
  readonly isRepair: boolean;
}

/** A root that is being fetched, or whose fetch has failed. */
interface Try {
  readonly author: string;
  readonly attempt: number;
  /** Not before this; undefined while it is being fetched. */
  readonly notBefore: Instant | undefined;
}

/** The wants of one author. */
interface Queue {
  fetching: number;
  /** The row that was looked at last. */
  last: string | undefined;
  /** The latest that have not been looked at: somebody may be waiting for them. */
  fresh: string[];
}

/** Wants of one author looked at in one go, so that a step stays short. */
const SCAN_MAX = 1024;
/** Of one author. */
const FRESH_MAX = 64;
/** Failures remembered; whatever is forgotten is tried as if it were new. */
const TRIES_MAX = 4096;
const ROW_BYTES_MAX = 512;
const AUTHOR_BYTES_MAX = 64;
const COUNTER = 'wanted';

export class Wants {
  readonly #options: WantsOptions;
  readonly #store: KbStore;
  /** By text of the root; what was tried last comes last. */
  readonly #tries = new Map<string, Try>();
  /** By author; whoever had its turn longest ago first. */
  readonly #queues = new Map<string, Queue>();
  #size: number;
  #fetching = 0;
  #isStirred = false;

  constructor(options: WantsOptions, store: KbStore = new KbStore()) {
    this.#options = options;
    this.#store = store;
    const row = store.get(TABLES.counters, COUNTER);
    this.#size = row === undefined ? 0 : Buffer.from(row).readUIntBE(0, 6);
    for (const author of authorsIn(store)) this.#queues.set(author, noneOf());
    this.#isStirred = this.#queues.size > 0;
  }

  get size(): number {
    return this.#size;
  }

  /** Whether anything has happened since `take` that may let a fetch begin. */
  get isStirred(): boolean {
    return this.#isStirred;
  }

  /** Makes the next look worth while. */
  stir(): void {
    this.#isStirred = true;
  }

  add({ root, sizeBytes, author, isRepair }: Want): void {
    const name = root.toString();
    const known = this.#read(name);
    const want = {
      author: known?.author ?? author,
      sizeBytes: Math.max(sizeBytes, known?.sizeBytes ?? 0),
      isRepair: isRepair && known?.isRepair !== false,
    };
    const isSame = known?.sizeBytes === want.sizeBytes && known.isRepair === want.isRepair;
    if (isSame) return;
    this.#store.set(TABLES.wanted, name, encode({ v: 1, type: 'wanted', ...want }));
    if (known !== undefined) return;
    this.#store.set(TABLES.queues, `${author}/${name}`, Uint8Array.of(1));
    const queue = this.#queues.get(author) ?? noneOf();
    this.#queues.set(author, queue);
    queue.fresh.push(name);
    if (queue.fresh.length > FRESH_MAX) queue.fresh.shift();
    this.#count(1);
    this.stir();
  }

  /** The root is here, or not wanted any more. */
  delete(root: CID): void {
    const name = root.toString();
    const want = this.#read(name);
    if (want === undefined) return;
    this.#setTry(name, undefined);
    this.#store.set(TABLES.wanted, name, undefined);
    this.#store.set(TABLES.queues, `${want.author}/${name}`, undefined);
    this.#count(-1);
    this.stir();
  }

  failed(root: CID, now: Instant): void {
    const name = root.toString();
    const tried = this.#tries.get(name);
    if (tried === undefined || tried.notBefore !== undefined) return;
    const delay = backoff(`${this.#options.seed}/${name}`, tried.attempt, this.#options);
    const notBefore = instant(now + delay);
    this.#setTry(name, { ...tried, attempt: tried.attempt + 1, notBefore });
    this.#forget();
    this.stir();
  }

  /** A node has come up: what it may have is tried again soon. */
  hasten(isReachable: (root: CID) => boolean): void {
    this.stir();
    for (const [name, { notBefore }] of this.#tries) {
      if (notBefore !== undefined && isReachable(CID.parse(name))) this.#tries.delete(name);
    }
  }

  /** The wants to fetch now; they count as being fetched from here on. */
  take(now: Instant, isReachable: (root: CID) => boolean): Want[] {
    this.#isStirred = false;
    const taken: Want[] = [];
    const looks = new Map<string, Generator<string>>();
    const isReady = (name: string): boolean => {
      const tried = this.#tries.get(name);
      const isDue = tried === undefined || (tried.notBefore ?? Number.POSITIVE_INFINITY) <= now;
      return isDue && isReachable(CID.parse(name));
    };
    while (this.#fetching < this.#options.maxFetches) {
      const name = this.#pick(looks, isReady);
      if (name === undefined) break;
      const want = this.#read(name)!;
      const attempt = this.#tries.get(name)?.attempt ?? 0;
      this.#setTry(name, { author: want.author, attempt, notBefore: undefined });
      taken.push(want);
    }
    return taken;
  }

  /** How it is with a root. */
  tried(root: CID): { isFetching: boolean; failures: number; nextAt: Instant | undefined } {
    const tried = this.#tries.get(root.toString());
    const isFetching = tried !== undefined && tried.notBefore === undefined;
    return { isFetching, failures: tried?.attempt ?? 0, nextAt: tried?.notBefore };
  }

  /** When a delay ends next; undefined when none runs. */
  nextAt(now: Instant): Instant | undefined {
    let at: Instant | undefined;
    for (const { notBefore } of this.#tries.values()) {
      if (notBefore === undefined || notBefore <= now) continue;
      if (at === undefined || notBefore < at) at = notBefore;
    }
    return at;
  }

  /** Of the author with the fewest fetches that has one ready. */
  #pick(
    looks: Map<string, Generator<string>>,
    isReady: (name: string) => boolean,
  ): string | undefined {
    const most = Math.max(1, Math.floor(this.#options.maxFetches * 0.75));
    const queues = [...this.#queues].filter(([, { fetching }]) => fetching < most);
    for (const [author, queue] of queues.toSorted(([, a], [, b]) => a.fetching - b.fetching)) {
      const look = looks.get(author) ?? this.#look(author, queue);
      looks.set(author, look);
      for (let next = look.next(); next.done !== true; next = look.next()) {
        if (!isReady(next.value)) continue;
        // Behind the others, for those who have as few.
        this.#queues.delete(author);
        this.#queues.set(author, queue);
        return next.value;
      }
    }
    return undefined;
  }

  /** The latest wants of an author, then from where the last look ended, and round. */
  *#look(author: string, queue: Queue): Generator<string> {
    const prefix = `${author}/`;
    for (let name = queue.fresh.shift(); name !== undefined; name = queue.fresh.shift()) {
      if (this.#read(name) !== undefined) yield name;
    }
    const start = queue.last;
    let left = SCAN_MAX;
    let isNone = true;
    for (const after of start === undefined ? [undefined] : [start, undefined]) {
      for (const { key } of this.#store.under(TABLES.queues, prefix, after)) {
        isNone = false;
        if (after === undefined && start !== undefined && key > start) break;
        if (left === 0) {
          // What has not been looked at is, in the next step.
          this.stir();
          return;
        }
        left -= 1;
        queue.last = key;
        yield key.slice(prefix.length);
      }
    }
    if (isNone && queue.fetching === 0) this.#queues.delete(author);
  }

  #read(name: string): Want | undefined {
    const row = this.#store.get(TABLES.wanted, name);
    if (row === undefined) return undefined;
    const value = decode(row, { maxBytes: ROW_BYTES_MAX });
    const record = new RecordReader(value, 'wanted', ['author', 'sizeBytes', 'isRepair']);
    const author = record.text('author', { maxBytes: AUTHOR_BYTES_MAX });
    const sizeBytes = record.integer('sizeBytes', 0);
    return { root: CID.parse(name), author, sizeBytes, isRepair: record.flag('isRepair') };
  }

  #setTry(name: string, tried: Try | undefined): void {
    const before = this.#tries.get(name);
    this.#tries.delete(name);
    if (tried !== undefined) this.#tries.set(name, tried);
    if (before !== undefined && before.notBefore === undefined) this.#countFetch(before.author, -1);
    if (tried !== undefined && tried.notBefore === undefined) this.#countFetch(tried.author, 1);
  }

  #forget(): void {
    if (this.#tries.size <= TRIES_MAX) return;
    for (const [name, { notBefore }] of this.#tries) {
      if (notBefore === undefined) continue;
      this.#tries.delete(name);
      return;
    }
  }

  #countFetch(author: string, by: 1 | -1): void {
    this.#fetching += by;
    const queue = this.#queues.get(author);
    if (queue !== undefined) queue.fetching += by;
  }

  #count(by: 1 | -1): void {
    this.#size += by;
    const row = Buffer.alloc(6);
    row.writeUIntBE(this.#size, 0, 6);
    this.#store.set(TABLES.counters, COUNTER, row);
  }
}

const noneOf = (): Queue => ({ fetching: 0, last: undefined, fresh: [] });

/** Authors of which something is wanted. */
function* authorsIn(store: KbStore): Generator<string> {
  for (let from = ''; ; ) {
    const [row] = store.range({ table: TABLES.queues, from, limit: 1 });
    if (row === undefined) return;
    const author = row.key.slice(0, row.key.indexOf('/'));
    yield author;
    // The character after the slash.
    from = `${author}0`;
  }
}
