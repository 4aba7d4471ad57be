/**
 * Lets bytes through in order, up to a limit at a time. What waits is bounded too: beyond that the
 * caller is refused, not queued.
 */
import { AegisError } from '../errors.ts';
import { MIB } from '../units.ts';

export interface ByteGateOptions {
  /** Bytes inside at a time; a single larger load may enter alone. @default 32 MiB */
  readonly insideBytesMax?: number;
  /** Bytes that may wait outside. @default 256 MiB */
  readonly waitingBytesMax?: number;
}

export class ByteGate {
  readonly #options: Required<ByteGateOptions>;
  readonly #waiting: { readonly sizeBytes: number; readonly enter: () => void }[] = [];
  #insideBytes = 0;
  #waitingBytes = 0;

  constructor(options: ByteGateOptions = {}) {
    this.#options = { insideBytesMax: 32 * MIB, waitingBytesMax: 256 * MIB, ...options };
  }

  /** Bytes inside and waiting. */
  get loadBytes(): number {
    return this.#insideBytes + this.#waitingBytes;
  }

  /** Runs `work` when there is room for its bytes. @throws {AegisError} `BUSY`. */
  async pass<T>(sizeBytes: number, work: () => Promise<T>): Promise<T> {
    await this.#enter(sizeBytes);
    try {
      return await work();
    } finally {
      this.#leave(sizeBytes);
    }
  }

  #enter(sizeBytes: number): Promise<void> | undefined {
    if (this.#waiting.length === 0 && this.#fits(sizeBytes)) {
      this.#insideBytes += sizeBytes;
      return undefined;
    }
    if (this.#waitingBytes + sizeBytes > this.#options.waitingBytesMax) {
      throw new AegisError('BUSY', 'the store has more to write than it can take now');
    }
    this.#waitingBytes += sizeBytes;
    return new Promise((resolve) => this.#waiting.push({ sizeBytes, enter: resolve }));
  }

  #leave(sizeBytes: number): void {
    this.#insideBytes -= sizeBytes;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (!this.#fits(next.sizeBytes)) return;
      this.#waiting.shift();
      this.#waitingBytes -= next.sizeBytes;
      this.#insideBytes += next.sizeBytes;
      next.enter();
    }
  }

  #fits(sizeBytes: number): boolean {
    return this.#insideBytes === 0 || this.#insideBytes + sizeBytes <= this.#options.insideBytesMax;
  }
}
