/**
 * The bytes under every signature of consensus: domain, cluster, kind, height, view, and what is
 * said. Each layout is fixed and all are told apart by their kind, so no signature fits another.
 */
import type { SlotKind } from './types.ts';

/** Written literally: these bytes are signed. */
const KIND_BYTES = { proposal: 1, prepare: 2, commit: 3, timeout: 4 } as const;

const KINDS = Object.keys(KIND_BYTES) as readonly (keyof typeof KIND_BYTES)[];

const DOMAIN = Buffer.from('aegis/consensus/1\0');
const HEADER_BYTES = 1 + 8 + 4;
const DIGEST_BYTES = 32;

/** `domain || length of cluster id (1) || cluster id || kind (1) || height (8) || view (4) ||`. */
function header(
  clusterId: string,
  kind: keyof typeof KIND_BYTES,
  height: number,
  view: number,
  restBytes: number,
): { readonly bytes: Buffer; readonly at: number } {
  const cluster = Buffer.from(clusterId);
  const start = DOMAIN.length + 1 + cluster.length;
  const bytes = Buffer.alloc(start + HEADER_BYTES + restBytes);
  DOMAIN.copy(bytes);
  bytes.writeUInt8(cluster.length, DOMAIN.length);
  cluster.copy(bytes, DOMAIN.length + 1);
  bytes.writeUInt8(KIND_BYTES[kind], start);
  bytes.writeUIntBE(height, start + 3, 6);
  bytes.writeUInt32BE(view, start + 9);
  return { bytes, at: start + HEADER_BYTES };
}

/** Under a vote, or the signature of a proposal: the digest (32 bytes) follows the header. */
export function digestMessage(
  clusterId: string,
  kind: Exclude<keyof typeof KIND_BYTES, 'timeout'>,
  height: number,
  view: number,
  digest: string,
): Uint8Array {
  const { bytes, at } = header(clusterId, kind, height, view, DIGEST_BYTES);
  bytes.write(digest, at, 'hex');
  return bytes;
}

/** Under a timeout: 0, or 1 and the view (4 bytes) of the prepare certificate that it names. */
export function timeoutMessage(
  clusterId: string,
  height: number,
  view: number,
  highView: number | undefined,
): Uint8Array {
  const { bytes, at } = header(clusterId, 'timeout', height, view, 1 + 4);
  if (highView !== undefined) {
    bytes.writeUInt8(1, at);
    bytes.writeUInt32BE(highView, at + 1);
  }
  return bytes;
}

/** What one signature of consensus speaks about, read back from the bytes under it. */
export interface SignedPlace {
  readonly clusterId: string;
  readonly kind: keyof typeof KIND_BYTES;
  readonly height: number;
  readonly view: number;
}

/**
 * For a signer that knows nothing else of consensus (G1). Undefined for anything that
 * `digestMessage` and `timeoutMessage` do not write.
 */
export function readPlace(message: Uint8Array): SignedPlace | undefined {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  const idAt = DOMAIN.length + 1;
  if (bytes.length < idAt || !bytes.subarray(0, DOMAIN.length).equals(DOMAIN)) return undefined;
  const start = idAt + bytes.readUInt8(DOMAIN.length);
  if (start === idAt || bytes.length < start + HEADER_BYTES) return undefined;
  const kindByte = bytes.readUInt8(start);
  const kind = KINDS.find((name) => KIND_BYTES[name] === kindByte);
  if (kind === undefined || bytes.readUInt16BE(start + 1) !== 0) return undefined;
  if (!isSaid(kind, bytes.subarray(start + HEADER_BYTES))) return undefined;
  const clusterId = bytes.toString('latin1', idAt, start);
  if (!/^[\x21-\x7e]+$/.test(clusterId)) return undefined;
  const [height, view] = [bytes.readUIntBE(start + 3, 6), bytes.readUInt32BE(start + 9)];
  return height === 0 ? undefined : { clusterId, kind, height, view };
}

function isSaid(kind: keyof typeof KIND_BYTES, rest: Buffer): boolean {
  if (kind !== 'timeout') return rest.length === DIGEST_BYTES;
  if (rest.length !== 1 + 4) return false;
  return rest.readUInt8(0) === 1 || (rest.readUInt8(0) === 0 && rest.readUInt32BE(1) === 0);
}

/** Under the share of any kind. */
export const shareMessage = (
  clusterId: string,
  share: {
    readonly kind: SlotKind;
    readonly height: number;
    readonly view: number;
    readonly digest: string | undefined;
    readonly highView: number | undefined;
  },
): Uint8Array =>
  share.kind === 'timeout'
    ? timeoutMessage(clusterId, share.height, share.view, share.highView)
    : digestMessage(clusterId, share.kind, share.height, share.view, share.digest ?? '');
