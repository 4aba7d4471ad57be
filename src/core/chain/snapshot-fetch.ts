/**
 * Y4, Y6: takes a snapshot from peers: the manifest and the rows that lead to it from one of them,
 * then the parts of the state from all that offer the same height. What does not hold is thrown
 * away, its sender named, and another asked. It installs nothing.
 */
import { sameBytes } from '../bytes.ts';
import { AegisError, isAegisError } from '../errors.ts';
import { type BlockHeader, readHeader } from '../model/block.ts';
import { type Instant, instant, MINUTE, SECOND } from '../units.ts';
import { firstPatience, type Patience } from './catch-up.ts';
import { readHandover, Trail, type TrailOptions } from './handovers.ts';
import { LIMITS } from './limits.ts';
import { heightKey, TABLES } from './rows.ts';
import { arePartsOf, checkLeaders, type Manifest, partOf } from './snapshot.ts';
import { type Part, StateTree } from './state-tree.ts';
import type { SyncMessage } from './sync-messages.ts';
import type { Turn } from './turn.ts';
import type { Handover, StoredRow } from './types.ts';

export const SNAPSHOT_ALARM = 'snapshot';

const SILENT_PENALTY_MS = 10 * SECOND;
const LIE_PENALTY_MS = 5 * MINUTE;
/** Whoever has a history that others cannot follow by then, by answering slowly, loses its turn. */
const SOURCE_MS = 2 * MINUTE;
/** Of all pages: until they are here, nothing is known of what they lead to. */
const PAGES_BYTES_MAX = LIMITS.snapshotPages * LIMITS.partBytes;
/** Parts asked of one peer at a time. */
const PARTS_PER_PEER = 2;

/** All of it is here, and everything in it but the members has been verified. */
export interface FetchedSnapshot {
  readonly manifest: Manifest;
  readonly header: BlockHeader;
  readonly tree: StateTree;
  /** Hand-overs, members, successions. */
  readonly rows: readonly StoredRow[];
  /** Who is to blame if they do not fit. */
  readonly source: string;
}

export type SnapshotAnswer = Extract<SyncMessage, { type: 'snapshot' | 'page' | 'part' }>;
type ManifestAnswer = Extract<SyncMessage, { type: 'snapshot' }>;
type SnapshotQuestion = Extract<SyncMessage, { type: 'snapshot-want' | 'page-want' | 'part-want' }>;

export interface SnapshotFetchOptions extends TrailOptions {
  /** @default as it is at first */
  readonly patience?: Readonly<Patience>;
}

export interface SnapshotOwner {
  lied(peer: string, what: string, height: number): void;
  /** A manifest is here, and its rows are asked for. */
  begun(height: number, source: string): void;
}

interface Asked {
  readonly peer: string;
  readonly deadline: number;
}

interface Source {
  readonly peer: string;
  readonly manifest: Manifest;
  readonly header: BlockHeader;
  readonly pages: Map<number, readonly StoredRow[]>;
  /** Of the pages. */
  bytes: number;
  /** Until then all pages must be here. */
  readonly deadline: number;
  /** Its header leads here from the genesis, or from the checkpoint. */
  isTrusted: boolean;
}

export class SnapshotFetch {
  readonly #options: SnapshotFetchOptions;
  readonly #patience: Readonly<Patience>;
  readonly #owner: SnapshotOwner;
  /** By peer: the height of the snapshot that it offers. */
  readonly #offers = new Map<string, number>();
  readonly #penalties = new Map<string, number>();
  /** By what was asked for. */
  readonly #asked = new Map<string, Asked>();
  /** Verified, by prefix and hash: they are good for whatever snapshot has them. */
  readonly #parts = new Map<string, Part>();
  #source: Source | undefined;
  /** Who has no parts of the source any more. */
  readonly #without = new Set<string>();
  #isOn = false;

  constructor(options: SnapshotFetchOptions, owner: SnapshotOwner) {
    this.#options = options;
    this.#patience = options.patience ?? firstPatience();
    this.#owner = owner;
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** Of a snapshot that leads here from what this node trusts; 0: there is none yet. */
  get trustedHeight(): number {
    return this.#source?.isTrusted === true ? this.#source.manifest.height : 0;
  }

  note(peer: string, height: number): void {
    if (height > 0) this.#offers.set(peer, height);
    else this.#offers.delete(peer);
  }

  forget(peer: string): void {
    this.#offers.delete(peer);
    for (const [what, asked] of this.#asked) if (asked.peer === peer) this.#asked.delete(what);
    if (this.#source?.peer === peer && !this.#source.isTrusted) this.#source = undefined;
  }

  /** The highest that one of the peers offers, who has not lied; 0: none. */
  best(peers: ReadonlySet<string>, now: Instant): number {
    let best = 0;
    for (const [peer, height] of this.#offers) {
      const isGood = peers.has(peer) && !this.#isPunished(peer, now);
      if (isGood && height >= (this.#options.checkpoint?.height ?? 0))
        best = Math.max(best, height);
    }
    return best;
  }

  start(): void {
    this.#isOn = true;
  }

  stop(turn: Turn): void {
    this.#isOn = false;
    this.#source = undefined;
    this.#asked.clear();
    this.#parts.clear();
    turn.alarm({ key: SNAPSHOT_ALARM, at: undefined });
  }

  /** What its source has sent does not fit together. */
  reject(what: string, now: Instant): void {
    if (this.#source !== undefined) this.#lied(this.#source.peer, what, now);
  }

  /** Asks for what lacks. @returns whether there is still somebody to ask. */
  pump(turn: Turn, peers: ReadonlySet<string>): boolean {
    this.#expire(turn.now);
    const source = this.#source;
    if (source === undefined) return this.#askManifest(turn, peers);
    const { manifest, pages } = source;
    const { height } = manifest;
    if (!source.isTrusted) {
      for (let index = 0; index < manifest.pages; index += 1) {
        if (this.#asked.size >= LIMITS.partsAtOnce) break;
        if (pages.has(index) || this.#asked.has(`page ${height} ${index}`)) continue;
        this.#ask(turn, source.peer, { type: 'page-want', height, index });
      }
      return true;
    }
    for (const { prefix, hash } of manifest.parts) {
      if (this.#asked.size >= LIMITS.partsAtOnce) break;
      const isAsked = this.#asked.has(`part ${height} ${prefix}`);
      if (isAsked || this.#parts.has(partKey(prefix, hash))) continue;
      // Whoever offers a later one has kept this one for a while.
      const mayHave = (peer: string, offered: number): boolean =>
        offered >= height && !this.#without.has(peer);
      const peer = this.#choose(mayHave, peers, turn.now);
      if (peer === undefined) break;
      this.#ask(turn, peer, { type: 'part-want', height, prefix });
    }
    if (this.#asked.size > 0) return true;
    // Nobody offers it any more: another one, of which many parts may be the same.
    this.#source = undefined;
    return this.#askManifest(turn, peers);
  }

  /** @returns the snapshot, when it is complete. */
  take(from: string, message: SnapshotAnswer, now: Instant): FetchedSnapshot | undefined {
    const what = whatOf(message);
    if (this.#asked.get(what)?.peer !== from) return undefined;
    this.#asked.delete(what);
    try {
      if (message.type === 'snapshot') this.#takeManifest(from, message, now);
      // What belongs to a snapshot that is wanted no more says nothing about who sends it.
      else if (this.#source?.manifest.height !== message.height) return undefined;
      else if (message.type === 'page') this.#takePage(from, message.index, message.rows);
      else this.#takePart(from, message.prefix, message.leaves);
    } catch (error) {
      if (!isAegisError(error)) throw error;
      this.#lied(from, error.message, now, message.height);
    }
    return this.#complete();
  }

  #takeManifest(from: string, { height, manifest }: ManifestAnswer, now: Instant): void {
    const { checkpoint } = this.#options;
    // Y5: who came by a snapshot itself may not have that header, and is no liar for that.
    const isShown = manifest?.checkpoint !== undefined || (checkpoint?.height ?? height) >= height;
    if (manifest === undefined || !isShown) {
      this.#offers.delete(from);
      if (manifest !== undefined) this.#delay(from, now + SILENT_PENALTY_MS);
      return;
    }
    const header = readHeader(manifest.header);
    checkLeaders(header.leaders, manifest.leaders);
    const isIt = manifest.height === header.height && manifest.height === height;
    if (!isIt || !arePartsOf(header.stateRoot, manifest.parts)) {
      throw lie('a manifest that contradicts itself');
    }
    const deadline = now + SOURCE_MS;
    this.#without.clear();
    const begun = { pages: new Map(), bytes: 0, deadline, isTrusted: false };
    this.#source = { peer: from, manifest, header, ...begun };
    this.#owner.begun(header.height, from);
    this.#followTrail();
  }

  #takePage(from: string, index: number, rows: readonly StoredRow[] | undefined): void {
    const source = this.#source;
    if (source?.peer !== from) return;
    if (rows === undefined) {
      this.#offers.delete(from);
      this.#source = undefined;
      return;
    }
    source.pages.set(index, rows);
    for (const { key, value } of rows) source.bytes += key.length + value.length;
    if (source.bytes > PAGES_BYTES_MAX) throw lie('more rows than a cluster has');
    this.#followTrail();
  }

  /** With all pages here: whether the header follows from what this node trusts. */
  #followTrail(): void {
    const source = this.#source;
    if (source === undefined || source.pages.size < source.manifest.pages) return;
    const { manifest } = source;
    const { checkpoint } = this.#options;
    const trail = new Trail(this.#options);
    let isDue = checkpoint !== undefined && checkpoint.height < manifest.height;
    for (const { table, key, value } of rowsOf(source)) {
      if (table !== TABLES.handovers) continue;
      const handover = readHandover(value);
      if (heightKey(handover.height) !== key) throw lie('a hand-over of another height');
      if (isDue && handover.height > checkpoint!.height) {
        isDue = false;
        showCheckpoint(trail, manifest);
      }
      if (handover.height < manifest.height) trail.handOver(handover);
      // The last block of an epoch may be the one whose state this is.
      else if (!isOf(handover, manifest)) throw lie('a hand-over that is none');
    }
    if (isDue) showCheckpoint(trail, manifest);
    trail.end(manifest.header, manifest.certificate);
    source.isTrusted = true;
  }

  #takePart(from: string, prefix: string, leaves: Parameters<typeof partOf>[1] | undefined): void {
    const wanted = this.#source?.manifest.parts.find((one) => one.prefix === prefix);
    if (wanted === undefined) return;
    if (leaves === undefined) {
      this.#without.add(from);
      if (this.#offers.get(from) === this.#source?.manifest.height) this.#offers.delete(from);
      return;
    }
    const part = partOf(wanted, leaves);
    if (part === undefined) throw lie('a part of the state that is not the one of its root');
    this.#parts.set(partKey(prefix, wanted.hash), part);
  }

  #complete(): FetchedSnapshot | undefined {
    const source = this.#source;
    if (source?.isTrusted !== true) return undefined;
    const { manifest, header, peer } = source;
    const parts: Part[] = [];
    for (const { prefix, hash } of manifest.parts) {
      const part = this.#parts.get(partKey(prefix, hash));
      if (part === undefined) return undefined;
      parts.push(part);
    }
    const tree = StateTree.assemble(parts);
    return { manifest, header, tree, rows: rowsOf(source), source: peer };
  }

  #askManifest(turn: Turn, peers: ReadonlySet<string>): boolean {
    if ([...this.#asked.keys()].some((what) => what.startsWith('snapshot '))) return true;
    const height = this.best(peers, turn.now);
    const offersIt = (_peer: string, offered: number): boolean => offered === height;
    const peer = height === 0 ? undefined : this.#choose(offersIt, peers, turn.now);
    if (peer === undefined) return false;
    const checkpoint = this.#options.checkpoint?.height;
    this.#ask(turn, peer, { type: 'snapshot-want', height, checkpoint });
    return true;
  }

  #ask(turn: Turn, peer: string, message: SnapshotQuestion): void {
    const deadline = turn.now + this.#patience.answerMs;
    this.#asked.set(whatOf(message), { peer, deadline });
    turn.send([peer], message);
    const next = Math.min(...[...this.#asked.values()].map((asked) => asked.deadline));
    turn.alarm({ key: SNAPSHOT_ALARM, at: instant(next) });
  }

  /** Silence is no lie, but it costs a peer its turn. */
  #expire(now: Instant): void {
    for (const [what, { peer, deadline }] of this.#asked) {
      if (deadline > now) continue;
      this.#asked.delete(what);
      this.#delay(peer, now + SILENT_PENALTY_MS);
      if (this.#source?.peer === peer && !this.#source.isTrusted) this.#source = undefined;
    }
    if (this.#source === undefined || this.#source.isTrusted || this.#source.deadline > now) return;
    // Nor is slowness, but nobody waits for it for ever.
    this.#delay(this.#source.peer, now + LIE_PENALTY_MS);
    this.#source = undefined;
  }

  #delay(peer: string, until: number): void {
    this.#penalties.set(peer, Math.max(this.#penalties.get(peer) ?? 0, until));
  }

  #lied(peer: string, what: string, now: Instant, height = this.#source?.manifest.height ?? 0) {
    this.#penalties.set(peer, now + LIE_PENALTY_MS);
    if (this.#source?.peer === peer) this.#source = undefined;
    for (const [asked, { peer: other }] of this.#asked) {
      if (other === peer) this.#asked.delete(asked);
    }
    this.#owner.lied(peer, what, height);
  }

  #isPunished(peer: string, now: Instant): boolean {
    return (this.#penalties.get(peer) ?? 0) > now;
  }

  #choose(
    isFit: (peer: string, offered: number) => boolean,
    peers: ReadonlySet<string>,
    now: Instant,
  ): string | undefined {
    let best: { readonly peer: string; readonly busy: number } | undefined;
    for (const [peer, offered] of this.#offers) {
      if (!isFit(peer, offered) || !peers.has(peer) || this.#isPunished(peer, now)) continue;
      const busy = [...this.#asked.values()].filter((asked) => asked.peer === peer).length;
      if (busy < PARTS_PER_PEER && (best === undefined || busy < best.busy)) best = { peer, busy };
    }
    return best?.peer;
  }
}

const rowsOf = ({ pages }: Source): StoredRow[] =>
  [...pages].toSorted(([a], [b]) => a - b).flatMap(([, rows]) => rows);

const isOf = (handover: Handover, { height, header, certificate }: Manifest): boolean =>
  handover.height === height &&
  sameBytes(handover.header, header) &&
  sameBytes(handover.certificate, certificate);

function showCheckpoint(trail: Trail, { checkpoint }: Manifest): void {
  if (checkpoint === undefined) throw lie('a snapshot without the header of the checkpoint');
  trail.checkpoint(checkpoint);
}

const partKey = (prefix: string, hash: Uint8Array): string =>
  `${prefix} ${Buffer.from(hash).toString('latin1')}`;

/** The height is a part of it: the answer about another snapshot is none to this question. */
function whatOf(message: SnapshotAnswer | SnapshotQuestion): string {
  const { height } = message;
  if ('index' in message) return `page ${height} ${message.index}`;
  return 'prefix' in message ? `part ${height} ${message.prefix}` : `snapshot ${height}`;
}

const lie = (what: string): AegisError => new AegisError('BAD_DATA', `it sends ${what}`);
