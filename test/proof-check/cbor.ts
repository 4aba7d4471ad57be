/**
 * DAG-CBOR as docs/proofs.md wants it, strictly; written from that document alone, for the second
 * verifier. It does not know records: records.ts does.
 */
import { CID } from 'multiformats/cid';
import { create as createDigest } from 'multiformats/hashes/digest';

export class NoProof extends Error {}
export const refuse = (reason: string): never => {
  throw new NoProof(reason);
};
export function check(holds: boolean, reason: string): asserts holds {
  if (!holds) refuse(reason);
}

/** For libraries that throw errors of their own. */
export function attempt<T>(what: () => T, reason: string): T {
  try {
    return what();
  } catch {
    return refuse(reason);
  }
}

export const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
export type Value =
  | number
  | string
  | boolean
  | null
  | Uint8Array
  | CID
  | Value[]
  | Map<string, Value>;

function decodeCid(from: Uint8Array): CID {
  const [cid, rest] = attempt(() => CID.decodeFirst(from), 'not a CID');
  const { code, digest } = cid.multihash;
  const shortest = CID.createV1(cid.code, createDigest(code, digest)).bytes;
  check(rest.length === 0 && same(shortest, from), 'not a CIDv1 in its shortest form');
  return cid;
}

export function decode(from: Uint8Array): Value {
  let at = 0;
  const take = (count: number): Uint8Array => {
    check(count <= from.length - at, 'it ends too early');
    at += count;
    return from.subarray(at - count, at);
  };
  const head = (): [major: number, count: number] => {
    const first = take(1)[0]!;
    const [major, low] = [first >> 5, first & 31];
    if (low < 24) return [major, low];
    check(low < 28 && major !== 7, 'an indefinite length, a float or a simple value');
    const count = take(1 << (low - 24)).reduce((sum, byte) => sum * 256 + byte, 0);
    check(count >= [24, 2 ** 8, 2 ** 16, 2 ** 32][low - 24]!, 'not in its shortest form');
    check(count <= Number.MAX_SAFE_INTEGER, 'a number is too large');
    return [major, count];
  };
  const text = (of: Uint8Array): string => {
    const read = Buffer.from(of).toString();
    check(same(Buffer.from(read), of), 'a text is not UTF-8');
    return read;
  };
  const map = (count: number, depth: number): Map<string, Value> => {
    const read = new Map<string, Value>();
    for (let i = 0, last = ''; i < count; i++) {
      const key = value(32);
      check(typeof key === 'string', 'a key is not a text');
      const [a, b] = [Buffer.from(last), Buffer.from(key)];
      const ascends = a.length === b.length ? a.compare(b) < 0 : a.length < b.length;
      check(i === 0 || ascends, 'keys are not in order');
      read.set(key, value(depth));
      last = key;
    }
    return read;
  };
  const value = (depth: number): Value => {
    const [major, count] = head();
    check(![4, 5, 6].includes(major) || depth < 32, 'it is nested too deep');
    if (major === 0) return count;
    if (major === 2) return take(count);
    if (major === 3) return text(take(count));
    if (major === 5) return map(count, depth + 1);
    if (major === 7 && count >= 20 && count <= 22) return [false, true, null][count - 20]!;
    if (major === 6 && count === 42) {
      const inner = value(32);
      check(inner instanceof Uint8Array && inner[0] === 0, 'tag 42 is not of a CID');
      return decodeCid(inner.subarray(1));
    }
    check(major === 4, 'a negative number, another tag or another simple value');
    check(count <= from.length - at, 'it ends too early');
    return Array.from({ length: count }, () => value(depth + 1));
  };
  const read = value(0);
  check(at === from.length, 'bytes after the end');
  return read;
}
