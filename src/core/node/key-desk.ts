/**
 * The keys of this node while it runs: takes up a rotation that was prepared in the home, hands it
 * in until it is decided, and brings home and network to what is final (docs/keys.md, A1 to A4,
 * H5). It prepares nothing and holds no successor; what follows what, `model/` says.
 *
 * A rotation of the identity holds new versions back from the moment in which what it seals is
 * counted until it is final. Signing on with the old key would make versions that nobody counts
 * (A3), and signing with the new one versions that count only if the custodians take the entry; so
 * nothing is signed, nothing is lost, and writes wait. Intents need no hold: one that is decided
 * under the old key counts, and one that is not is signed anew (A2).
 */
import type { ChainOutcome } from '../chain/chain.ts';
import type { Roster } from '../chain/roster.ts';
import { AegisError, hasCode, toAegisError } from '../errors.ts';
import { expiriesOf, expiryText, markOf } from '../keys/expiry.ts';
import type { Keystore } from '../keys/keystore.ts';
import { type CertifiedRole, type SignedSuccession, successionFault } from '../model/succession.ts';
import type { Host } from '../network/host.ts';
import type { Clock, Log } from '../ports.ts';
import { type Instant, MINUTE, SECOND, type Verified } from '../units.ts';
import { HomeWatch } from './home-watch.ts';
import type { Introductions } from './introductions.ts';
import { followChain } from './own-keys.ts';
import type { VersionsHold } from './own-versions.ts';
import type { SessionKeeper } from './session-keeper.ts';
import { Waiting } from './waiting.ts';

export interface KeyDeskDeps {
  readonly self: string;
  readonly keystore: Keystore;
  readonly roster: Roster;
  /** With which the host listens. */
  readonly networkKey: Uint8Array;
  readonly introductions: Pick<Introductions, 'accepts' | 'settle' | 'nextEnd'>;
  readonly sessions: Pick<SessionKeeper, 'settle'>;
  readonly host: Pick<Host, 'rotate' | 'review'>;
  readonly clock: Clock;
  readonly log: Log;
  /** Signed bytes of a statement, to the chain; again is harmless. */
  submit(bytes: Uint8Array): void;
  /** A3: no version is signed until it is released. */
  hold(): Promise<VersionsHold>;
  /** At which height a statement was decided, however long ago. */
  heightOf(digest: string): Promise<number | undefined>;
  addressesOf(nodeId: string): readonly string[];
  /** Resolves when all that was final when it began is final here. */
  barrier(signal: AbortSignal): Promise<void>;
  /** The keys of members have changed. */
  changed(nodeIds: readonly string[]): void;
  /** Who is let in, or what this node has of its own keys, may be another now. */
  reviewed(): void;
}

/** What has become of a rotation. */
export interface Rotated {
  readonly number: number;
  readonly digest: string;
  readonly keyEpoch: number;
  readonly replaced: readonly CertifiedRole[];
  /** At which it was decided. */
  readonly height: number;
  readonly retiredNetworkUntil: number | undefined;
}

interface Adopted {
  readonly entry: Verified<SignedSuccession>;
}

/** A seal that is not followed by a rotation ends by itself. */
export const SEAL_MS = MINUTE;
/** Warnings are looked at so often; and so often a failed settling is tried again. */
const LOOK_MS = 60 * MINUTE;
const RETRY_MS = 10 * SECOND;
/** S6: another member has named a key of the entry before. */
const TAKEN = 'key-taken';
/** So long the key in force is kept for a rotation to be decided. */
export const HURRY_MS = 10 * SECOND;

export class KeyDesk {
  readonly #deps: KeyDeskDeps;
  readonly #rotated = new Waiting<Rotated>();
  readonly #warned = new Set<string>();
  #adopted: Adopted | undefined;
  #hold: { readonly hold: VersionsHold; cancel: () => void } | undefined;
  #holding: Promise<VersionsHold> | undefined;
  #cancelLook: (() => void) | undefined;
  /** Of what is to be done later: a timer that is left keeps the process from ending. */
  readonly #cancels = new Set<() => void>();
  readonly #stopping = new AbortController();
  /** Settling is done one at a time. */
  #last: Promise<unknown> = Promise.resolve();
  /** The network key with which the host listens. */
  #listening: Uint8Array;
  /** From when on the network key in force is not waited for. */
  #leaveAt = Infinity;
  /** What is prepared was decided, and will not come into force. */
  #isRefused = false;
  #isStopped = false;
  readonly #watch: HomeWatch;

  constructor(deps: KeyDeskDeps) {
    this.#deps = deps;
    this.#watch = new HomeWatch(deps, {
      prepared: () => this.#adopted === undefined && void this.#resume(),
      changed: () => this.#settleSoon(),
    });
    this.#listening = deps.networkKey;
  }

  /** Goes on with what a run before has begun. The network must be running. */
  start(): void {
    this.#look();
    if (this.#deps.keystore.pending() !== undefined) void this.#resume();
    this.#watch.start();
  }

  stop(): void {
    this.#isStopped = true;
    this.#watch.stop();
    this.#stopping.abort();
    this.#cancelLook?.();
    for (const cancel of this.#cancels) cancel();
    this.#cancels.clear();
    this.#release();
  }

  /** Ends all waits; what is handed in stays so. */
  fail(error: AegisError): void {
    this.#rotated.fail(error);
  }

  /**
   * A3: so many versions count that are signed with the identity key in force, since an entry that
   * replaces it is handed in, or was by a run before. Undefined: all.
   */
  get sealed(): number | undefined {
    const { keystore } = this.#deps;
    const pending = keystore.pending();
    if (pending === undefined || this.#isRefused) return undefined;
    const isOut = pending.isHandedIn || this.#adopted !== undefined;
    return isOut ? pending.entry.succession.sealed : undefined;
  }

  /** The network key with which the host listens, or is about to. */
  get listening(): Uint8Array {
    return this.#listening;
  }

  /** Handed in and not final. */
  get isSubmitted(): boolean {
    return this.#adopted !== undefined;
  }

  /**
   * Holds versions back for a minute, so that a rotation that is prepared meanwhile seals all.
   * @throws {AegisError} `TRY_AGAIN`.
   */
  async seal(): Promise<{ readonly versions: number; readonly until: number }> {
    const { versions } = await this.#held();
    const until = this.#deps.clock.now() + SEAL_MS;
    this.#hold!.cancel();
    const cancel = this.#deps.clock.wakeAt(until as Instant, () => this.#release());
    this.#hold!.cancel = cancel;
    return { versions, until };
  }

  /**
   * Takes up what is prepared. Resolves when it is final and the home is brought to it.
   * @throws {AegisError} `NOT_FOUND`, `NOT_FINAL`, `CHECK_FAILED`, `KEYSTORE_DAMAGED`.
   */
  async rotate(signal: AbortSignal): Promise<Rotated> {
    const entry = await this.#adopt(signal);
    const { digest } = entry;
    const done = this.#rotated.wait(digest, () => true, signal);
    // It may have been decided before anybody came to wait for it.
    this.#settleSoon();
    try {
      return await done;
    } catch (error) {
      if (!signal.aborted) throw error;
      throw new AegisError('NOT_FINAL', 'the custodians have not decided the rotation yet', {
        hint: 'It is handed in again until they have. See: aegis keys list',
        details: { digest },
      });
    }
  }

  tell(outcome: ChainOutcome): void {
    const digest = this.#adopted?.entry.digest;
    if (outcome.type === 'refused') {
      if (outcome.digest !== digest) return;
      const { message, details } = outcome.error;
      this.#refused(digest, message, details?.['reason'] === TAKEN);
      return;
    }
    if (outcome.type === 'finalised') {
      const receipt = outcome.receipts.find(({ id }) => id === digest);
      if (digest !== undefined && receipt?.result === 'refused') {
        this.#refused(digest, receipt.reason ?? 'without a reason', receipt.reason === TAKEN);
      }
      return;
    }
    if (outcome.type !== 'roster') return;
    const { nodeIds } = outcome;
    this.#deps.introductions.settle(nodeIds);
    this.review();
    this.#deps.changed(nodeIds);
    void this.#deps.sessions.settle();
    if (nodeIds.includes(this.#deps.self)) this.#settleSoon();
  }

  /** H5: connections of those who are let in no more are cut; also when a grace has ended. */
  review(): void {
    const { introductions, host } = this.#deps;
    const cut = host.review((identity) => introductions.accepts(identity));
    if (cut > 0)
      this.#deps.log.write('info', 'connections are cut: their keys count no more', { cut });
    this.#deps.reviewed();
    this.#arm();
  }

  /** Peers may have to answer before anything can be said of the own versions. */
  async #resume(): Promise<void> {
    try {
      await this.#adopt(this.#stopping.signal);
    } catch (error) {
      this.#complain('a rotation waits in the home', error);
      if (this.#isStopped || !hasCode(error, 'TRY_AGAIN', 'BUSY')) return;
      this.#later(RETRY_MS, () => void this.#resume());
    }
  }

  async #adopt(signal: AbortSignal): Promise<Verified<SignedSuccession>> {
    const { keystore, roster, self } = this.#deps;
    const pending = await keystore.adoptPending();
    if (pending === undefined) {
      throw new AegisError('NOT_FOUND', 'no rotation is prepared in this home', {
        hint: 'Prepare one: aegis keys rotate',
      });
    }
    const { entry } = pending;
    const { succession, digest } = entry;
    this.#isRefused = false;
    if (keystore.restored !== undefined) await this.#catchUp(signal);
    const isFinal = roster.get(self)?.history.some((state) => state.digest === digest) === true;
    if (!isFinal) {
      const known = roster.get(self)?.keys;
      // A home may know entries that its chain has not come to yet.
      const isAhead = known === undefined || known.number < keystore.current.number;
      const before = isAhead ? keystore.current : known;
      const fault = successionFault(before, succession);
      if (fault !== undefined) throw refusal(`it does not follow the chain: ${fault}`);
      if (succession.replaced.includes('identity')) await this.#checkSealed(succession.sealed ?? 0);
      const { number, replaced } = succession;
      this.#deps.log.write('info', 'a rotation of keys is handed in', { number, replaced });
      await keystore.markHandedIn();
      this.#adopted = { entry };
      this.#deps.submit(entry.bytes);
      this.#hurry(entry);
    } else this.#adopted = { entry };
    return entry;
  }

  /**
   * S8: keys may have changed since the backup was made. Another entry in the place of one that is
   * final, signed with the very successor, would freeze this node for ever; so nothing is handed in
   * before this node has heard of all that was final.
   */
  async #catchUp(signal: AbortSignal): Promise<void> {
    const ended = AbortSignal.any([signal, this.#stopping.signal]);
    for (;;) {
      try {
        return await this.#deps.barrier(ended);
      } catch (cause) {
        if (!ended.aborted) await this.#pause(ended);
        if (!ended.aborted) continue;
        throw new AegisError('TRY_AGAIN', 'this restored home does not know yet what is final', {
          hint: 'It asks the custodians. What is prepared stays, and nobody has seen it.',
          cause,
        });
      }
    }
  }

  #pause(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
      this.#later(SECOND, resolve);
    });
  }

  /**
   * Whoever has the network key, too, may stand in the way of handing anything in. So a compromised
   * key is left at once, and any other when nothing is decided for a while: peers believe the entry
   * that they are shown with the new key (H1), and cut off what it retires.
   */
  #hurry({ succession, digest }: SignedSuccession): void {
    if (!succession.replaced.includes('network')) return;
    const waitMs = succession.reason === 'compromised' ? 0 : HURRY_MS;
    this.#leaveAt = this.#deps.clock.now() + waitMs;
    this.#later(waitMs, () => {
      if (this.#adopted?.entry.digest === digest) this.#settleSoon();
    });
  }

  /** A3: what was signed since it was prepared would count for nobody. */
  async #checkSealed(sealed: number): Promise<void> {
    const { versions } = await this.#held();
    this.#hold!.cancel();
    this.#hold!.cancel = () => {};
    if (versions <= sealed) return;
    const more = versions - sealed;
    if (this.#deps.keystore.isOutElsewhere) {
      // J5: there is no way back (S8); the home has shown it in another cluster already.
      this.#deps.log.write('error', 'a rotation does not seal all versions of here', { more });
      return;
    }
    this.#release();
    throw refusal(
      `${more} versions have been signed since it was prepared, and it seals none of them`,
    );
  }

  async #held(): Promise<VersionsHold> {
    if (this.#hold !== undefined) return this.#hold.hold;
    this.#holding ??= this.#deps.hold();
    try {
      const hold = await this.#holding;
      this.#hold ??= { hold, cancel: () => {} };
      return hold;
    } finally {
      this.#holding = undefined;
    }
  }

  #release(): void {
    this.#hold?.cancel();
    this.#hold?.hold.release();
    this.#hold = undefined;
  }

  #refused(digest: string, why: string, isTaken: boolean): void {
    this.#adopted = undefined;
    this.#isRefused = true;
    this.#release();
    // Back to the key in force, if it was left.
    this.#settleSoon();
    const error = refusal(why);
    this.#complain('the custodians refuse a rotation', error);
    this.#rotated.fail(error, digest);
    if (!isTaken) return;
    // Such an entry is never final and no evidence: its owner makes another one in its place.
    this.#deps.keystore.markRefused().catch((cause: unknown) => {
      this.#complain('a refused rotation cannot be given up', cause);
    });
  }

  #settleSoon(): void {
    this.#last = this.#last
      .then(() => this.#settle())
      .catch((error: unknown) => {
        this.#complain('the keys in this home could not be brought to what is final', error);
        if (this.#isStopped) return;
        this.#later(RETRY_MS, () => this.#settleSoon());
      });
  }

  async #settle(): Promise<void> {
    const { roster, self, keystore, log } = this.#deps;
    const member = roster.get(self);
    if (member === undefined || this.#isStopped) return;
    const digest = this.#adopted?.entry.digest;
    const isDecided = digest !== undefined && member.history.some((one) => one.digest === digest);
    await followChain(member, { keystore, log, now: this.#deps.clock.now() });
    this.#deps.reviewed();
    if (isDecided) {
      this.#adopted = undefined;
      this.#release();
    }
    await this.#deps.sessions.settle();
    await this.#rotateNetwork();
    if (isDecided) await this.#tellRotated(digest);
  }

  async #tellRotated(digest: string): Promise<void> {
    const { roster, self, heightOf } = this.#deps;
    const member = roster.get(self)!;
    const { last: entry, ...state } = member.history.find((one) => one.digest === digest)!;
    const { number, keyEpoch } = state;
    const replaced = entry?.replaced ?? [];
    const hasGrace = replaced.includes('network');
    const retiredNetworkUntil = hasGrace ? member.retiredNetworkKey?.until : undefined;
    const height = (await heightOf(digest)) ?? 0;
    const done = { number, digest, keyEpoch, replaced, height, retiredNetworkUntil };
    this.#rotated.tell(digest, done);
  }

  /** H5 */
  async #rotateNetwork(): Promise<void> {
    const { keystore, host, addressesOf, log } = this.#deps;
    const before = this.#listening;
    const networkKey = this.#wantedNetworkKey();
    if (Buffer.compare(networkKey, before) === 0) return;
    const seed = keystore.networkSeed(networkKey);
    try {
      // What is shown in hello goes with the key.
      this.#listening = networkKey;
      // H2: none for a compromised one.
      const last = this.#adopted?.entry.succession ?? keystore.current.last;
      const isLost = last?.reason === 'compromised';
      await host.rotate(seed, { addressesOf, ...(isLost ? { graceMs: 0 } : {}) });
      log.write('info', 'this node has a new peer id');
    } catch (error) {
      this.#listening = before;
      throw error;
    } finally {
      seed.fill(0);
    }
    this.review();
  }

  #wantedNetworkKey(): Uint8Array {
    const { keystore, clock } = this.#deps;
    const { networkKey } = keystore.current.keys;
    const isLost = keystore.missing().includes('network');
    const isLeft = this.#adopted !== undefined && clock.now() >= this.#leaveAt;
    const pending = isLost || isLeft ? keystore.pending()?.after.keys.networkKey : undefined;
    return pending ?? (isLost ? this.#listening : networkKey);
  }

  /** Warnings, the end of a grace, the erasure of what is retired: none of them is urgent. */
  #look(): void {
    const now = this.#deps.clock.now();
    for (const expiry of expiriesOf(this.#deps.keystore.current, now)) {
      const mark = markOf(expiry);
      if (this.#warned.has(mark)) continue;
      this.#warned.add(mark);
      this.#deps.log.write('warn', expiryText(expiry), {});
    }
    this.#settleSoon();
    this.review();
  }

  #arm(): void {
    this.#cancelLook?.();
    if (this.#isStopped) return;
    const now = this.#deps.clock.now();
    const next = Math.min(now + LOOK_MS, this.#deps.introductions.nextEnd() ?? Infinity);
    this.#cancelLook = this.#deps.clock.wakeAt(next as Instant, () => this.#look());
  }

  #later(waitMs: number, work: () => void): void {
    if (this.#isStopped) return;
    const { clock } = this.#deps;
    const cancel = clock.wakeAt((clock.now() + waitMs) as Instant, () => {
      this.#cancels.delete(cancel);
      work();
    });
    this.#cancels.add(cancel);
  }

  #complain(message: string, error: unknown): void {
    const { code, message: reason } = toAegisError(error);
    this.#deps.log.write('error', message, { code, reason });
  }
}

const refusal = (why: string): AegisError =>
  new AegisError('CHECK_FAILED', `the rotation is refused: ${why}`, {
    hint: 'Nothing has changed. See: aegis keys list',
  });
