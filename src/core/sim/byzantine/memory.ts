/** One identity with two memories, or with one that forgets. */
import type { ChainInput } from '../../chain/chain.ts';
import type { LogEntry, Machine, Ready } from '../../machine.ts';
import { type Instant, instant, type Verified, verified } from '../../units.ts';
import type { Attacker } from './attack.ts';
import type { Behaviour } from './behaviour.ts';
import { consensusOf } from './hear.ts';

type Row = LogEntry & { readonly value: Uint8Array };

/** What a machine has made durable. */
class Memory {
  readonly #rows = new Map<string, Row>();

  constructor(rows: Iterable<Row>) {
    for (const row of rows) this.#rows.set(`${row.table} ${row.key}`, row);
  }

  apply(entries: readonly LogEntry[]): void {
    for (const { table, key, value } of entries) {
      if (value === undefined) this.#rows.delete(`${table} ${key}`);
      else this.#rows.set(`${table} ${key}`, { table, key, value });
    }
  }

  rows(): Row[] {
    return [...this.#rows.values()];
  }
}

/** What would make it doubt itself (D5). */
function forgiven(input: ChainInput): ChainInput {
  const message = consensusOf(input);
  if (input.type !== 'message' || message?.type !== 'status') return input;
  const status = { ...message, seen: undefined };
  return { ...input, message: verified({ ...input.message, message: status }) as Verified<never> };
}

const TWIN = 'twin/';
const AHEAD_MS = 5;

const sooner = (at: Instant | undefined): Instant | undefined =>
  at === undefined ? undefined : instant(at - AHEAD_MS);

/** Two honest machines with one key: each half of the custodians knows one of them. */
class TwinMachine implements Machine<ChainInput> {
  readonly #attacker: Attacker;
  readonly #one: Machine<ChainInput>;
  readonly #other: Machine<ChainInput>;

  constructor(attacker: Attacker, honest: Machine<ChainInput>) {
    this.#attacker = attacker;
    this.#one = honest;
    this.#other = attacker.recover(attacker.rows());
  }

  step(input: ChainInput, now: Instant): Ready {
    const isTwins = input.type === 'alarm' && input.key.startsWith(TWIN);
    const isOwn = input.type === 'submit' || input.type === 'read-index' || input.type === 'rows';
    const heard = forgiven(input);
    const one = isTwins ? undefined : this.#one.step(heard, now);
    // Its clock runs ahead, so that the two never make the same block.
    const later = instant(now + AHEAD_MS);
    const other = isTwins
      ? this.#other.step({ type: 'alarm', key: input.key.slice(TWIN.length) }, later)
      : isOwn || input.type === 'alarm'
        ? undefined
        : this.#other.step(heard, later);
    return this.#join(one, other);
  }

  #join(one: Ready | undefined, other: Ready | undefined): Ready {
    const { isInHalf } = this.#attacker;
    const isTheirs = (to: string): boolean => isInHalf.call(this.#attacker, to);
    const messages = other?.messages.filter(({ to }) => isTheirs(to)) ?? [];
    for (const { protocol } of messages) if (protocol === 'consensus') this.#attacker.strike();
    return {
      entries: one?.entries ?? [],
      messages: [...(one?.messages.filter(({ to }) => !isTheirs(to)) ?? []), ...messages],
      alarms: [
        ...(one?.alarms ?? []),
        ...(other?.alarms.map(({ key, at }) => ({ key: `${TWIN}${key}`, at: sooner(at) })) ?? []),
      ],
      outcomes: one?.outcomes ?? [],
    };
  }
}

/** Goes back, now and then, to what it knew as the height began, and believes that it is whole. */
class ForgetfulMachine implements Machine<ChainInput> {
  readonly #attacker: Attacker;
  readonly #memory: Memory;
  #machine: Machine<ChainInput>;
  #atHeight: Row[];
  readonly #peers = new Set<string>();

  constructor(attacker: Attacker, honest: Machine<ChainInput>) {
    this.#attacker = attacker;
    this.#machine = honest;
    this.#memory = new Memory(attacker.rows());
    this.#atHeight = this.#memory.rows();
  }

  step(input: ChainInput, now: Instant): Ready {
    if (input.type === 'peer-up') this.#peers.add(input.nodeId);
    if (input.type === 'peer-down') this.#peers.delete(input.nodeId);
    const ready = withoutReads(this.#machine.step(forgiven(input), now));
    this.#memory.apply(ready.entries);
    if (ready.outcomes.some(({ type }) => type === 'finalised')) {
      this.#atHeight = this.#memory.rows();
    }
    const hasVoted = ready.messages.some(({ protocol }) => protocol === 'consensus');
    if (!hasVoted || !this.#attacker.tools.random.chance(0.3)) return ready;
    return this.#forget(ready, now);
  }

  #forget(ready: Ready, now: Instant): Ready {
    this.#attacker.strike();
    const machine = this.#attacker.recover(this.#atHeight);
    this.#machine = machine;
    const inputs: ChainInput[] = [
      { type: 'start' },
      ...[...this.#peers].map((nodeId): ChainInput => ({ type: 'peer-up', nodeId })),
    ];
    const readies = [ready, ...inputs.map((input) => machine.step(input, now))];
    for (const { entries } of readies.slice(1)) this.#memory.apply(entries);
    return {
      entries: readies.flatMap(({ entries }) => entries),
      messages: readies.flatMap(({ messages }) => messages),
      alarms: readies.flatMap(({ alarms }) => alarms),
      outcomes: readies.flatMap(({ outcomes }) => outcomes),
    };
  }
}

/** Its clients see an old machine: what they read there says nothing about the others. */
const withoutReads = (ready: Ready): Ready => ({
  ...ready,
  outcomes: ready.outcomes.filter(({ type }) => type !== 'read-index'),
});

export const MEMORY_BEHAVIOURS: readonly Behaviour[] = [
  {
    name: 'twin',
    leaves: ['proposal', 'prepare', 'commit', 'timeout'],
    isFoundOut: true,
    wrap: (attacker, honest) => new TwinMachine(attacker, honest),
  },
  {
    name: 'amnesia',
    leaves: ['proposal', 'prepare', 'commit', 'timeout'],
    isFoundOut: true,
    wrap: (attacker, honest) => new ForgetfulMachine(attacker, honest),
  },
];
