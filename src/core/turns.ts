/** Work that must not overlap, one piece after the other. It sets no time limit, drops nothing. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** What failed before keeps nothing from its turn. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {});
    return turn;
  }
}
