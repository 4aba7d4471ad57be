/**
 * Steps a chain that votes nowhere and has one peer: a file, or the blocks of a home. So whatever
 * comes from there is judged by the same rules as what comes from the network, and what becomes
 * durable is what a node would have written. Its clock is its own: it waits for nobody.
 */
import { Chain, type ChainInput, type ChainOutcome } from '../chain/chain.ts';
import {
  CHAIN_PROTOCOL,
  type ChainMessage,
  encodeMessage,
  type OutgoingMessage,
  openMessage,
} from '../chain/messages.ts';
import { openBlockBytes } from '../chain/opened-block.ts';
import { vrfScheme } from '../chain/seeds.ts';
import type { StateStore } from '../chain/state-store.ts';
import type { ChainOptions, StoredRow } from '../chain/types.ts';
import { blsScheme } from '../consensus/bls-scheme.ts';
import { CustodianSet, CustodianSets } from '../consensus/custodian-sets.ts';
import type { Standing } from '../consensus/replica.ts';
import { verifyEd25519InPool } from '../crypto/sign.ts';
import { AegisError, isAegisError } from '../errors.ts';
import type { LogEntry, Ready } from '../machine.ts';
import type { Genesis } from '../model/genesis.ts';
import type { SignatureCheck } from '../model/signed.ts';
import type { KeyRing } from '../ports.ts';
import { type Instant, instant, MIB, MINUTE, verified } from '../units.ts';

/** What the one peer has, and what it answers. */
export interface ReplaySource {
  /** The last height; the lowest whose block it has; the height of its snapshot, or 0. */
  readonly height: number;
  readonly base: number;
  readonly snapshot: number;
  /** @throws {AegisError} what keeps it from going on. */
  answer(wanted: ChainMessage): Promise<OutgoingMessage | undefined>;
}

export interface ReplayDeps {
  /** Durable when it resolves. */
  /** W41: the chain can read them from now on. @returns what is called when they are durable. */
  stage?(entries: readonly LogEntry[]): () => void;
  commit(entries: readonly LogEntry[]): Promise<void>;
  told(height: number): void;
  readonly signal: AbortSignal;
}

type Blocks = Extract<OutgoingMessage, { type: 'blocks' }>;

const PEER = 'file';
const NO_DIGEST = '00'.repeat(32);
const COMMIT_BYTES = MIB;
const CHECKS_AT_ONCE = 64;
/** Alarms that ring between two answers. */
const WAKES = 64;
/** So long, by its own clock, it goes on when nothing comes of it. */
const PATIENCE_MS = 10 * MINUTE;

export interface FollowerOptions extends Pick<ChainOptions, 'self' | 'checkpoint' | 'protocolMax'> {
  readonly standing: Standing;
  /** Without it the state is in memory, and begins with that of the rows. */
  readonly state?: StateStore;
}

const NO_KEYS: KeyRing = {
  identity: () => undefined,
  votes: () => undefined,
  seeds: () => undefined,
  heldConsensusKeys: () => [],
};

/** A chain that follows, by what is durable of it. @throws {AegisError} `STORE_DAMAGED`. */
export function recoverFollower(
  genesis: Genesis,
  rows: readonly StoredRow[],
  { standing, state, ...more }: FollowerOptions,
): Chain {
  const { clusterId, custodians } = genesis;
  const sets = new CustodianSets(new CustodianSet(custodians));
  // It may be a custodian: one whose keys are not at hand.
  const own = { self: { nodeId: more.self, ring: NO_KEYS }, sets };
  const schemeOf = (of: CustodianSets) => blsScheme({ sets: of });
  const deps = { scheme: blsScheme(own), seeds: vrfScheme(own), sets, schemeOf, state };
  const options = { clusterId, genesis, ...more, held: [] };
  return Chain.recover(options, deps, rows, standing);
}

export class Replay {
  readonly #chain: Chain;
  readonly #genesis: Genesis;
  readonly #deps: ReplayDeps;
  readonly #alarms = new Map<string, Instant>();
  readonly #wanted: ChainMessage[] = [];
  #entries: LogEntry[] = [];
  #landed: (() => void)[] = [];
  #bytes = 0;
  #now: Instant;
  #movedAt: Instant;
  #fault: AegisError | undefined;

  constructor(chain: Chain, genesis: Genesis, deps: ReplayDeps) {
    this.#chain = chain;
    this.#genesis = genesis;
    this.#deps = deps;
    this.#now = instant(Date.now());
    this.#movedAt = this.#now;
  }

  /**
   * Until the chain has come as far as its source.
   * @throws {AegisError} `BAD_DATA` naming the first fault; what was sound before it is durable.
   */
  async run(source: ReplaySource): Promise<void> {
    try {
      await this.#run(source);
    } finally {
      await this.#flush();
    }
  }

  async #run(source: ReplaySource): Promise<void> {
    const { signal } = this.#deps;
    this.#step({ type: 'start' });
    this.#step({ type: 'peer-up', nodeId: PEER });
    const { height, base, snapshot } = source;
    await this.#hear({ type: 'announce', height, digest: NO_DIGEST, base, snapshot });
    // Y7: it is the operator who takes the state anew.
    if (this.#chain.status().divergence !== undefined) this.#step({ type: 'take-anew' });
    while (this.#chain.height < height) {
      signal.throwIfAborted();
      if (this.#fault !== undefined) throw this.#fault;
      if (this.#wanted.length === 0) this.#wake(Number.POSITIVE_INFINITY);
      // What is here is taken before more is read.
      for (let count = 0; count < WAKES && this.#wake(this.#now); count += 1);
      const wanted = this.#lowest();
      const answer = wanted && (await source.answer(wanted));
      if (answer !== undefined) await this.#hear(answer);
      if (this.#bytes >= COMMIT_BYTES) await this.#flush();
    }
  }

  async #hear(message: OutgoingMessage): Promise<void> {
    const { roster } = this.#chain;
    const { clusterId, names } = this.#genesis;
    try {
      const { message: opened, checks } = openMessage(CHAIN_PROTOCOL, encodeMessage(message), {
        ...{ clusterId, names },
        height: () => this.#chain.height,
        hasKey: (author, keyEpoch) => roster.identityKey(author, keyEpoch) !== undefined,
        isKnown: (digest) => this.#chain.isKnown(digest),
      });
      await this.#check(checks);
      this.#step({ type: 'message', from: PEER, message: verified(opened) });
    } catch (error) {
      if (!isAegisError(error)) throw error;
      const at = message.type === 'blocks' ? await this.#firstBad(message) : undefined;
      throw this.#bad(error.message, at ?? this.#chain.height + 1);
    }
  }

  /** The height of the first block of a window that cannot be read, or is not signed as it says. */
  async #firstBad({ from, window }: Blocks): Promise<number | undefined> {
    const { clusterId, names } = this.#genesis;
    const { roster } = this.#chain;
    for (const [at, bytes] of (window?.blocks ?? []).entries()) {
      const checks: SignatureCheck[] = [];
      try {
        openBlockBytes(bytes, { clusterId, names, isKnown: () => false }, checks);
        await this.#check(
          checks.filter(({ key, author, keyEpoch }) => {
            return key !== undefined || roster.identityKey(author, keyEpoch) !== undefined;
          }),
        );
      } catch {
        return from + at;
      }
    }
    return undefined;
  }

  async #check(checks: readonly SignatureCheck[]): Promise<void> {
    const { roster } = this.#chain;
    for (let at = 0; at < checks.length; at += CHECKS_AT_ONCE) {
      const some = checks.slice(at, at + CHECKS_AT_ONCE);
      const verdicts = await Promise.all(
        some.map(async ({ key, author, keyEpoch, message, signature }) => {
          const known = key ?? roster.identityKey(author, keyEpoch);
          return known !== undefined && (await verifyEd25519InPool(known, message, signature));
        }),
      );
      const bad = some[verdicts.indexOf(false)];
      if (bad === undefined) continue;
      throw new AegisError('BAD_DATA', `a signature of ${bad.author} does not hold`);
    }
  }

  #step(input: ChainInput): void {
    const before = this.#chain.height;
    this.#take(this.#chain.step(input, this.#now));
    const { height } = this.#chain;
    if (height === before) return;
    this.#movedAt = this.#now;
    this.#deps.told(height);
  }

  #take({ entries, messages, alarms, outcomes }: Ready): void {
    for (const entry of entries) this.#entries.push(entry);
    const landed = this.#deps.stage?.(entries);
    if (landed !== undefined) this.#landed.push(landed);
    for (const { value } of entries) this.#bytes += (value?.length ?? 0) + 64;
    for (const { to, protocol, body } of messages) {
      if (to !== PEER || protocol !== CHAIN_PROTOCOL) continue;
      const { message } = openMessage(protocol, body, {
        ...{ clusterId: this.#genesis.clusterId, names: this.#genesis.names },
        ...{ height: () => this.#chain.height, hasKey: () => true, isKnown: () => true },
      });
      if (message.type.endsWith('want')) this.#wanted.push(message);
    }
    for (const { key, at } of alarms) {
      if (at === undefined) this.#alarms.delete(key);
      else this.#alarms.set(key, at);
    }
    for (const outcome of outcomes) this.#hearOutcome(outcome as ChainOutcome);
  }

  #hearOutcome(outcome: ChainOutcome): void {
    switch (outcome.type) {
      case 'liar':
        this.#fault ??= this.#bad(outcome.what, outcome.height);
        return;
      case 'divergence':
        this.#fault ??= this.#bad('the block leads to another state', outcome.height);
        return;
      case 'too-old': {
        const { height, protocol } = outcome;
        const message = `from height ${height} on blocks are of protocol version ${protocol}`;
        this.#fault ??= new AegisError('PROTOCOL_TOO_NEW', message);
        return;
      }
      default:
    }
  }

  /** Questions may be asked in any order; a file is read from its beginning. */
  #lowest(): ChainMessage | undefined {
    const placeOf = (wanted: ChainMessage): number => (wanted.type === 'want' ? wanted.from : 0);
    const lowest = Math.min(...this.#wanted.map(placeOf));
    const at = this.#wanted.findIndex((wanted) => placeOf(wanted) === lowest);
    return at === -1 ? undefined : this.#wanted.splice(at, 1)[0];
  }

  /** The next alarm rings, if it is due by then. @returns whether it was. */
  #wake(until: number): boolean {
    let next: { readonly key: string; readonly at: Instant } | undefined;
    for (const [key, at] of this.#alarms) {
      if (next === undefined || at < next.at) next = { key, at };
    }
    if (next !== undefined && next.at > until) return false;
    const isLate = next === undefined || next.at - this.#movedAt > PATIENCE_MS;
    if (isLate && until <= this.#now) return false;
    if (isLate) throw this.#bad('nothing leads on from the block before', this.#chain.height + 1);
    const { key, at } = next!;
    this.#alarms.delete(key);
    if (at > this.#now) this.#now = at;
    this.#step({ type: 'alarm', key });
    return true;
  }

  async #flush(): Promise<void> {
    const [entries, landed] = [this.#entries, this.#landed];
    this.#entries = [];
    this.#landed = [];
    this.#bytes = 0;
    await this.#deps.commit(entries);
    for (const tell of landed) tell();
  }

  #bad(what: string, height: number): AegisError {
    return new AegisError('BAD_DATA', `height ${height}: ${what}`, { details: { height, what } });
  }
}
