/**
 * How much each member asks of this node, by node id: however many connections and streams it has,
 * it has one allowance. Who asks for more is read slower; who goes on is not read at all for a
 * while; who still goes on is cut. It reads and cuts nothing itself.
 *
 * Whoever follows the rules is slowed at most: it waits for answers, so that it makes no debt
 * beyond the tolerance, and of what is not answered it sends a twentieth of what it may
 * (conduct.test.ts replays it).
 */
import type { Clock, Log, Security } from '../ports.ts';
import { MINUTE, SECOND } from '../units.ts';
import { type HostLimits, type Knob, SETTING_OF } from './limits.ts';
import { Bucket } from './rates.ts';

/** What can be asked too much of. */
const ALLOWANCES = [
  'streamsPerSecond',
  'requestsPerSecond',
  'envelopesPerSecond',
  'bytesPerSecond',
] as const satisfies readonly Knob[];
export type Allowance = (typeof ALLOWANCES)[number];

export interface ConductDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly security: Security;
  /** A limit has slowed a peer; told as often as that happens. */
  refused(nodeId: string, knob: Knob): void;
  /** All connections with the peer are to end now. */
  cut(nodeId: string): void;
}

interface Peer {
  readonly buckets: Readonly<Record<Allowance, Bucket>>;
  /**
   * Milliseconds of its allowance that it has asked for beyond it; halves every minute. Bytes do
   * not count: whoever catches up may send as fast as it is read.
   */
  score: number;
  scoredAt: number;
  /** For how many steps of the score it has been muted. */
  mutes: number;
  mutedUntil: number;
  cutUntil: number;
}

const HALF_LIFE_MS = MINUTE;
/** More than the debt that 64 requests or streams at once can make. */
const TOLERANCE_MS = 250;
const PEERS_MAX = 4096;

export class Conduct {
  readonly #limits: HostLimits;
  readonly #deps: ConductDeps;
  /** In the order of their last coming. */
  readonly #peers = new Map<string, Peer>();
  readonly #envelopesInAll: Bucket;

  constructor(options: { limits: HostLimits }, deps: ConductDeps) {
    this.#limits = options.limits;
    this.#deps = deps;
    this.#envelopesInAll = new Bucket(rateOf(options.limits.envelopesPerSecondInAll), deps);
  }

  /** @returns for how many milliseconds nothing more of the peer is to be read. */
  spend(nodeId: string, allowance: Allowance, cost = 1): number {
    const peer = this.#peer(nodeId);
    const now = this.#deps.clock.now();
    let waitMs = peer.buckets[allowance].spend(cost);
    if (waitMs > 0) {
      this.#deps.refused(nodeId, allowance);
      const isBlamed = allowance !== 'bytesPerSecond' && waitMs > TOLERANCE_MS;
      if (isBlamed) this.#blame(nodeId, peer, allowance, cost, waitMs);
    }
    if (allowance === 'envelopesPerSecond') {
      waitMs = Math.max(waitMs, this.#share(nodeId, peer, cost));
    }
    return Math.max(waitMs, peer.mutedUntil - now, 0);
  }

  /**
   * Whether what has come already is not even looked at: a whole window may be here before reading
   * stops. Whoever follows the rules has no such debt.
   */
  isIgnored(nodeId: string, allowance: Allowance): boolean {
    const peer = this.#peers.get(nodeId);
    if (peer === undefined) return false;
    const debt = -peer.buckets[allowance].level;
    const isDeep = debt > (this.#limits[allowance] * TOLERANCE_MS) / SECOND;
    return isDeep || this.#deps.clock.now() < peer.mutedUntil;
  }

  /** There is no place for it. */
  isCut(nodeId: string): boolean {
    const peer = this.#peers.get(nodeId);
    return peer !== undefined && this.#deps.clock.now() < peer.cutUntil;
  }

  /** What all may send is used up: those wait that have used up half of their own. */
  #share(nodeId: string, peer: Peer, cost: number): number {
    const waitMs = this.#envelopesInAll.spend(cost);
    const isModest = peer.buckets.envelopesPerSecond.level > this.#limits.envelopesPerSecond / 2;
    if (waitMs === 0 || isModest) return 0;
    this.#deps.refused(nodeId, 'envelopesPerSecondInAll');
    return waitMs;
  }

  #blame(nodeId: string, peer: Peer, knob: Allowance, cost: number, waitMs: number): void {
    const { muteAfterMs, muteMs, cutAfterMs, cutMs } = this.#limits;
    const now = this.#deps.clock.now();
    const agedMs = Math.max(0, now - peer.scoredAt);
    peer.scoredAt = now;
    peer.score *= 2 ** (-agedMs / HALF_LIFE_MS);
    // A step that it was muted for counts until the score is below all of it.
    peer.mutes = Math.min(peer.mutes, Math.ceil(peer.score / muteAfterMs));
    // Only what is beyond the allowance: of a cost that began within it, the rest.
    peer.score += Math.min(waitMs, (cost / this.#limits[knob]) * SECOND);
    const steps = Math.floor(peer.score / muteAfterMs);
    if (peer.score >= cutAfterMs) {
      // It comes back on probation: with what halves away until then, soon muted again.
      peer.score = cutAfterMs;
      peer.cutUntil = now + cutMs;
      this.#tell('peer-cut', 'cut off a peer that floods this node', nodeId, knob, cutMs);
      this.#deps.cut(nodeId);
    } else if (steps > peer.mutes) {
      peer.mutes = steps;
      peer.mutedUntil = now + muteMs;
      this.#tell('peer-muted', 'does not read a peer that floods this node', nodeId, knob, muteMs);
    }
  }

  #tell(
    type: 'peer-muted' | 'peer-cut',
    message: string,
    nodeId: string,
    knob: Knob,
    durationMs: number,
  ): void {
    const setting = SETTING_OF[knob];
    this.#deps.log.write('warn', message, { nodeId, knob: setting, durationMs });
    this.#deps.security.tell({ type, nodeId, knob: setting, durationMs });
  }

  #peer(nodeId: string): Peer {
    const known = this.#peers.get(nodeId);
    if (known !== undefined) return known;
    // Members only get here, so this is never full of strangers.
    if (this.#peers.size >= PEERS_MAX) {
      const oldest = this.#peers.keys().next();
      if (oldest.done !== true) this.#peers.delete(oldest.value);
    }
    const buckets = Object.fromEntries(
      ALLOWANCES.map((one) => [one, new Bucket(rateOf(this.#limits[one]), this.#deps)]),
    ) as Record<Allowance, Bucket>;
    const peer = { buckets, score: 0, scoredAt: 0, mutes: 0, mutedUntil: 0, cutUntil: 0 };
    this.#peers.set(nodeId, peer);
    return peer;
  }
}

/** After a pause, what has waited for a second may come at once. */
const rateOf = (perSecond: number) => ({ perSecond, burst: perSecond });
