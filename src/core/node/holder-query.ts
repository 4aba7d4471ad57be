/**
 * Asks other nodes whether they hold a root. Who holds what is replicated knowledge only where it
 * concerns a node; an operator may ask any node about any root.
 */
import { CID } from 'multiformats/cid';
import { AegisError, toAegisError } from '../errors.ts';
import type { Host } from '../network/host.ts';
import type { Log } from '../ports.ts';
import { answerMsOf } from './route.ts';

const METHOD = 'kb/have';
const TIMEOUT_MS = 3000;
/** A CID with a hash of 32 bytes has 36. */
const CID_BYTES_MAX = 64;
const YES = Uint8Array.of(1);
const NO = Uint8Array.of(0);

export interface HolderQueryDeps {
  readonly host: Host;
  readonly log: Log;
  /** Whether all objects of a root are durable here. */
  holds(root: CID): boolean;
}

export class HolderQuery {
  readonly #deps: HolderQueryDeps;

  constructor(deps: HolderQueryDeps) {
    this.#deps = deps;
    deps.host.handle(METHOD, async (_from, body) => (deps.holds(readCid(body)) ? YES : NO));
  }

  /** Which of the nodes say that they hold all of a root now. Those that do not answer do not. */
  async ask(root: CID, nodeIds: readonly string[]): Promise<string[]> {
    const answers = await Promise.all(nodeIds.map((nodeId) => this.#askOne(root, nodeId)));
    return nodeIds.filter((_, i) => answers[i]);
  }

  async #askOne(root: CID, nodeId: string): Promise<boolean> {
    const timeoutMs = answerMsOf(this.#deps.host.peer(nodeId), TIMEOUT_MS);
    const options = { timeoutMs, maxReplyBytes: 1 };
    try {
      const reply = await this.#deps.host.request(nodeId, METHOD, root.bytes, options);
      return reply[0] === YES[0];
    } catch (error) {
      const { code, message } = toAegisError(error);
      this.#deps.log.write('debug', 'a node did not say what it holds', {
        peer: nodeId,
        code,
        reason: message,
      });
      return false;
    }
  }
}

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
function readCid(bytes: Uint8Array): CID {
  if (bytes.length > CID_BYTES_MAX) throw new AegisError('TOO_LARGE', 'that is no CID');
  try {
    return CID.decode(bytes);
  } catch (cause) {
    throw new AegisError('BAD_ENCODING', 'that is no CID', { cause });
  }
}
