/**
 * Keeps this node from numbering two versions alike. A home that was restored from a backup, or
 * whose facts were damaged and set aside, does not know what it has signed before; its peers do.
 * So before the first version of each run the node listens: it asks them for its own last version.
 * A number alone would be an easy lie, and would keep this node from ever writing again.
 */
import { rm } from 'node:fs/promises';
import { AegisError, toAegisError } from '../errors.ts';
import { statIfPresent, writeFileAtomic } from '../files.ts';
import type { VersionGraph } from '../kb/versions.ts';
import { openVersion, VERSION_BYTES_MAX } from '../model/version.ts';
import type { Host } from '../network/host.ts';
import type { Log } from '../ports.ts';
import { answerMsOf } from './route.ts';

const METHOD = 'kb/last';
const TIMEOUT_MS = 3000;
const NODE_ID_BYTES_MAX = 64;

export interface OwnHistoryOptions {
  /** Node id of this node. */
  readonly self: string;
  /** The own identity key that a version counts with (A3). */
  keyOf(keyEpoch: number, sequence: number): Uint8Array | undefined;
  /** Nodes of which one at least knows all that was acknowledged: n - f, this one among them. */
  quorum(): number;
  /** Beside the facts; there while they are known to be incomplete. */
  readonly marker: string;
}

export interface OwnHistoryDeps {
  readonly host: Host;
  readonly graph: VersionGraph;
  readonly log: Log;
}

/**
 * Call before the facts are opened: facts that are gone while objects are there were lost.
 * @returns the path of the marker, which stays until the history is whole again.
 */
export async function markLostFacts(chainDb: string, contentDb: string): Promise<string> {
  const marker = `${chainDb}.lost`;
  const isLost = (await statIfPresent(chainDb)) === undefined;
  if (isLost && (await statIfPresent(contentDb)) !== undefined) {
    await writeFileAtomic(marker, 'The facts of this node were lost; it asks its peers first.\n');
  }
  return marker;
}

export class OwnHistory {
  readonly #options: OwnHistoryOptions;
  readonly #deps: OwnHistoryDeps;
  #isWhole = false;

  constructor(options: OwnHistoryOptions, deps: OwnHistoryDeps) {
    this.#options = options;
    this.#deps = deps;
    deps.host.handle(METHOD, async (_from, body) => this.#lastBytes(readNodeId(body)));
  }

  /**
   * Resolves when the next version can be numbered. Peers that do not answer are waited for only
   * when the facts are known to be lost: otherwise a node alone could not write.
   * @throws {AegisError} `TRY_AGAIN` while the own versions are not all back.
   */
  async check(): Promise<void> {
    if (this.#isWhole) return;
    const { self, marker } = this.#options;
    const quorum = this.#options.quorum();
    const { graph } = this.#deps;
    const peers = this.#deps.host.peers().map((peer) => peer.nodeId);
    const answers = await Promise.all(peers.map((nodeId) => this.#ask(nodeId)));
    const known = answers.filter((sequence) => sequence !== undefined);
    const isLost = (await statIfPresent(marker)) !== undefined;
    if (isLost && known.length + 1 < quorum) {
      const message = `this node lost its facts, and only ${known.length} of its peers answer`;
      throw new AegisError('TRY_AGAIN', message, {
        hint: `It needs ${quorum - 1} of them before it writes again. See: aegis peers`,
      });
    }
    const last = graph.nextSequence(self) - 1;
    const greatest = Math.max(0, ...known);
    if (greatest > last) {
      const message = `this node has ${last} of its own ${greatest} versions back from its peers`;
      throw new AegisError('TRY_AGAIN', message, { hint: 'It is catching up; try again soon.' });
    }
    await rm(marker, { force: true });
    this.#isWhole = true;
  }

  /** How far a peer knows this node. What it cannot prove does not count as an answer. */
  async #ask(nodeId: string): Promise<number | undefined> {
    const { self, keyOf: ownKeyOf } = this.#options;
    const body = new TextEncoder().encode(self);
    const timeoutMs = answerMsOf(this.#deps.host.peer(nodeId), TIMEOUT_MS);
    const options = { timeoutMs, maxReplyBytes: VERSION_BYTES_MAX };
    try {
      const reply = await this.#deps.host.request(nodeId, METHOD, body, options);
      if (reply.length === 0) return 0;
      const keyOf = (author: string, keyEpoch: number, sequence: number) =>
        author === self ? ownKeyOf(keyEpoch, sequence) : undefined;
      return openVersion(reply, keyOf).version.sequence;
    } catch (error) {
      const { code, message } = toAegisError(error);
      const fields = { peer: nodeId, code, reason: message };
      this.#deps.log.write('info', 'a peer did not say how far it knows this node', fields);
      return undefined;
    }
  }

  /** The signed bytes of the last version of an author; none when there is none. */
  #lastBytes(author: string): Uint8Array {
    const log = this.#deps.graph.author(author);
    const [last] = log.between(log.sequence, log.sequence);
    return last?.bytes ?? new Uint8Array();
  }
}

function readNodeId(bytes: Uint8Array): string {
  if (bytes.length > NODE_ID_BYTES_MAX) throw new AegisError('TOO_LARGE', 'that is no node id');
  return new TextDecoder().decode(bytes);
}
