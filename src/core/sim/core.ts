/**
 * The one core of a simulated node: whatever the node does takes virtual time, by prices that were
 * measured elsewhere, and one thing is done after the other in the order in which it came up. There
 * are no threads beside it: what a real node gives to its pool waits here like everything else.
 */

import { TABLES } from '../chain/rows.ts';
import type { ChainInput, ChainOutcome } from '../chain/types.ts';
import type { Envelope, Ready } from '../machine.ts';
import { openBlock } from '../model/block.ts';
import { KIB } from '../units.ts';
import type { SimClock } from './clock.ts';

/** What things cost, in milliseconds of a core. */
export interface Prices {
  readonly blsSign: number;
  readonly blsVerify: number;
  /** One share more in a sum. */
  readonly blsAdd: number;
  /** A certificate: the pairings, and the key of each signer. */
  readonly blsCertificate: number;
  readonly blsSigner: number;
  /** Of a timeout certificate: each message is paired apart. */
  readonly blsMessage: number;
  readonly seedProve: number;
  readonly seedVerify: number;
  readonly ed25519Sign: number;
  readonly ed25519Verify: number;
  /** An envelope, and each KiB of it, on either side: frames, muxer, ciphers, kernel. */
  readonly envelope: number;
  readonly envelopeKib: number;
  /** Decoding an envelope, and each intent in it that is new here. */
  readonly read: number;
  readonly readIntent: number;
  /** A step of the machine, and what comes on top of it for each intent. */
  readonly step: number;
  readonly takeIntent: number;
  readonly execute: number;
  readonly finalise: number;
  /** A transaction, and each row in it, in the node and in its store; the disk takes its time. */
  readonly commit: number;
  readonly row: number;
}

export const PHASES = [
  'votes and certificates',
  'signatures of intents',
  'network',
  'reading',
  'steps',
  'taking intents',
  'executing',
  'finalising',
  'store',
] as const;

export type Phase = (typeof PHASES)[number];

interface Job {
  readonly work: () => void;
  readonly after: () => void;
}

export class Core {
  readonly prices: Prices;
  readonly #clock: SimClock;
  #waiting: Job[] = [];
  /** The first of those that wait. */
  #head = 0;
  #isBusy = false;
  #chargedMs = 0;
  readonly spentMs: Record<Phase, number>;

  constructor(prices: Prices, clock: SimClock) {
    this.prices = prices;
    this.#clock = clock;
    this.spentMs = Object.fromEntries(PHASES.map((phase) => [phase, 0])) as Record<Phase, number>;
  }

  /** Things that wait for the core. */
  get waiting(): number {
    return this.#waiting.length - this.#head;
  }

  /** What is being done now costs this much. */
  charge(phase: Phase, ms: number): void {
    this.spentMs[phase] += ms;
    this.#chargedMs += ms;
  }

  /** Does `work` when the core is free; `after` comes when the time for it is over. */
  run(work: () => void, after: () => void): void {
    this.#waiting.push({ work, after });
    if (!this.#isBusy) this.#next();
  }

  #next(): void {
    const job = this.#waiting[this.#head];
    this.#isBusy = job !== undefined;
    if (job === undefined) {
      this.#waiting = [];
      this.#head = 0;
      return;
    }
    this.#head += 1;
    this.#chargedMs = 0;
    job.work();
    this.#clock.after(this.#chargedMs, () => {
      job.after();
      this.#next();
    });
  }

  carried({ body }: Envelope): void {
    const { envelope, envelopeKib } = this.prices;
    this.charge('network', envelope + (envelopeKib * body.length) / KIB);
  }

  /** An envelope was decoded, and so many intents in it were read and verified. */
  read(intents: number): void {
    const { read, readIntent, ed25519Verify } = this.prices;
    this.charge('reading', read + intents * readIntent);
    this.charge('signatures of intents', intents * ed25519Verify);
  }

  stepped(input: unknown, { entries, outcomes }: Ready): void {
    const { step, takeIntent, execute, finalise } = this.prices;
    const work = workOf(input, entries, outcomes);
    this.charge('steps', step);
    this.charge('taking intents', work.taken * takeIntent);
    this.charge('executing', work.executed * execute);
    this.charge('finalising', work.finalised * finalise);
  }

  /** Rows were handed to the store. */
  stored(rows: number): void {
    this.charge('store', this.prices.commit + rows * this.prices.row);
  }
}

export interface StepWork {
  readonly taken: number;
  readonly executed: number;
  readonly finalised: number;
}

/** How many intents a step of the chain took in, executed, and made final. */
export function workOf(
  input: unknown,
  entries: Ready['entries'],
  outcomes: Ready['outcomes'],
): StepWork {
  const { type, ...rest } = input as Partial<ChainInput> & { readonly type?: string };
  const submitted = type === 'submit' ? (rest as { intents: readonly unknown[] }).intents : [];
  const message = type === 'message' ? (rest as { message: { type: string } }).message : undefined;
  const heard =
    message?.type === 'intents' ? (message as unknown as { intents: unknown[] }).intents : [];
  // A block is made durable by the step that has executed it.
  const blocks = entries.filter(
    ({ table, value }) => table === TABLES.blocks && value !== undefined,
  );
  const told = (outcomes as readonly ChainOutcome[]).filter((it) => it.type === 'finalised');
  return {
    taken: submitted.length + heard.length,
    executed: sum(blocks.map(({ value }) => openBlock(value!).intents.length)),
    finalised: sum(told.map(({ receipts }) => receipts.length)),
  };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
