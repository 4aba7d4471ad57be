/**
 * Sets right what a node believes of the copies at another. Digests are compared with every
 * vector; acks under way make them differ for a while, but the same difference twice means that
 * something was lost, and all is told anew: in pieces, each of which says what lies between two
 * keys of accounts, so that what was believed wrongly there is taken back.
 */
import { instant, SECOND } from '../units.ts';
import type { Account } from './accounts.ts';
import { LIMITS } from './limits.ts';
import type { KeyRange } from './messages.ts';
import type { ReplicationShared } from './replication-types.ts';

export const TELL_ALARM = 'tell/';
export const RESET_ALARM = 'reset/';

/** Accounts looked at in one step: for one piece, and for all. */
const PIECE_ACCOUNTS = 1024;
const STEP_ACCOUNTS = 1024;
const PAGE_ACCOUNTS = 256;
const TELL_PAUSE_MS = SECOND / 4;
/** Pieces of one node that wait to be worked through; what is dropped is told again one day. */
const RESETS_MAX = 16;

interface Reset extends KeyRange {
  /** CIDs of the versions that the node has. */
  readonly named: ReadonlySet<string>;
}

export class HeldCheck {
  readonly #shared: ReplicationShared;
  readonly #withdraw: (account: Account, nodeId: string) => void;
  /** By peer, the pair of digests that did not agree at its last vector. */
  readonly #disagreed = new Map<string, string>();
  /** By peer that is told all anew: from which key on. */
  readonly #tellings = new Map<string, string>();
  readonly #resets = new Map<string, Reset[]>();

  /** @param withdraw a node has no copy any more. */
  constructor(shared: ReplicationShared, withdraw: (account: Account, nodeId: string) => void) {
    this.#shared = shared;
    this.#withdraw = withdraw;
  }

  /** The peer says what it believes to be durable here. */
  compare(from: string, held: Uint8Array): void {
    if (this.#tellings.has(from)) return;
    const here = this.#shared.replicas.here(from);
    const pair = Buffer.concat([held, here]).toString('hex');
    const isSame = Buffer.compare(held, here) === 0;
    if (!isSame && this.#disagreed.get(from) !== pair) {
      this.#disagreed.set(from, pair);
      return;
    }
    this.#disagreed.delete(from);
    if (isSame) return;
    this.#tellings.set(from, '');
    this.tellMore(from);
  }

  tellMore(nodeId: string): void {
    const { turn } = this.#shared;
    let from = this.#tellings.get(nodeId);
    for (let left = STEP_ACCOUNTS; from !== undefined && left > 0; left -= PIECE_ACCOUNTS) {
      from = this.#tellPiece(nodeId, from);
    }
    if (from === undefined) this.#tellings.delete(nodeId);
    else {
      this.#tellings.set(nodeId, from);
      turn.alarm(TELL_ALARM + nodeId, instant(turn.now + TELL_PAUSE_MS));
    }
  }

  /** A peer has told all that it has between two keys. */
  reset(nodeId: string, named: ReadonlySet<string>, within: KeyRange): void {
    const waiting = this.#resets.get(nodeId) ?? [];
    if (waiting.length >= RESETS_MAX) return;
    this.#resets.set(nodeId, [...waiting, { ...within, named }]);
    if (waiting.length === 0) this.resetMore(nodeId);
  }

  resetMore(nodeId: string): void {
    const { replicas, turn } = this.#shared;
    const waiting = this.#resets.get(nodeId) ?? [];
    let left = STEP_ACCOUNTS;
    for (let reset = waiting[0]; reset !== undefined && left > 0; reset = waiting[0]) {
      const page = replicas.page(reset.from, reset.to, PAGE_ACCOUNTS);
      for (const account of page) {
        const isWrong = account.confirmed.has(nodeId) && !reset.named.has(account.cidText);
        if (isWrong && !account.isGuest) this.#withdraw(account, nodeId);
      }
      left -= PAGE_ACCOUNTS;
      if (page.length < PAGE_ACCOUNTS) waiting.shift();
      else waiting[0] = { ...reset, from: `${page.at(-1)!.key}\0` };
    }
    if (waiting.length === 0) this.#resets.delete(nodeId);
    else turn.alarm(RESET_ALARM + nodeId, turn.now);
  }

  peerDown(nodeId: string): void {
    if (this.#tellings.delete(nodeId)) this.#shared.turn.alarm(TELL_ALARM + nodeId, undefined);
    this.#disagreed.delete(nodeId);
  }

  /** @returns from where the next piece begins; undefined at the end. */
  #tellPiece(nodeId: string, from: string): string | undefined {
    const { replicas, turn } = this.#shared;
    const told: Account[] = [];
    let at: string | undefined = from;
    for (let looked = 0; at !== undefined && looked < PIECE_ACCOUNTS; looked += PAGE_ACCOUNTS) {
      const page = replicas.page(at, undefined, PAGE_ACCOUNTS);
      const last = page.at(-1);
      at = last === undefined || page.length < PAGE_ACCOUNTS ? undefined : `${last.key}\0`;
      told.push(...page.filter((account) => replicas.isTold(account, nodeId)));
      if (told.length + PAGE_ACCOUNTS > LIMITS.messageItems) break;
    }
    const versions = told.map(({ cid }) => cid);
    const within = { from, ...(at !== undefined && { to: at }) };
    turn.send(nodeId, { type: 'stored', versions, within });
    return at;
  }
}
