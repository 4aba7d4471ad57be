/**
 * The custodians of a height as headers, proofs and the genesis name them (docs/history.md, E1;
 * docs/proofs.md): node ids and consensus keys. Who they are is for `chain/` to say.
 */
import { assert } from '../assert.ts';
import { sha256 } from '../crypto/hash.ts';
import { AegisError } from '../errors.ts';
import { encode } from './cbor.ts';
import { isNodeId } from './identity.ts';

/** Most custodians of a cluster. */
export const CUSTODIANS_MAX = 256;
const CONSENSUS_KEY_BYTES = 48;

export interface CustodianEntry {
  readonly nodeId: string;
  /** BLS12-381, 48 bytes. Whether it is a point of the curve is not looked at here. */
  readonly consensusKey: Uint8Array;
}

/** As they stand in records. */
type CustodianPair = readonly [nodeId: string, consensusKey: Uint8Array];

const bad = (why: string): AegisError => new AegisError('BAD_ENCODING', `the custodians ${why}`);

/** @param list in the order of node ids. */
export function custodianPairs(list: readonly CustodianEntry[]): CustodianPair[] {
  assert(list.length >= 1 && list.length <= CUSTODIANS_MAX, 'there are 1 to 256 custodians');
  return list.map(({ nodeId, consensusKey }, at) => {
    assert(at === 0 || list[at - 1]!.nodeId < nodeId, 'custodians are in the order of node ids');
    return [nodeId, consensusKey];
  });
}

/** What a header names the custodians of the next height by (E1): 32 bytes. */
export const custodiansDigest = (list: readonly CustodianEntry[]): Uint8Array =>
  sha256(encode(['aegis/custodians/1', custodianPairs(list)]));

/**
 * Reads a decoded list of pairs.
 * @throws {AegisError} `BAD_ENCODING` unless there are 1 to 256, ascending, each once.
 */
export function readCustodians(value: unknown): CustodianEntry[] {
  if (!Array.isArray(value)) throw bad('are not a list');
  if (value.length < 1 || value.length > CUSTODIANS_MAX) {
    throw bad(`are not 1 to ${CUSTODIANS_MAX}`);
  }
  let before = '';
  return value.map((item: unknown) => {
    const [nodeId, consensusKey, ...more] = Array.isArray(item) ? (item as unknown[]) : [];
    if (typeof nodeId !== 'string' || !isNodeId(nodeId) || more.length > 0) {
      throw bad('are not pairs of a node id and a key');
    }
    if (!(consensusKey instanceof Uint8Array) || consensusKey.length !== CONSENSUS_KEY_BYTES) {
      throw bad('have a key that does not have 48 bytes');
    }
    if (nodeId <= before) throw bad('are out of order, or one stands there twice');
    before = nodeId;
    return { nodeId, consensusKey };
  });
}
