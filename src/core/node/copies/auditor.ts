/**
 * W22: asks holders, at random times, to prove that they have an object of a root that they have
 * confirmed, and answers such questions. What a failed proof means for the copy, `kb/` says.
 */
import { randomBytes, randomInt } from 'node:crypto';
import type { CID } from 'multiformats/cid';
import { hasCode, toAegisError } from '../../errors.ts';
import {
  answerOf,
  type Challenge,
  decodeChallenge,
  encodeChallenge,
  NONCE_BYTES,
  Silences,
} from '../../kb/possession.ts';
import { parseNode } from '../../kb/reader.ts';
import type { Replication, ReplicationInput } from '../../kb/replication.ts';
import type { Host } from '../../network/host.ts';
import type { Clock, Hasher, Log, Metrics } from '../../ports.ts';
import type { ContentStore } from '../../storage/content-store.ts';
import { HOUR, instant, MINUTE, SECOND } from '../../units.ts';
import { answerMsOf } from '../route.ts';

export interface AuditorOptions {
  readonly auditsPerHour: number;
}

export interface AuditorDeps {
  readonly machine: Pick<Replication, 'upkeep' | 'hasRoot'>;
  readonly content: Pick<ContentStore, 'getMany'>;
  readonly host: Pick<Host, 'handle' | 'peer' | 'request'>;
  readonly blake3: Hasher;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** An object of a root is damaged or missing here. */
  incomplete(root: CID): void;
  submit(input: ReplicationInput): void;
}

const METHOD = 'kb/prove';
const TIMEOUT_MS = 20 * SECOND;
const ANSWER_BYTES = 32;
/** An answer reads an object of up to 4 MiB and hashes it. */
const WEIGHT = 10;
/** So often at most a copy that is doubted is audited again. */
const AGAIN_MS = 30 * SECOND;
const AGAIN_MAX = 1024;
/** The deepest that a walk from a root goes. */
const DEPTH_MAX = 64;

export class Auditor {
  readonly #options: AuditorOptions;
  readonly #deps: AuditorDeps;
  readonly #silences = new Silences();
  /** By node and root: when a doubted copy was audited. */
  readonly #again = new Map<string, number>();
  #cancel: (() => void) | undefined;
  #isStopped = false;

  constructor(options: AuditorOptions, deps: AuditorDeps) {
    this.#options = options;
    this.#deps = deps;
    deps.host.handle(METHOD, async (_from, body) => await this.#answer(body), WEIGHT);
  }

  start(): void {
    if (this.#options.auditsPerHour > 0) this.#arm();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  /** A node says again that it has what it could not prove. */
  wanted(nodeId: string, root: CID): void {
    const key = `${nodeId} ${root.toString()}`;
    const now = performance.now();
    if (now - (this.#again.get(key) ?? Number.NEGATIVE_INFINITY) < AGAIN_MS) return;
    this.#again.delete(key);
    this.#again.set(key, now);
    const [oldest] = this.#again.keys();
    if (this.#again.size > AGAIN_MAX && oldest !== undefined) this.#again.delete(oldest);
    void this.#audit(nodeId, root);
  }

  /** Audits one copy of one root, if there is any. */
  async audit(): Promise<void> {
    const { machine, host } = this.#deps;
    const start = randomBytes(32).toString('hex');
    const found = machine.upkeep.auditable(start, (nodeId) => host.peer(nodeId) !== undefined);
    if (found === undefined) return;
    await this.#audit(found.nodeIds[randomInt(found.nodeIds.length)]!, found.root);
  }

  /** Audits of all copies of a root, at once. @returns who could not prove its own. */
  async auditRoot(root: CID, nodeIds: readonly string[]): Promise<string[]> {
    const held = await Promise.all(nodeIds.map((nodeId) => this.#audit(nodeId, root)));
    return nodeIds.filter((_, n) => held[n] === false);
  }

  /** Times between audits are exponential: nobody can tell when the next one comes. */
  #arm(): void {
    const { clock } = this.#deps;
    const mean = HOUR / this.#options.auditsPerHour;
    const uniform = (randomInt(2 ** 32) + 1) / 2 ** 32;
    const delay = Math.min(-Math.log(uniform) * mean, 10 * Math.max(mean, MINUTE));
    this.#cancel = clock.wakeAt(instant(clock.now() + delay), () => {
      if (this.#isStopped) return;
      this.#arm();
      void this.audit();
    });
  }

  /** @returns undefined where nothing follows: the root is not whole here, or nobody answers. */
  async #audit(nodeId: string, root: CID): Promise<boolean | undefined> {
    const { metrics, submit, blake3 } = this.#deps;
    try {
      const drawn = await this.#draw(root);
      if (drawn === undefined) return undefined;
      const challenge = { root, object: drawn.object, nonce: randomBytes(NONCE_BYTES) };
      const answer = await this.#ask(nodeId, challenge);
      metrics.count('aegis_kb_audits_total');
      if (answer === 'silent') return undefined;
      const right = answerOf(blake3, challenge.nonce, drawn.bytes);
      const isHeld = answer !== undefined && Buffer.compare(answer, right) === 0;
      if (!isHeld) this.#failed(nodeId, challenge, answer);
      submit({ type: 'audited', nodeId, root, isHeld });
      return isHeld;
    } catch (error) {
      const { code, message: reason } = toAegisError(error);
      const fields = { holder: nodeId, root: root.toString(), code, reason };
      this.#deps.log.write('debug', 'a copy could not be audited', fields);
      return undefined;
    }
  }

  /** Undefined: no answer, once too often. */
  async #ask(nodeId: string, challenge: Challenge): Promise<Uint8Array | 'silent' | undefined> {
    const { host } = this.#deps;
    try {
      const timeoutMs = answerMsOf(host.peer(nodeId), TIMEOUT_MS);
      const options = { timeoutMs, maxReplyBytes: ANSWER_BYTES };
      const answer = await host.request(nodeId, METHOD, encodeChallenge(challenge), options);
      this.#silences.answered(nodeId);
      return answer;
    } catch (error) {
      // Who has gone away meanwhile is not silent.
      if (host.peer(nodeId) === undefined || hasCode(error, 'NOT_REACHABLE')) return 'silent';
      return this.#silences.silent(nodeId) ? undefined : 'silent';
    }
  }

  #failed(nodeId: string, { root, object }: Challenge, answer: Uint8Array | undefined): void {
    const { log, metrics } = this.#deps;
    metrics.count('aegis_kb_audits_failed_total');
    log.write('error', 'a node could not prove a copy that it has confirmed', {
      holder: nodeId,
      root: root.toString(),
      object: object.toString(),
      why: answer === undefined ? 'no answer' : answer.length === 0 ? 'not there' : 'a wrong one',
    });
  }

  /** An object of a root, by a random way down from it. */
  async #draw(root: CID): Promise<{ object: CID; bytes: Uint8Array } | undefined> {
    let object = root;
    for (let depth = 0; depth < DEPTH_MAX; depth += 1) {
      const bytes = await this.#read(object);
      if (bytes === undefined) {
        this.#deps.incomplete(root);
        return undefined;
      }
      const { links } = parseNode(object, bytes);
      if (links.length === 0) return { object, bytes };
      // Now and then it is a node that is asked for, and not what is below it.
      const choice = randomInt(links.length + 1);
      const link = links[choice];
      if (link === undefined) return { object, bytes };
      object = link.cid;
    }
    return undefined;
  }

  /** Undefined: not there, or damaged, and then set aside. */
  async #read(object: CID): Promise<Uint8Array | undefined> {
    try {
      return (await this.#deps.content.getMany([object], { verify: true }))[0];
    } catch (error) {
      if (hasCode(error, 'BAD_HASH')) return undefined;
      throw error;
    }
  }

  async #answer(body: Uint8Array): Promise<Uint8Array> {
    const { machine, blake3, incomplete } = this.#deps;
    const { root, object, nonce } = decodeChallenge(body);
    const bytes = await this.#read(object);
    if (bytes !== undefined) return answerOf(blake3, nonce, bytes);
    // An object of a root that is said to be whole here.
    if (machine.hasRoot(root)) incomplete(root);
    return new Uint8Array();
  }
}
