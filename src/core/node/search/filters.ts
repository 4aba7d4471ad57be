/**
 * The filters of the connected nodes (W34, W35). Each is fetched when its node connects and when it
 * says that it has changed; what has long not been heard of is asked for again before a question
 * depends on it. Nothing is kept of nodes that are gone.
 */
import { AegisError, toAegisError } from '../../errors.ts';
import type { Bloom } from '../../kb/find/bloom.ts';
import { after, type FilterNews, type FilterState } from '../../kb/find/grown-filter.ts';
import { FIND_LIMITS } from '../../kb/find/limits.ts';
import {
  decodeNews,
  decodeState,
  encodeNews,
  encodeState,
  NEWS_BYTES_MAX,
} from '../../kb/find/messages.ts';
import type { Host } from '../../network/host.ts';
import type { Log } from '../../ports.ts';
import { SECOND } from '../../units.ts';
import { answerMsOf } from '../route.ts';

const METHOD = 'kb/words';
const NOTICE_METHOD = 'kb/words-changed';
/** It may be 1 MiB. */
const WEIGHT = 50;
const TIMEOUT_MS = 5 * SECOND;
/** Changes of the own filter are told at most so often. */
const NOTICE_MS = SECOND;
/** A filter that was looked at within this time is as good as new: a notice may have been lost. */
const FRESH_MS = 30 * SECOND;
const NOTHING = new Uint8Array();

export interface FiltersDeps {
  readonly host: Pick<Host, 'handle' | 'request' | 'peers' | 'peer'>;
  readonly log: Log;
  own(known: FilterState | undefined): Promise<FilterNews>;
  /** Whether the own index has not been through all that is here. */
  isPartial(): boolean;
}

interface PeerFilter {
  bloom: Bloom | undefined;
  state: FilterState | undefined;
  /** When it was fetched, or found to be the same. */
  seenAt: number;
  fetching: Promise<void> | undefined;
  /** It has changed since it was asked for. */
  isStale: boolean;
  /** Its node may have more than it says. */
  isPartial: boolean;
}

/** What a filter says of terms. */
export type Verdict = 'maybe' | 'excluded' | 'no-filter' | 'distrusted';

export class Filters {
  readonly #deps: FiltersDeps;
  readonly #peers = new Map<string, PeerFilter>();
  #told: FilterState | undefined;
  #notice: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(deps: FiltersDeps) {
    this.#deps = deps;
    deps.host.handle(METHOD, (_from, body) => this.#news(decodeState(body)), WEIGHT);
    deps.host.handle(NOTICE_METHOD, async (from, body) => {
      this.#noticed(from, decodeState(body));
      return await Promise.resolve(NOTHING);
    });
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#notice);
  }

  up(nodeId: string): void {
    if (this.#peers.has(nodeId)) return;
    this.#peers.set(nodeId, {
      ...{ bloom: undefined, state: undefined, fetching: undefined },
      ...{ seenAt: -FRESH_MS, isStale: true, isPartial: false },
    });
    void this.#fetch(nodeId);
  }

  down(nodeId: string): void {
    this.#peers.delete(nodeId);
  }

  /** The own filter is this now. */
  changed(state: FilterState): void {
    if (this.#told?.epoch === state.epoch && this.#told.ones === state.ones) return;
    this.#told = state;
    this.#tellSoon();
  }

  /** The own index has been through all that is here. */
  swept(): void {
    this.#tellSoon();
  }

  /** Asks for what has long not been looked at; resolves when all has come, or is not to be had. */
  async refresh(nodeIds: readonly string[]): Promise<void> {
    const old = nodeIds.filter((nodeId) => {
      const peer = this.#peers.get(nodeId);
      return peer !== undefined && (peer.isStale || performance.now() - peer.seenAt > FRESH_MS);
    });
    await Promise.all(old.map((nodeId) => this.#fetch(nodeId)));
  }

  /** W34, W35 */
  verdict(nodeId: string, terms: readonly string[]): Verdict {
    const bloom = this.#peers.get(nodeId)?.bloom;
    if (bloom === undefined) return 'no-filter';
    if (!bloom.isTrusted) return 'distrusted';
    if (this.#peers.get(nodeId)?.isPartial === true) return 'maybe';
    return terms.every((term) => bloom.has(term)) ? 'maybe' : 'excluded';
  }

  #noticed(from: string, state: FilterState | undefined): void {
    const peer = this.#peers.get(from);
    if (peer === undefined) return;
    const isSame = state?.epoch === peer.state?.epoch && state?.ones === peer.state?.ones;
    if (isSame && !peer.isPartial) return;
    peer.isStale = true;
    void this.#fetch(from);
  }

  /** Never rejects. One at a time for each node. */
  #fetch(nodeId: string): Promise<void> {
    const peer = this.#peers.get(nodeId);
    if (peer === undefined || this.#isStopped) return Promise.resolve();
    peer.fetching ??= this.#fetchAll(nodeId, peer).finally(() => {
      peer.fetching = undefined;
    });
    return peer.fetching;
  }

  async #fetchAll(nodeId: string, peer: PeerFilter): Promise<void> {
    try {
      do {
        peer.isStale = false;
        await this.#fetchOnce(nodeId, peer);
      } while (peer.isStale && this.#peers.get(nodeId) === peer && !this.#isStopped);
    } catch (error) {
      peer.bloom = undefined;
      peer.state = undefined;
      peer.isStale = true;
      const { code, message: reason } = toAegisError(error);
      const fields = { peer: nodeId, code, reason };
      this.#deps.log.write('debug', 'a node did not give its filter of words', fields);
    }
  }

  async #fetchOnce(nodeId: string, peer: PeerFilter): Promise<void> {
    const { host } = this.#deps;
    const timeoutMs = answerMsOf(host.peer(nodeId), TIMEOUT_MS);
    const options = { timeoutMs, maxReplyBytes: NEWS_BYTES_MAX };
    const news = decodeNews(await host.request(nodeId, METHOD, encodeState(peer.state), options));
    if (news.type === 'whole') this.#checkRoom(nodeId, news.bytes.length);
    peer.bloom = after(peer.bloom, news);
    peer.state = { epoch: news.epoch, ones: news.ones };
    peer.isPartial = news.isPartial;
    peer.seenAt = performance.now();
  }

  #checkRoom(nodeId: string, sizeBytes: number): void {
    let bytes = sizeBytes;
    for (const [other, { bloom }] of this.#peers) {
      if (other !== nodeId) bytes += bloom?.bytes.length ?? 0;
    }
    if (bytes <= FIND_LIMITS.filterBytes) return;
    throw new AegisError('TOO_LARGE', `filters of more than ${FIND_LIMITS.filterBytes} bytes`);
  }

  async #news(known: FilterState | undefined): Promise<Uint8Array> {
    const isPartial = this.#deps.isPartial();
    return encodeNews({ ...(await this.#deps.own(known)), isPartial });
  }

  #tellSoon(): void {
    if (!this.#isStopped) this.#notice ??= setTimeout(() => this.#tell(), NOTICE_MS).unref();
  }

  #tell(): void {
    this.#notice = undefined;
    const body = encodeState(this.#told);
    for (const { nodeId } of this.#deps.host.peers()) {
      const timeoutMs = answerMsOf(this.#deps.host.peer(nodeId), TIMEOUT_MS);
      const options = { timeoutMs, maxReplyBytes: 0 };
      // Who misses it asks before the next question that depends on it.
      this.#deps.host.request(nodeId, NOTICE_METHOD, body, options).catch(() => undefined);
    }
  }
}
