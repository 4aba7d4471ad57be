/** The chain machine. */
import type { VoteScheme } from '../consensus/scheme.ts';
import { type Machine, type Ready, ReadyBuilder } from '../machine.ts';
import type { Instant } from '../units.ts';
import type { Receipt } from './execution.ts';
import type { RefState } from './ref.ts';
import type {
  ChainDeps,
  ChainInput,
  ChainOptions,
  ChainOutcome,
  ChainStatus,
  PendingIntent,
  ProvenRef,
  StoredRow,
  Tip,
} from './types.ts';

export type * from './types.ts';

export class Chain implements Machine<ChainInput> {
  readonly #scheme: VoteScheme;

  private constructor(_options: ChainOptions, deps: ChainDeps) {
    this.#scheme = deps.scheme;
  }

  /** @throws {AegisError} `STORE_DAMAGED` when the rows do not fit together. */
  static recover(
    options: ChainOptions,
    deps: ChainDeps,
    _rows: Iterable<StoredRow>,
    _standing: 'sound' | 'doubtful',
  ): Chain {
    return new Chain(options, deps);
  }

  step(_input: ChainInput, _now: Instant): Ready {
    return new ReadyBuilder<ChainOutcome>().build();
  }

  /** The last final one. */
  get height(): number {
    return 0;
  }

  tip(): Tip {
    throw new Error(String(this.#scheme));
  }

  ref(_path: string): RefState | undefined {
    return undefined;
  }

  /** The sequence for the author's next intent. */
  nextSequence(_author: string): number {
    return 1;
  }

  /** Own intents that are not final, by sequence. */
  pending(): readonly PendingIntent[] {
    return [];
  }

  prove(_path: string): ProvenRef {
    throw new Error('not yet');
  }

  isKnown(_digest: string): boolean {
    return false;
  }

  status(): ChainStatus {
    throw new Error('not yet');
  }

  /** Of an intent that became final lately. */
  receipt(_id: string): Receipt | undefined {
    return undefined;
  }
}
