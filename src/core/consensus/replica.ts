/** One custodian's part in consensus, as a machine. */
import { type Machine, type Ready, ReadyBuilder } from '../machine.ts';
import type { Instant } from '../units.ts';
import type {
  ReplicaDependencies,
  ReplicaInput,
  ReplicaOptions,
  ReplicaOutcome,
} from './contract.ts';
import { faultyMax, quorumOf } from './quorum.ts';
import type { ReplicaStatus } from './types.ts';

export type {
  ReplicaDependencies,
  ReplicaInput,
  ReplicaOptions,
  ReplicaOutcome,
} from './contract.ts';

export class Replica implements Machine<ReplicaInput> {
  readonly #options: ReplicaOptions;
  readonly #leaders: ReplicaDependencies['leaders'];

  private constructor(options: ReplicaOptions, { leaders }: ReplicaDependencies) {
    this.#options = options;
    this.#leaders = leaders;
  }

  /** @param standing whether the home may have signed what is not in `rows` (D3). */
  static recover(
    options: ReplicaOptions,
    dependencies: ReplicaDependencies,
    rows: readonly { readonly table: string; readonly key: string; readonly value: Uint8Array }[],
    standing: 'sound' | 'doubtful',
  ): Replica {
    void rows;
    void standing;
    return new Replica(options, dependencies);
  }

  /** The first height that is not final. */
  get height(): number {
    return this.finalised + 1;
  }

  get finalised(): number {
    return 0;
  }

  step(input: ReplicaInput, now: Instant): Ready {
    void input;
    void now;
    return new ReadyBuilder<ReplicaOutcome>().build();
  }

  status(): ReplicaStatus {
    const custodians = this.#options.custodians.length;
    return {
      height: this.height,
      view: 0,
      viewSince: undefined,
      leader: this.#leaders.leaderOf(this.height, 0),
      phase: 'idle',
      timeoutMs: 0,
      quorum: quorumOf(custodians),
      faultyMax: faultyMax(custodians),
      isVoting: false,
      doubt: undefined,
      keyElsewhere: undefined,
      votes: { prepare: [], commit: [] },
      timeouts: [],
      high: undefined,
      passedOver: [],
      lastFinalised: undefined,
      behindTo: undefined,
    };
  }
}
