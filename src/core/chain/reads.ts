/**
 * Linearizable reads: which height must be final here before a read may answer. A write that was
 * acknowledged is final, so a quorum voted `commit` for its height; of any n - f custodians one
 * that follows the rules is among those, and names that height or a greater one. Who names a height
 * that is not final here must prove it by a certificate, or it could make a read wait for ever.
 *
 * All of this is about one epoch (E1). A quorum of its custodians has decided its last height, so
 * whoever asks them for a write of a later epoch hears of that height at least; when it is final
 * here, the next custodians are known, and they are asked anew.
 */
import { decodeCertificate, verifyCertificate } from '../consensus/certificate.ts';
import { quorumOf } from '../consensus/quorum.ts';
import type { VoteScheme } from '../consensus/scheme.ts';
import { AegisError } from '../errors.ts';
import { MINUTE, SECOND } from '../units.ts';
import type { Ledger } from './ledger.ts';
import { LIMITS } from './limits.ts';
import type { Turn } from './turn.ts';

export const READ_ALARM = 'read';

/** After this those who have not answered are asked again. */
const RETRY_MS = SECOND;
const GIVE_UP_MS = MINUTE;

export interface ReadsOptions {
  readonly clusterId: string;
  readonly ledger: Pick<Ledger, 'tip' | 'custodians' | 'handovers'>;
  readonly self: string;
}

/** What this node itself would answer; undefined: it must not (it is in doubt, or no custodian). */
export type OwnAnswer = number | undefined;

interface Round {
  readonly ids: readonly string[];
  /** By custodian. */
  readonly answers: Map<string, number>;
  /** Custodians whose proof did not hold: it is looked at once. */
  readonly liars: Set<string>;
  readonly since: number;
  /** The height before the epoch whose custodians are asked. */
  readonly epoch: number;
  /** What a quorum of them has named; it is waited for. */
  height: number | undefined;
}

export class Reads {
  readonly #options: ReadsOptions;
  readonly #scheme: VoteScheme;
  readonly #rounds = new Map<number, Round>();
  #waiting: string[] = [];
  /** Differs from that of every round of an earlier run, so that no old answer fits. */
  #nonce = 0;

  constructor(options: ReadsOptions, scheme: VoteScheme) {
    this.#options = options;
    this.#scheme = scheme;
  }

  /** @param runs how often this node has started: durable before the first question leaves. */
  start(runs: number): void {
    this.#nonce = runs * 2 ** 24;
  }

  get count(): number {
    return [...this.#rounds.values()].reduce((n, { ids }) => n + ids.length, this.#waiting.length);
  }

  add(turn: Turn, id: string, own: OwnAnswer): void {
    if (this.count >= LIMITS.reads) {
      turn.tell({ type: 'read-failed', id, error: new AegisError('BUSY', 'too many reads wait') });
      return;
    }
    this.#waiting.push(id);
    this.#begin(turn, own);
  }

  /** An answer; `certificate` proves a height above `tip`. */
  answer(
    turn: Turn,
    from: string,
    reply: {
      readonly nonce: number;
      readonly height: number;
      readonly certificate: Uint8Array | undefined;
    },
    own: OwnAnswer,
  ): void {
    const round = this.#rounds.get(reply.nonce);
    const { tip, custodians } = this.#options.ledger;
    if (round === undefined || custodians.indexOf(from) === -1) return;
    if (round.answers.has(from) || round.liars.has(from)) return;
    if (reply.height > tip.height && !this.#isProven(reply)) {
      // Its keys may not be known here yet: that is no lie, and it is asked again.
      if (reply.certificate !== undefined && !this.#scheme.knows(reply.height)) return;
      round.liars.add(from);
      return;
    }
    round.answers.set(from, reply.height);
    this.#finish(turn, reply.nonce, round);
    this.#begin(turn, own);
  }

  /** More is final here. */
  moved(turn: Turn, own: OwnAnswer): void {
    for (const [nonce, round] of this.#rounds) {
      if (round.epoch === this.#epoch) {
        this.#finish(turn, nonce, round);
        continue;
      }
      this.#rounds.delete(nonce);
      this.#waiting.push(...round.ids);
    }
    this.#begin(turn, own);
  }

  /** Asks again whoever has not answered, and gives up what has waited too long. */
  retry(turn: Turn, own: OwnAnswer): void {
    for (const [nonce, round] of this.#rounds) {
      if (round.since + GIVE_UP_MS <= turn.now) {
        this.#rounds.delete(nonce);
        this.#fail(turn, round);
        continue;
      }
      if (own !== undefined) round.answers.set(this.#options.self, own);
      this.#ask(turn, nonce, round);
      this.#finish(turn, nonce, round);
    }
    this.#begin(turn, own);
    if (this.#rounds.size > 0) turn.alarmIn(READ_ALARM, RETRY_MS);
  }

  /** Reads that wait go together into one round, as soon as there is room for one. */
  #begin(turn: Turn, own: OwnAnswer): void {
    if (this.#waiting.length === 0 || this.#rounds.size >= LIMITS.readRounds) return;
    const [answers, liars] = [new Map<string, number>(), new Set<string>()];
    const [ids, since, epoch] = [this.#waiting, turn.now, this.#epoch];
    const round: Round = { ids, answers, liars, since, epoch, height: undefined };
    this.#waiting = [];
    this.#nonce += 1;
    if (this.#rounds.size === 0) turn.alarmIn(READ_ALARM, RETRY_MS);
    this.#rounds.set(this.#nonce, round);
    if (own !== undefined) round.answers.set(this.#options.self, own);
    this.#ask(turn, this.#nonce, round);
    this.#finish(turn, this.#nonce, round);
  }

  get #epoch(): number {
    return this.#options.ledger.handovers.at(-1)?.height ?? 0;
  }

  #ask(turn: Turn, nonce: number, round: Round): void {
    if (round.height !== undefined) return;
    const { ledger, self } = this.#options;
    const asked = ledger.custodians.nodeIds.filter((id) => id !== self && !round.answers.has(id));
    turn.send(asked, { type: 'index-request', nonce });
  }

  #finish(turn: Turn, nonce: number, round: Round): void {
    const { custodians, tip } = this.#options.ledger;
    if (round.answers.size < quorumOf(custodians.size) || !this.#rounds.has(nonce)) return;
    round.height ??= Math.max(...round.answers.values());
    const { height } = round;
    if (tip.height < height) return;
    this.#rounds.delete(nonce);
    for (const id of round.ids) turn.tell({ type: 'read-index', id, height });
  }

  #fail(turn: Turn, { ids, height }: Round): void {
    const what =
      height === undefined
        ? 'too few custodians have said what is final'
        : `block ${height} is final, and is not here yet`;
    for (const id of ids) {
      turn.tell({ type: 'read-failed', id, error: new AegisError('TIMEOUT', what) });
    }
  }

  #isProven(reply: { readonly height: number; readonly certificate: Uint8Array | undefined }) {
    if (reply.certificate === undefined) return false;
    const { clusterId } = this.#options;
    try {
      const certificate = decodeCertificate(reply.certificate);
      return (
        certificate.height === reply.height &&
        verifyCertificate(certificate, this.#scheme, clusterId)
      );
    } catch {
      return false;
    }
  }
}
