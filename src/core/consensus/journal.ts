/**
 * What a replica keeps across a crash, one row a concern. It is written in the transaction of the
 * step that changed it, so before any message that shows it (D1), and read back once (D2).
 */
import { BLS_KEY_BYTES } from '../crypto/bls.ts';
import { AegisError } from '../errors.ts';
import type { LogEntry } from '../machine.ts';
import { decode, encode } from '../model/cbor.ts';
import { KIB } from '../units.ts';
import {
  certificateValue,
  readCertificate,
  readTimeoutCertificate,
  timeoutCertificateValue,
} from './certificate.ts';
import { decodeEvidence, encodeEvidence, evidenceKey } from './evidence.ts';
import { Fields, fromHex, SIGNATURE_BYTES } from './fields.ts';
import { LIMITS } from './limits.ts';
import { readShare, shareValue } from './messages.ts';
import type { Slot } from './pen.ts';
import type { Certificate, Evidence, Share, SlotKind, TimeoutCertificate } from './types.ts';

export const REPLICA_TABLE = 'consensus/replica';
export const EVIDENCE_TABLE = 'consensus/evidence';
const ROW_BYTES_MAX = 64 * KIB;
const REASON_BYTES_MAX = 512;

export interface Row {
  readonly table: string;
  readonly key: string;
  readonly value: Uint8Array;
}

/** A doubt that a restart does not end (D4). */
export interface KeptDoubt {
  readonly reason: string;
  /** The height with whose finality it ends; undefined: not known yet. */
  readonly until: number | undefined;
  /** Whose answers say so (E5): a digest of their node ids, in hex. */
  readonly members?: string | undefined;
  /** The highest height of which it is known that this node has signed something there. */
  readonly floor: number;
  /** The own consensus keys, in hex, that it is about (K1). */
  readonly held: readonly string[];
  /** Those of them that a backup has brought: no answers end the doubt about these (K2). */
  readonly brought: readonly string[];
}

/** All that was durable. */
export interface Kept {
  /** Of the last final block. */
  readonly final: Certificate | undefined;
  /** E5: of the last height of the custodians before. */
  readonly handover: Certificate | undefined;
  readonly slot: Slot | undefined;
  readonly last: Share | undefined;
  readonly entry: TimeoutCertificate | undefined;
  readonly high: Certificate | undefined;
  readonly named: Certificate | undefined;
  readonly doubt: KeptDoubt | undefined;
  /** Up to this height it does not matter any more what this node has forgotten (D4). */
  readonly absolved: number;
  readonly evidence: readonly Evidence[];
}

const row = (key: string, value: unknown): LogEntry => ({
  table: REPLICA_TABLE,
  key,
  value: value === undefined ? undefined : encode(value),
});

export const finalRow = (certificate: Certificate): LogEntry =>
  row('final', [1, certificateValue(certificate)]);

export const handoverRow = (certificate: Certificate): LogEntry =>
  row('handover', [1, certificateValue(certificate)]);

export const slotRow = (slot: Slot, last: Share | undefined): LogEntry => {
  const { height, view, proposal, shares } = slot;
  const list = (['prepare', 'commit', 'timeout'] as const).map((kind) => {
    const share = shares[kind];
    return share === undefined ? null : shareValue(share);
  });
  const proposed = proposal === undefined ? null : [fromHex(proposal.digest), proposal.signature];
  return row('slot', [1, height, view, proposed, list, last ? shareValue(last) : null]);
};

export const entryRow = (entry: TimeoutCertificate): LogEntry =>
  row('entry', [1, timeoutCertificateValue(entry)]);

export const highRow = (high: Certificate): LogEntry => row('high', [1, certificateValue(high)]);

/** What the timeout of the slot names; `high` may have been raised since (T5). */
export const namedRow = (named: Certificate): LogEntry =>
  row('named', [1, certificateValue(named)]);

export const doubtRow = (doubt: KeptDoubt | undefined): LogEntry => {
  if (doubt === undefined) return row('doubt', undefined);
  const { reason, until, members, floor, held, brought } = doubt;
  const [all, some] = [held, brought].map((keys) => keys.map((key) => Buffer.from(key, 'hex')));
  const who = members === undefined ? null : fromHex(members);
  return row('doubt', [3, Buffer.from(reason), until ?? null, who, floor, all, some]);
};

export const absolvedRow = (height: number): LogEntry => row('absolved', [1, height]);

export const evidenceRow = (evidence: Evidence): LogEntry => ({
  table: EVIDENCE_TABLE,
  key: evidenceKey(evidence),
  value: encodeEvidence(evidence),
});

/** @throws {AegisError} `STORE_DAMAGED` for a row that this code has not written. */
export function readRows(rows: readonly Row[]): Kept {
  const own = new Map<string, Uint8Array>();
  const evidence: Evidence[] = [];
  try {
    for (const { table, key, value } of rows) {
      if (table === REPLICA_TABLE) own.set(key, value);
      if (table === EVIDENCE_TABLE) evidence.push(decodeEvidence(value));
    }
    const read = <T>(key: string, count: number, parse: (fields: Fields) => T): T | undefined => {
      const bytes = own.get(key);
      if (bytes === undefined) return undefined;
      const fields = new Fields(decode(bytes, { maxBytes: ROW_BYTES_MAX }), count, `row ${key}`);
      fields.integer(1, 1);
      return parse(fields);
    };
    const slot = read('slot', 6, readSlot);
    return {
      final: read('final', 2, (fields) => fields.read(readCertificate)),
      handover: read('handover', 2, (fields) => fields.read(readCertificate)),
      slot: slot?.slot,
      last: slot?.last,
      entry: read('entry', 2, (fields) => fields.read(readTimeoutCertificate)),
      high: read('high', 2, (fields) => fields.read(readCertificate)),
      named: read('named', 2, (fields) => fields.read(readCertificate)),
      doubt: readDoubt(own.get('doubt')),
      absolved: read('absolved', 2, (fields) => fields.height()) ?? 0,
      evidence,
    };
  } catch (cause) {
    throw new AegisError('STORE_DAMAGED', 'what was kept of the consensus cannot be read', {
      cause,
    });
  }
}

function readSlot(fields: Fields): { readonly slot: Slot; readonly last: Share | undefined } {
  const height = fields.height();
  const view = fields.view();
  const proposal = fields.optional((value) => {
    const proposed = new Fields(value, 2, 'row slot');
    return { digest: proposed.digest(), signature: proposed.bytes(SIGNATURE_BYTES) };
  });
  const shares: Partial<Record<SlotKind, Share>> = {};
  fields.list(3, (value) => {
    if (value === null) return;
    const share = readShare(value);
    shares[share.kind] = share;
  });
  return { slot: { height, view, proposal, shares }, last: fields.optional(readShare) };
}

function readDoubt(bytes: Uint8Array | undefined): KeptDoubt | undefined {
  if (bytes === undefined) return undefined;
  const fields = new Fields(decode(bytes, { maxBytes: ROW_BYTES_MAX }), 7, 'row doubt');
  fields.integer(3, 3);
  const reason = Buffer.from(fields.blob(REASON_BYTES_MAX)).toString();
  const until = fields.optional((height) => new Fields([height], 1, 'row doubt').height());
  const members = fields.optional((digest) => new Fields([digest], 1, 'row doubt').digest());
  const floor = fields.height(0);
  const [held, brought] = [0, 0].map(() => fields.list(LIMITS.heldKeys, readKey));
  return { reason, until, members, floor, held: held!, brought: brought! };
}

const readKey = (key: unknown): string =>
  Buffer.from(new Fields([key], 1, 'row doubt').bytes(BLS_KEY_BYTES)).toString('hex');
