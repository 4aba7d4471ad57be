/**
 * The session keys of this node, a new one every day by itself, and those that members have told
 * (docs/keys.md). What a certificate is, `model/` says, and where secrets lie, the keystore. It
 * encrypts nothing to them, and the clock decides nothing but when the next one is made.
 */
import type { Roster } from '../chain/roster.ts';
import { AegisError, hasCode, toAegisError } from '../errors.ts';
import type { Keystore } from '../keys/keystore.ts';
import {
  openSession,
  SESSION_LIFETIME_MAX_MS,
  type Session,
  type SignedSession,
} from '../model/session.ts';
import type { IncomingEnvelope } from '../network/rpc-server.ts';
import type { Clock, Log } from '../ports.ts';
import { type Instant, MINUTE } from '../units.ts';
import { Complaints } from './complaints.ts';

/** Its envelopes carry one signed certificate each. */
export const KEYS_PROTOCOL = 'keys';

/** So long a session key is the newest one; as long again what was begun with it can be opened. */
const SESSION_MS = SESSION_LIFETIME_MAX_MS / 2;
/** After a failure, e.g. of the disk or of a signer. */
const RETRY_MS = MINUTE;
/** Certificates of others that a peer is told when it comes. */
const GREETING_MAX = 64;
/** Certificates of one peer that do not hold, before nothing of it is read for a while. */
export const BAD_SESSIONS_MAX = 16;
const BAD_MS = MINUTE;

export interface SessionKeeperDeps {
  readonly self: string;
  readonly keystore: Pick<Keystore, 'sessions' | 'newSession' | 'dropSessions' | 'current'>;
  readonly roster: Pick<Roster, 'isMember' | 'identityKey' | 'keyEpochOf'>;
  readonly clock: Clock;
  readonly log: Log;
  peers(): readonly string[];
  send(to: string, protocol: string, body: Uint8Array): void;
}

interface Bad {
  count: number;
  readonly since: number;
}

export class SessionKeeper {
  readonly #deps: SessionKeeperDeps;
  readonly #complaints: Complaints;
  /** The newest of each member: at most one a member of the roster. */
  readonly #known = new Map<string, SignedSession>();
  readonly #bad = new Map<string, Bad>();
  /** By peer, the last one whose identity key is not known here yet. */
  readonly #early = new Map<string, Uint8Array>();
  #cancel: (() => void) | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #isStopped = false;

  constructor(deps: SessionKeeperDeps) {
    this.#deps = deps;
    this.#complaints = new Complaints(deps.log);
  }

  /** Makes a session key if there is none that is fresh, and the next ones when they are due. */
  async start(): Promise<void> {
    await this.#look();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  /** The own one that is newest. */
  get own(): Session | undefined {
    return this.#deps.keystore.sessions()[0]?.session;
  }

  /** Members whose session key is known here. */
  get count(): number {
    return this.#known.size;
  }

  /** The newest certificate of a member. */
  of(nodeId: string): SignedSession | undefined {
    return this.#known.get(nodeId);
  }

  /** Makes the next one now; the one before opens what was begun with it until it expires. */
  rotate(): Promise<Session> {
    const made = this.#last.then(() => this.#make());
    this.#last = made.catch(() => {});
    return made;
  }

  /** Identity keys have changed: the own certificate is made anew, and others may hold now. */
  async settle(): Promise<void> {
    // A1: whoever has stolen an identity key must not be written to once it is replaced.
    for (const [nodeId, { session }] of this.#known) {
      if (!this.#isInForce(session)) this.#known.delete(nodeId);
    }
    const early = [...this.#early];
    this.#early.clear();
    for (const [from, body] of early) this.take({ from, protocol: KEYS_PROTOCOL, body });
    if (this.own?.keyEpoch !== this.#deps.keystore.current.keyEpoch) await this.#look();
  }

  greet(nodeId: string): void {
    const own = this.#deps.keystore.sessions()[0];
    const others = [...this.#known.values()].filter(({ session }) => session.nodeId !== nodeId);
    const all = [...(own === undefined ? [] : [own]), ...others.slice(-GREETING_MAX)];
    for (const { bytes } of all) this.#deps.send(nodeId, KEYS_PROTOCOL, bytes);
  }

  take({ from, body }: IncomingEnvelope): void {
    if (this.#isBad(from)) return;
    try {
      this.#learn(from, body);
    } catch (error) {
      if (hasCode(error, 'DENIED') && this.#deps.roster.isMember(from)) {
        this.#early.set(from, body);
        return;
      }
      this.#noteBad(from);
      const { code, message: reason } = toAegisError(error);
      const fields = { from, code, reason };
      this.#complaints.say('warn', 'refused a session key', `${from} ${code}`, fields);
    }
  }

  /** @throws {AegisError} what does not hold. */
  #learn(from: string, body: Uint8Array): void {
    const { roster, self } = this.#deps;
    const signed = openSession(body, (nodeId, keyEpoch) =>
      roster.isMember(nodeId) ? roster.identityKey(nodeId, keyEpoch) : undefined,
    );
    const { nodeId } = signed.session;
    if (nodeId === self || !this.#isInForce(signed.session)) return;
    const known = this.#known.get(nodeId)?.session;
    if (known !== undefined && !isLater(signed.session, known)) return;
    // The last ones to change stand last.
    this.#known.delete(nodeId);
    this.#known.set(nodeId, signed);
    for (const peer of this.#deps.peers()) {
      if (peer !== from && peer !== nodeId) this.#deps.send(peer, KEYS_PROTOCOL, body);
    }
  }

  #isInForce({ nodeId, keyEpoch }: Session): boolean {
    const { roster } = this.#deps;
    return roster.isMember(nodeId) && keyEpoch === roster.keyEpochOf(nodeId);
  }

  /** Makes one if it is time, and looks again when the next is due. */
  async #look(): Promise<void> {
    this.#cancel?.();
    let waitMs = RETRY_MS;
    try {
      if (this.#isDue()) await this.rotate();
      waitMs = Math.max(0, (this.own?.startsAt ?? 0) + SESSION_MS - this.#deps.clock.now());
    } catch (error) {
      const { code, message: reason } = toAegisError(error);
      this.#deps.log.write('warn', 'no new session key could be made', { code, reason });
    }
    if (this.#isStopped) return;
    const at = (this.#deps.clock.now() + waitMs) as Instant;
    this.#cancel = this.#deps.clock.wakeAt(at, () => void this.#look());
  }

  /** Also when the clock has been set back behind the start of the newest one. */
  #isDue(): boolean {
    const { own } = this;
    if (own === undefined || own.keyEpoch !== this.#deps.keystore.current.keyEpoch) return true;
    const age = this.#deps.clock.now() - own.startsAt;
    return age >= SESSION_MS || age < -MINUTE;
  }

  async #make(): Promise<Session> {
    const { keystore, clock } = this.#deps;
    if (this.#isStopped) throw new AegisError('STOPPING', 'the node is stopping');
    const now = clock.now();
    const expiresAt = now + SESSION_LIFETIME_MAX_MS;
    const { session, bytes } = await keystore.newSession({ startsAt: now, expiresAt, now });
    await keystore.dropSessions(now);
    this.#deps.log.write('info', 'a new session key is in use', { number: session.number });
    for (const peer of this.#deps.peers()) this.#deps.send(peer, KEYS_PROTOCOL, bytes);
    return session;
  }

  #isBad(from: string): boolean {
    const bad = this.#bad.get(from);
    if (bad === undefined) return false;
    if (this.#deps.clock.now() - bad.since <= BAD_MS) return bad.count >= BAD_SESSIONS_MAX;
    this.#bad.delete(from);
    return false;
  }

  #noteBad(from: string): void {
    const bad = this.#bad.get(from) ?? { count: 0, since: this.#deps.clock.now() };
    bad.count += 1;
    this.#bad.set(from, bad);
  }
}

const isLater = (one: Session, other: Session): boolean =>
  one.keyEpoch > other.keyEpoch || (one.keyEpoch === other.keyEpoch && one.number > other.number);
