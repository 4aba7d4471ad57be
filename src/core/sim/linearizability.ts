/**
 * Whether a history of concurrent operations could have come from one object that does one thing
 * at a time, each at some moment between its call and its return (Herlihy, Wing, TOPLAS 1990). The
 * search is that of Wing and Gong (JPDC 1993) with Lowe's memory of the pairs (operations done,
 * state) that led nowhere (CCPE 2017). Objects that do not touch each other are searched apart: a
 * history is linearizable exactly if that of each object is.
 */
import { assert } from '../assert.ts';

/** One operation, as its client saw it. */
export interface Op<I, O> {
  readonly client: number;
  readonly input: I;
  readonly output: O;
  readonly call: number;
  /** `Infinity`: never answered. It took effect at some moment after its call, or it never will. */
  readonly return: number;
}

/** What an operation does when nothing else is under way. */
export interface Model<S, I, O> {
  init(): S;
  /** The state afterwards; undefined if the output cannot have come from this state. */
  step(state: S, input: I, output: O): S | undefined;
  /** Equal for equal states only. */
  key(state: S): string;
  /** The object that an operation is on. @default there is one object */
  partition?(input: I): string;
}

export function linearizable<S, I, O>(model: Model<S, I, O>, ops: readonly Op<I, O>[]): boolean {
  const objects = Map.groupBy(ops, ({ input }) => model.partition?.(input) ?? '');
  return [...objects.values()].every((history) => new Search(model, history).succeeds());
}

/** The place of the list's end, which is also its beginning. */
const END = 0;

/** The calls and returns of one object in order of time, as a list to take entries out of. */
class Search<S, I, O> {
  readonly #model: Model<S, I, O>;
  readonly #ops: readonly Op<I, O>[];
  /** By place in the list. */
  readonly #next: Int32Array;
  readonly #prev: Int32Array;
  /** By place: the operation that is called there, or -1. */
  readonly #called: Int32Array;
  /** By operation: the place of its return, or `END` if it has none. */
  readonly #returns: Int32Array;
  /** One bit an operation: those that are placed. */
  readonly #placed: Buffer;
  readonly #seen = new Set<string>();
  readonly #path: { readonly place: number; readonly before: S }[] = [];
  #state: S;
  /** Operations that were answered and are not placed. */
  #left: number;

  constructor(model: Model<S, I, O>, ops: readonly Op<I, O>[]) {
    this.#model = model;
    this.#ops = ops;
    this.#state = model.init();
    this.#left = ops.filter((op) => op.return !== Infinity).length;
    this.#placed = Buffer.alloc(Math.ceil(ops.length / 8));
    const events = eventsOf(ops);
    const size = events.length + 1;
    this.#next = Int32Array.from({ length: size }, (_, place) => (place + 1) % size);
    this.#prev = Int32Array.from({ length: size }, (_, place) => (place + size - 1) % size);
    this.#called = new Int32Array(size).fill(-1);
    this.#returns = new Int32Array(ops.length);
    for (const [i, { isCall, op }] of events.entries()) {
      if (isCall) this.#called[i + 1] = op;
      else this.#returns[op] = i + 1;
    }
  }

  succeeds(): boolean {
    let place = this.#next[END]!;
    while (this.#left > 0) {
      if (this.#called[place] !== -1) {
        place = this.#place(place) ? this.#next[END]! : this.#next[place]!;
        continue;
      }
      // The operation that returns here had to be placed before anything that comes later.
      const last = this.#path.pop();
      if (last === undefined) return false;
      this.#takeBack(last.place);
      this.#state = last.before;
      place = this.#next[last.place]!;
    }
    return true;
  }

  /** Lets the operation that is called here happen next. @returns whether that is worth a try. */
  #place(place: number): boolean {
    const op = this.#called[place]!;
    const { input, output } = this.#ops[op]!;
    const before = this.#state;
    const state = this.#model.step(before, input, output);
    if (state === undefined) return false;
    this.#flip(op);
    const key = `${this.#placed.toString('latin1')}${this.#model.key(state)}`;
    if (this.#seen.has(key)) {
      this.#flip(op);
      return false;
    }
    this.#seen.add(key);
    this.#path.push({ place, before });
    this.#state = state;
    this.#unlink(place);
    const end = this.#returns[op]!;
    if (end === END) return true;
    this.#unlink(end);
    this.#left -= 1;
    return true;
  }

  #takeBack(place: number): void {
    const op = this.#called[place]!;
    const end = this.#returns[op]!;
    this.#flip(op);
    if (end !== END) {
      this.#relink(end);
      this.#left += 1;
    }
    this.#relink(place);
  }

  #flip(op: number): void {
    this.#placed[op >>> 3]! ^= 1 << (op & 7);
  }

  #unlink(place: number): void {
    const [prev, next] = [this.#prev[place]!, this.#next[place]!];
    this.#next[prev] = next;
    this.#prev[next] = prev;
  }

  /** Undoes the last `#unlink` that is not undone. */
  #relink(place: number): void {
    this.#next[this.#prev[place]!] = place;
    this.#prev[this.#next[place]!] = place;
  }
}

interface Event {
  readonly at: number;
  readonly isCall: boolean;
  readonly op: number;
}

/** In order of time. Of equal times calls come first: operations that touch are concurrent. */
function eventsOf(ops: readonly Op<unknown, unknown>[]): Event[] {
  const events = ops.flatMap(({ call, return: end }, op): Event[] => {
    assert(call <= end, 'an operation returns after its call');
    const called = { at: call, isCall: true, op };
    return end === Infinity ? [called] : [called, { at: end, isCall: false, op }];
  });
  return events.toSorted(
    (a, b) => a.at - b.at || Number(b.isCall) - Number(a.isCall) || a.op - b.op,
  );
}
