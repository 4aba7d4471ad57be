/**
 * `kb find` (W33 to W35): asks the own index, then the nodes whose filter says that they may have
 * what is looked for, and says what could not be asked. Peers name versions, and no more than that
 * is believed of them: what a version is of, this node knows itself.
 */

import { CID } from 'multiformats/cid';
import type { CallContext, SearchBackend } from '../../api/backend.ts';
import type { Query, Result } from '../../api/contract/endpoints.ts';
import type { RefState } from '../../chain/ref.ts';
import type { RosterMember } from '../../chain/roster.ts';
import { AegisError, toAegisError } from '../../errors.ts';
import { FIND_LIMITS } from '../../kb/find/limits.ts';
import {
  decodeAnswer,
  decodeQuestion,
  encodeAnswer,
  encodeQuestion,
  type FindAnswer,
  type FindHit,
  type FindQuestion,
} from '../../kb/find/messages.ts';
import { parseQuery, termsOf } from '../../kb/find/query.ts';
import type { Terms } from '../../kb/find/terms.ts';
import type { VersionGraph } from '../../kb/versions.ts';
import type { Host } from '../../network/host.ts';
import type { Log } from '../../ports.ts';
import type { ContentStore } from '../../storage/content-store.ts';
import type { IndexStore } from '../../storage/index-store.ts';
import { SECOND } from '../../units.ts';
import { answerMsOf } from '../route.ts';
import { timeout } from '../timeout.ts';
import type { Filters } from './filters.ts';
import type { Indexer } from './indexer.ts';

const METHOD = 'kb/find';
/** Costs more than a look at a table. */
const WEIGHT = 10;
/** Questions of peers that are answered at once. */
const SERVING_MAX = 8;
/** So long a question waits for what was written just before it. */
const SETTLE_MS = 2 * SECOND;
/** So long it waits for filters that are old. */
const REFRESH_MS = SECOND;

type Found = Result<'kb.find'>;
type Asked = Found['peers'][number];
type Member = Pick<RosterMember, 'nodeId' | 'name' | 'role'>;

export interface SearchDeps {
  readonly self: string;
  readonly store: IndexStore;
  readonly indexer: Indexer;
  readonly filters: Filters;
  readonly terms: Terms;
  readonly graph: Pick<VersionGraph, 'get'>;
  readonly content: Pick<ContentStore, 'root'>;
  readonly host: Pick<Host, 'handle' | 'request' | 'peer'>;
  readonly log: Log;
  ref(path: string): RefState | undefined;
  members(): readonly Member[];
  memberOf(nodeId: string): Pick<Member, 'name'> | undefined;
}

interface Merged {
  readonly version: CID;
  score: number;
  readonly nodes: string[];
}

export class Search implements SearchBackend {
  readonly #deps: SearchDeps;
  #serving = 0;

  constructor(deps: SearchDeps) {
    this.#deps = deps;
    deps.host.handle(METHOD, (_from, body) => this.#serve(decodeQuestion(body)), WEIGHT);
  }

  async find(query: Query<'kb.find'>, _context: CallContext): Promise<Found> {
    const { indexer, terms, self } = this.#deps;
    const phrases = parseQuery(query.query, terms);
    const question = { phrases, limit: query.limit };
    await indexer.settle(Math.min(SETTLE_MS, query.timeoutMs));
    const own = await this.#own(question);
    const asked = query.local ? [] : await this.#askOthers(question, query);
    const answers = [{ nodeId: self, answer: own }, ...asked.flatMap(withAnswer)];
    const merged = mergedOf(answers);
    const hits = (await Promise.all(merged.map((one) => this.#hit(one)))).filter(
      (hit) => hit !== undefined,
    );
    const isMore = hits.length > query.limit || answers.some(({ answer }) => answer.isMore);
    const peers = asked.map(({ peer }) => peer);
    return {
      query: query.query,
      hits: hits.slice(0, query.limit),
      more: isMore,
      complete: own.isSettled && peers.every(isComplete),
      settled: own.isSettled,
      peers,
    };
  }

  async #own({ phrases, limit }: FindQuestion, isHeldOnly = false): Promise<FindAnswer> {
    const { store, indexer } = this.#deps;
    const { hits, isMore } = await store.find({ phrases, limit, isHeldOnly });
    const named = hits.map(({ version, score }) => ({ version: CID.decode(version), score }));
    return { hits: named, isMore, isSettled: indexer.isSettled };
  }

  /** Only of what is held here: paths and messages every node knows itself. */
  async #serve(question: FindQuestion): Promise<Uint8Array> {
    if (this.#serving >= SERVING_MAX) throw new AegisError('BUSY', 'too many questions at once');
    this.#serving += 1;
    try {
      return encodeAnswer(await this.#own(question, true));
    } finally {
      this.#serving -= 1;
    }
  }

  /** W34: who may have it is asked; of the others it is said why they were not. */
  async #askOthers(
    question: FindQuestion,
    { timeoutMs }: Query<'kb.find'>,
  ): Promise<{ peer: Asked; answer?: FindAnswer }[]> {
    const { filters, host, self } = this.#deps;
    const isConnected = ({ nodeId }: Member): boolean => host.peer(nodeId) !== undefined;
    // Others hold nothing that custodians are not to hold, but may have written it just now.
    const members = this.#deps
      .members()
      .filter((one) => one.nodeId !== self && (one.role === 'custodian' || isConnected(one)));
    const connected = members.filter(isConnected).map(({ nodeId }) => nodeId);
    await Promise.race([filters.refresh(connected), over(Math.min(REFRESH_MS, timeoutMs))]);
    const terms = termsOf(question.phrases);
    return await Promise.all(
      members.map(async ({ nodeId, name }) => {
        const verdict = connected.includes(nodeId) ? filters.verdict(nodeId, terms) : 'away';
        const peer = { nodeId, name, hits: null, reason: null };
        if (verdict !== 'maybe') return { peer: { ...peer, state: verdict } };
        return await this.#askOne(peer, question, timeoutMs);
      }),
    );
  }

  async #askOne(
    peer: Omit<Asked, 'state'>,
    question: FindQuestion,
    directMs: number,
  ): Promise<{ peer: Asked; answer?: FindAnswer }> {
    const { host, log } = this.#deps;
    const { nodeId } = peer;
    const timeoutMs = answerMsOf(host.peer(nodeId), directMs);
    const options = { timeoutMs, maxReplyBytes: FIND_LIMITS.answerBytes };
    try {
      const reply = await host.request(nodeId, METHOD, encodeQuestion(question), options);
      const answer = decodeAnswer(reply);
      const state = answer.isSettled ? 'answered' : 'indexing';
      return { peer: { ...peer, state, hits: answer.hits.length }, answer };
    } catch (error) {
      const { code, message: reason } = toAegisError(error);
      log.write('debug', 'a node did not answer a search', { peer: nodeId, code, reason });
      return { peer: { ...peer, state: 'silent', reason: code } };
    }
  }

  /** Undefined for what is not shown any more, or not known here yet, whoever says so. */
  async #hit({ version, score, nodes }: Merged): Promise<Found['hits'][number] | undefined> {
    const { graph, content, ref } = this.#deps;
    const signed = graph.get(version.toString());
    if (signed === undefined || signed.version.deleted === true) return undefined;
    const { path, root, sizeBytes, author, time, message, directory } = signed.version;
    const isHead = ref(path)?.heads.some((head) => head.version.equals(version)) === true;
    if (!isHead) return undefined;
    return {
      ...{ path, cid: root.toString(), version: signed.cidText, sizeBytes },
      kind: directory === true ? 'directory' : 'file',
      author,
      authorName: this.#nameOf(author),
      time: new Date(time).toISOString(),
      message: message ?? null,
      local: (await content.root(root))?.complete === true,
      score: score / 1000,
      nodes: nodes.map((nodeId) => this.#nameOf(nodeId) ?? nodeId),
    };
  }

  #nameOf(nodeId: string): string | null {
    return this.#deps.memberOf(nodeId)?.name ?? null;
  }
}

/** A version once, with the best of its scores. */
function mergedOf(
  answers: readonly { readonly nodeId: string; readonly answer: FindAnswer }[],
): Merged[] {
  const merged = new Map<string, Merged>();
  const take = (nodeId: string, { version, score }: FindHit): void => {
    const name = version.toString();
    const known = merged.get(name);
    if (known === undefined) merged.set(name, { version, score, nodes: [nodeId] });
    else {
      known.score = Math.max(known.score, score);
      known.nodes.push(nodeId);
    }
  };
  for (const { nodeId, answer } of answers) for (const hit of answer.hits) take(nodeId, hit);
  return [...merged.values()].toSorted((a, b) => b.score - a.score);
}

const withAnswer = ({ peer, answer }: { peer: Asked; answer?: FindAnswer }) =>
  answer === undefined ? [] : [{ nodeId: peer.nodeId, answer }];

/** Whether nothing is missing for want of this node. */
const isComplete = ({ state }: Asked): boolean => state === 'answered' || state === 'excluded';

function over(ms: number): Promise<void> {
  return new Promise((resolve) => {
    timeout(ms).addEventListener('abort', () => resolve(), { once: true });
  });
}
