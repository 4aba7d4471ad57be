/**
 * E1: hand-overs, as they are kept and travel, and how one follows from the other: whoever trusts
 * the custodians of one epoch can trust those of the next. It knows no state.
 */
import { decodeCertificate, verifyCertificate } from '../consensus/certificate.ts';
import { Fields } from '../consensus/fields.ts';
import type { VoteScheme } from '../consensus/scheme.ts';
import { sha256Hex } from '../crypto/hash.ts';
import { AegisError, isAegisError } from '../errors.ts';
import { type BlockHeader, HEADER_BYTES_MAX, readHeader } from '../model/block.ts';
import { decode, encode } from '../model/cbor.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import {
  type CustodianEntry,
  custodianPairs,
  custodiansDigest,
  readCustodians,
} from '../model/custodians.ts';
import type { Handover } from './types.ts';

const CERTIFICATE_BYTES_MAX = 512;
const ROW_BYTES_MAX = 64 * 1024;

export const handoverRow = ({ header, certificate, custodians }: Handover): Uint8Array =>
  encode([header, certificate, custodianPairs(custodians)]);

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export function readHandover(bytes: Uint8Array): Handover {
  const fields = new Fields(decode(bytes, { maxBytes: ROW_BYTES_MAX }), 3, 'hand-over');
  const header = fields.blob(HEADER_BYTES_MAX);
  const certificate = fields.blob(CERTIFICATE_BYTES_MAX);
  const custodians = fields.read(readCustodians);
  return { height: readHeader(header).height, header, certificate, custodians };
}

/** Verifies certificates of one height by the custodians that it is given. */
export type SchemeOf = (custodians: readonly CustodianEntry[]) => VoteScheme;

export interface TrailOptions {
  readonly clusterId: string;
  /** Those of height 1. */
  readonly first: readonly CustodianEntry[];
  readonly schemeOf: SchemeOf;
  /** Y5. */
  readonly checkpoint?: Checkpoint | undefined;
}

const bad = (why: string): AegisError => new AegisError('BAD_DATA', why);

/** From the custodians of the genesis, or a checkpoint, along hand-overs to those of a height. */
export class Trail {
  readonly #options: TrailOptions;
  #custodians: readonly CustodianEntry[];
  #digest: Uint8Array;
  #height = 0;
  #isTrusted: boolean;

  constructor(options: TrailOptions) {
    this.#options = options;
    this.#custodians = options.first;
    this.#digest = custodiansDigest(options.first);
    // Y5: trust begins at the checkpoint; what leads there is only what others say.
    this.#isTrusted = options.checkpoint === undefined;
  }

  /** The custodians after the last height that was taken. */
  get custodians(): readonly CustodianEntry[] {
    return this.#custodians;
  }

  /** @throws {AegisError} `BAD_DATA` for what does not follow. */
  handOver(handover: Handover): void {
    const header = this.#certified(handover.header, handover.certificate);
    if (Buffer.compare(custodiansDigest(handover.custodians), header.custodians) !== 0) {
      throw bad(`the hand-over at ${header.height} names other custodians than its block`);
    }
    this.#custodians = handover.custodians;
    this.#digest = header.custodians;
  }

  /** The header of the checkpoint. @throws {AegisError} `BAD_DATA` if it is another one. */
  checkpoint(bytes: Uint8Array): void {
    const header = read(bytes);
    this.#checkIt(bytes, header);
    if (Buffer.compare(header.custodians, this.#digest) !== 0) {
      throw bad('other custodians follow upon the checkpoint');
    }
    this.#isTrusted = true;
  }

  /** The block of a height after the last hand-over. @throws {AegisError} `BAD_DATA`. */
  end(bytes: Uint8Array, certificate: Uint8Array): BlockHeader {
    const header = this.#certified(bytes, certificate);
    const { checkpoint } = this.#options;
    if (!this.#isTrusted && checkpoint !== undefined) {
      if (checkpoint.height !== header.height) throw bad('it does not show the checkpoint');
      // It may end an epoch itself: nobody asks here who comes after it.
      this.#checkIt(bytes, header);
    }
    return header;
  }

  #checkIt(bytes: Uint8Array, { height }: BlockHeader): void {
    const { checkpoint } = this.#options;
    if (height === checkpoint?.height && sha256Hex(bytes) === checkpoint.digest) return;
    throw bad('its history does not go through the checkpoint');
  }

  #certified(bytes: Uint8Array, encoded: Uint8Array): BlockHeader {
    const { clusterId, schemeOf } = this.#options;
    const header = read(bytes);
    const { height } = header;
    if (header.clusterId !== clusterId) throw bad('a header is of another cluster');
    if (height <= this.#height) throw bad('heights are out of order');
    const certificate = readCertificateOf(encoded);
    const isIts = certificate.height === height && certificate.digest === sha256Hex(bytes);
    const isFinal = isIts && certificate.phase === 'commit';
    if (!isFinal || !verifyCertificate(certificate, schemeOf(this.#custodians), clusterId)) {
      throw bad(`the certificate of height ${height} does not hold`);
    }
    this.#height = height;
    return header;
  }
}

function read(bytes: Uint8Array): BlockHeader {
  try {
    return readHeader(bytes);
  } catch (error) {
    throw isAegisError(error) ? bad(error.message) : error;
  }
}

function readCertificateOf(bytes: Uint8Array) {
  try {
    return decodeCertificate(bytes);
  } catch (error) {
    throw isAegisError(error) ? bad(error.message) : error;
  }
}
