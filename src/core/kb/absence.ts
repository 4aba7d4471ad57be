/**
 * Who counts for placement: the custodians without those that this node has not been connected
 * with for the grace period, and without those that drain (W20, W26). Each node judges for itself,
 * and judges nobody while it is connected with none: then it is itself that is away. It moves
 * nothing and knows no root: `place` is told who is left.
 */
import { decode, encode } from '../model/cbor.ts';
import { RecordReader } from '../model/record.ts';
import { type Instant, instant } from '../units.ts';
import type { PlacementMember } from './placement.ts';
import type { ReplicationShared } from './replication-types.ts';
import { type KbStore, TABLES } from './store.ts';

export const ABSENCE_ALARM = 'absence';

const ROW_BYTES_MAX = 64;

/** Members that are left out, and since when. */
interface Out {
  readonly absent: Map<string, Instant>;
  readonly draining: Set<string>;
}

export class Absence {
  readonly #shared: Pick<ReplicationShared, 'options' | 'store' | 'turn' | 'up'>;
  readonly #place: (members: readonly PlacementMember[]) => void;
  readonly #out: Out;
  #members: readonly PlacementMember[];
  /** Since when there has been no connection with a member that is not absent yet. */
  readonly #down = new Map<string, Instant>();
  #alarmAt: Instant | undefined;

  constructor(
    shared: Pick<ReplicationShared, 'options' | 'store' | 'turn' | 'up'>,
    place: (members: readonly PlacementMember[]) => void,
  ) {
    this.#shared = shared;
    this.#place = place;
    this.#members = shared.options.members;
    this.#out = outOf(shared.store);
  }

  /** Absent members, and since when there has been no connection. */
  get absent(): ReadonlyMap<string, Instant> {
    return this.#out.absent;
  }

  /** Members that want to hold nothing. */
  get draining(): ReadonlySet<string> {
    return this.#out.draining;
  }

  get isDraining(): boolean {
    return this.#out.draining.has(this.#shared.options.nodeId);
  }

  /** Once, after a restart: nobody is connected yet, and everybody has the grace period for it. */
  start(): void {
    this.#startClocks();
    this.#arm();
  }

  members(members: readonly PlacementMember[]): void {
    this.#members = members;
    const ids = new Set(members.map(({ nodeId }) => nodeId));
    for (const nodeId of [...this.#down.keys()]) if (!ids.has(nodeId)) this.#down.delete(nodeId);
    for (const nodeId of [...this.#out.absent.keys()]) {
      if (!ids.has(nodeId)) this.#setAbsent(nodeId, undefined);
    }
    for (const { nodeId } of members) this.#fell(nodeId);
    this.#arm();
    this.#place(presentMembers(members, this.#out));
  }

  /** The node is in `up` already. */
  peerUp(nodeId: string): void {
    // Whoever was alone could not know who else was away; now it can.
    if (this.#shared.up.size === 1) this.#startClocks();
    this.#down.delete(nodeId);
    this.#arm();
    // W20: it counts again as soon as it is back.
    if (this.#setAbsent(nodeId, undefined)) this.#changed();
  }

  /** The node is not in `up` any more. */
  peerDown(nodeId: string): void {
    this.#fell(nodeId);
    this.#arm();
  }

  /** The grace period of somebody may be over. */
  look(): void {
    const { options, turn, up } = this.#shared;
    this.#alarmAt = undefined;
    let isNew = false;
    // W20
    for (const [nodeId, since] of up.size === 0 ? [] : [...this.#down]) {
      if (turn.now - since < options.graceMs) continue;
      this.#down.delete(nodeId);
      isNew = this.#setAbsent(nodeId, since) || isNew;
    }
    this.#arm();
    if (isNew) this.#changed();
  }

  /** W20, without the grace: whoever is not connected now is absent. */
  hurry(): void {
    const { options, turn } = this.#shared;
    for (const nodeId of this.#down.keys()) {
      this.#down.set(
        nodeId,
        instant(Math.min(this.#down.get(nodeId)!, turn.now - options.graceMs)),
      );
    }
    this.look();
  }

  /** W26: a node says whether it drains. */
  drains(nodeId: string, isDraining: boolean): void {
    const { options, store } = this.#shared;
    const isMember = this.#members.some((member) => member.nodeId === nodeId);
    if (!isMember && nodeId !== options.nodeId) return;
    if (this.#out.draining.has(nodeId) === isDraining) return;
    if (isDraining) this.#out.draining.add(nodeId);
    else this.#out.draining.delete(nodeId);
    store.set(TABLES.draining, nodeId, isDraining ? Uint8Array.of(1) : undefined);
    this.#changed();
  }

  #changed(): void {
    this.#place(presentMembers(this.#members, this.#out));
  }

  #startClocks(): void {
    this.#down.clear();
    for (const { nodeId } of this.#members) this.#fell(nodeId);
  }

  #fell(nodeId: string): void {
    const { options, up, turn } = this.#shared;
    if (nodeId === options.nodeId || up.has(nodeId) || this.#out.absent.has(nodeId)) return;
    if (!this.#members.some((member) => member.nodeId === nodeId)) return;
    if (!this.#down.has(nodeId)) this.#down.set(nodeId, turn.now);
  }

  #setAbsent(nodeId: string, since: Instant | undefined): boolean {
    const { absent } = this.#out;
    if ((since !== undefined) === absent.has(nodeId)) return false;
    if (since === undefined) absent.delete(nodeId);
    else absent.set(nodeId, since);
    const row = since === undefined ? undefined : encode({ v: 1, type: 'absent', since });
    this.#shared.store.set(TABLES.absent, nodeId, row);
    return true;
  }

  #arm(): void {
    const { options, turn, up } = this.#shared;
    const first = Math.min(...this.#down.values());
    // Who is alone waits for somebody, not for a time that is over.
    const isDue = Number.isFinite(first) && up.size > 0;
    const at = isDue ? instant(first + options.graceMs) : undefined;
    if (at === this.#alarmAt) return;
    this.#alarmAt = at;
    turn.alarm(ABSENCE_ALARM, at);
  }
}

/** Who was left out when the machine ended: it begins with the same placement. */
export function outOf(store: KbStore): Out {
  const absent = new Map<string, Instant>();
  for (const { key, value } of store.under(TABLES.absent, '')) {
    const record = new RecordReader(decode(value, { maxBytes: ROW_BYTES_MAX }), 'absent', [
      'since',
    ]);
    absent.set(key, instant(record.integer('since', 0)));
  }
  const draining = new Set<string>();
  for (const { key } of store.under(TABLES.draining, '')) draining.add(key);
  return { absent, draining };
}

/** The members that count; all of them rather than none that could hold anything. */
export function presentMembers(
  members: readonly PlacementMember[],
  { absent, draining }: Out,
): readonly PlacementMember[] {
  const isThere = ({ nodeId }: PlacementMember) => !absent.has(nodeId) && !draining.has(nodeId);
  const present = members.filter(isThere);
  return present.some(({ weight }) => weight > 0) ? present : members;
}
