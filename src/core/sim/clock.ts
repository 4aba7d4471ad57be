/** Virtual time: what is due runs in order of time, and in order of call where times are equal. */
import type { Clock } from '../ports.ts';
import { type Instant, instant } from '../units.ts';

interface Due {
  readonly at: Instant;
  readonly serial: number;
  run: (() => void) | undefined;
}

const isSooner = (a: Due, b: Due): boolean => a.at < b.at || (a.at === b.at && a.serial < b.serial);

export class SimClock implements Clock {
  #now: Instant;
  #serial = 0;
  /** A binary heap: no entry is due before the one above it. */
  readonly #heap: Due[] = [];

  constructor(start: Instant) {
    this.#now = start;
  }

  now(): Instant {
    return this.#now;
  }

  wakeAt(at: Instant, wake: () => void): () => void {
    const due: Due = { at: instant(Math.max(at, this.#now)), serial: this.#serial, run: wake };
    this.#serial += 1;
    this.#heap.push(due);
    this.#rise(this.#heap.length - 1);
    return () => {
      due.run = undefined;
    };
  }

  after(delayMs: number, wake: () => void): () => void {
    return this.wakeAt(instant(this.#now + delayMs), wake);
  }

  /** Runs what is due up to and at `end`; time stands at `end` then. */
  runUntil(end: Instant): void {
    for (let due = this.#heap[0]; due !== undefined && due.at <= end; due = this.#heap[0]) {
      this.#take();
      this.#now = due.at;
      due.run?.();
    }
    this.#now = end;
  }

  #take(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink(0);
  }

  #rise(start: number): void {
    const heap = this.#heap;
    for (let i = start; i > 0; ) {
      const above = (i - 1) >> 1;
      if (!isSooner(heap[i]!, heap[above]!)) return;
      [heap[i], heap[above]] = [heap[above]!, heap[i]!];
      i = above;
    }
  }

  #sink(start: number): void {
    const heap = this.#heap;
    for (let i = start; ; ) {
      const left = 2 * i + 1;
      let least = i;
      for (const child of [left, left + 1]) {
        if (child < heap.length && isSooner(heap[child]!, heap[least]!)) least = child;
      }
      if (least === i) return;
      [heap[i], heap[least]] = [heap[least]!, heap[i]!];
      i = least;
    }
  }
}
