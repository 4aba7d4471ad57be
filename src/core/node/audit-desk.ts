/**
 * Audits (docs/history.md, Y8): has a peer verify its chain and sign what it found, and checks that
 * against the own chain; and answers peers that ask the same of this node. An audit reads all that
 * the asked node has, so it does one at a time, and for each peer not often.
 */
import { randomBytes } from 'node:crypto';
import type { Result } from '../api/contract/endpoints.ts';
import { hex, sameBytes } from '../bytes.ts';
import { verifyEd25519 } from '../crypto/sign.ts';
import { AegisError, hasCode } from '../errors.ts';
import {
  AUDIT_REPORT_BYTES_MAX,
  type AuditReport,
  createAuditReport,
  encodeAuditRequest,
  readAuditReport,
  readAuditRequest,
} from '../model/audit.ts';
import type { Host } from '../network/host.ts';
import type { Log, Security } from '../ports.ts';
import { MINUTE } from '../units.ts';
import type { Author } from './author.ts';
import type { ChainRoom } from './chain-room.ts';
import { timeout } from './timeout.ts';

/** What a node has found when it verified its own chain. */
export type AuditFinding = Pick<
  AuditReport,
  'base' | 'height' | 'digest' | 'stateRoot' | 'verdict' | 'fault'
>;

export interface AuditDeskDeps {
  readonly clusterId: string;
  readonly room: ChainRoom;
  readonly author: Author;
  readonly host: Pick<Host, 'handle' | 'request'>;
  readonly log: Log;
  readonly security: Security | undefined;
  /** Verifies all that is kept here. */
  verify(signal: AbortSignal): Promise<AuditFinding>;
  now(): number;
}

const METHOD = 'audit';
/** As how many requests one counts. */
const WEIGHT = 32;
/** One peer is answered no more often. */
const PAUSE_MS = MINUTE;
const NONCE_BYTES = 32;

export class AuditDesk {
  readonly #deps: AuditDeskDeps;
  /** By node id, when it was answered last. */
  readonly #answeredAt = new Map<string, number>();
  #isBusy = false;

  constructor(deps: AuditDeskDeps) {
    this.#deps = deps;
    deps.host.handle(METHOD, (from, body, { signal }) => this.#answer(from, body, signal), WEIGHT);
  }

  /** @throws {AegisError} `NOT_REACHABLE`, `BAD_SIGNATURE`, `BAD_ENCODING`, `TIMEOUT`, `BUSY`. */
  async ask(
    nodeId: string,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<Result<'peers.audit'>> {
    const { clusterId, host, room, now } = this.#deps;
    const nonce = new Uint8Array(randomBytes(NONCE_BYTES));
    const begun = now();
    const until = AbortSignal.any([signal, timeout(timeoutMs)]);
    const options = { timeoutMs, maxReplyBytes: AUDIT_REPORT_BYTES_MAX, signal: until };
    const body = encodeAuditRequest({ clusterId, nonce });
    const bytes = await host.request(nodeId, METHOD, body, options);
    const report = this.#read(nodeId, bytes, nonce);
    const agrees = await this.#agrees(report);
    if (agrees === false || report.verdict === 'damaged') this.#tellFault(report, agrees);
    const { verdict, fault, base, height, digest, stateRoot } = report;
    return {
      nodeId,
      name: room.chain.roster.get(nodeId)?.name ?? null,
      ...{ verdict, fault: fault ?? null, base, height, digest, stateRoot: hex(stateRoot), agrees },
      report: Buffer.from(bytes).toString('base64'),
      tookMs: now() - begun,
    };
  }

  /** Whoever signs is the node that was asked, with a key of its own, for this very question. */
  #read(nodeId: string, bytes: Uint8Array, nonce: Uint8Array): AuditReport {
    const { clusterId, room } = this.#deps;
    const { report, check } = readAuditReport(bytes, clusterId);
    const key = room.chain.roster.identityKey(nodeId, report.keyEpoch);
    const isIts = report.nodeId === nodeId && sameBytes(report.nonce, nonce);
    if (isIts && key !== undefined && verifyEd25519(key, check.message, check.signature)) {
      return report;
    }
    throw new AegisError('BAD_SIGNATURE', `${nodeId} has not signed an answer to this question`);
  }

  /** Undefined here: this node has not come so far, or has pruned it. */
  async #agrees({ height, digest, stateRoot }: AuditReport): Promise<boolean | null> {
    const { chain, archive } = this.#deps.room;
    if (height === 0) return true;
    if (height > chain.height) return null;
    try {
      const { block } = await archive.block(height);
      return block.digest === digest && sameBytes(block.header.stateRoot, stateRoot);
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND')) return null;
      throw error;
    }
  }

  #tellFault({ nodeId, height, fault }: AuditReport, agrees: boolean | null): void {
    const what = agrees === false ? 'another history' : 'a damaged chain';
    const reason = `${what} at height ${fault?.height ?? height}`;
    this.#deps.security?.tell({ type: 'audit-failed', nodeId, reason });
    this.#deps.log.write('warn', 'an audit has found a fault', { nodeId, reason });
  }

  async #answer(from: string, body: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const { clusterId, author, room, now, verify } = this.#deps;
    const { nonce } = readAuditRequest(body, clusterId);
    if (!room.chain.roster.isMember(from)) throw new AegisError('DENIED', 'only members audit');
    const answered = this.#answeredAt.get(from) ?? -Infinity;
    if (this.#isBusy || now() - answered < PAUSE_MS) {
      throw new AegisError('BUSY', 'this node was audited a moment ago', {
        hint: `It answers one node no more than once in ${PAUSE_MS / 1000} s.`,
      });
    }
    this.#isBusy = true;
    this.#answeredAt.set(from, now());
    try {
      const found = await verify(signal);
      this.#deps.log.write('info', 'this node was audited', { by: from, verdict: found.verdict });
      const { keyEpoch, nodeId } = author;
      const facts = { clusterId, nodeId, keyEpoch, nonce, time: now() };
      return createAuditReport({ ...facts, ...found }, author.signer());
    } finally {
      this.#isBusy = false;
    }
  }
}
