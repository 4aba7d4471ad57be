/**
 * The records of docs/proofs.md and the limits of their fields; written from that document alone,
 * for the second verifier. What they say of each other is not checked here: verifier.ts does.
 */
import { CID } from 'multiformats/cid';
import { check, refuse, type Value } from './cbor.ts';

type Reader<T> = (value: Value) => T;
type Fields<R> = { readonly [K in keyof R]: R[K] extends Reader<infer T> ? T : never };
const reader =
  <T extends Value>(is: (value: Value) => boolean, what: string): Reader<T> =>
  (value) =>
    is(value) ? (value as T) : refuse(`not ${what}`);
const exactly = <T extends number | string | true>(wanted: T): Reader<T> =>
  reader((value) => value === wanted, String(wanted));
const integer = (from: number, to = Infinity): Reader<number> =>
  reader((value) => typeof value === 'number' && value >= from && value <= to, 'such a number');
const bytes = (most: number, least = 0): Reader<Uint8Array> =>
  reader(
    (value) => value instanceof Uint8Array && value.length >= least && value.length <= most,
    `${least} to ${most} bytes`,
  );
const text = (most: number): Reader<string> =>
  reader((value) => typeof value === 'string' && Buffer.byteLength(value) <= most, 'such a text');
const cid = (codec: number | undefined, hashes: readonly number[]): Reader<CID> =>
  reader((value) => {
    if (!(value instanceof CID) || value.multihash.size !== 32) return false;
    return value.code === (codec ?? value.code) && hashes.includes(value.multihash.code);
  }, 'such a CID');
const list =
  <T>(item: Reader<T>, most: number, least = 0): Reader<readonly T[]> =>
  (value) => {
    check(Array.isArray(value) && value.length >= least && value.length <= most, 'a wrong list');
    return value.map(item);
  };
const tuple =
  <const R extends readonly Reader<unknown>[]>(...items: R): Reader<Fields<R>> =>
  (value) => {
    check(Array.isArray(value) && value.length === items.length, `not ${items.length} in a list`);
    return items.map((item, i) => item(value[i]!)) as Fields<R>;
  };
/** With these fields and no others, unless it is open. */
const record =
  <R extends object, O extends object = object>(
    must: R,
    may?: O,
    open?: 'open',
  ): Reader<Fields<R> & Partial<Fields<O>>> =>
  (value) => {
    check(value instanceof Map, 'not a record');
    for (const name of Object.keys(must)) check(value.has(name), `${name} is not there`);
    const readers = new Map<string, Reader<unknown>>(Object.entries({ ...must, ...may }));
    const read = [...value].flatMap(([name, field]) => {
      check(readers.has(name) || open !== undefined, `${name} is there`);
      return readers.has(name) ? [[name, readers.get(name)!(field)]] : [];
    });
    return Object.fromEntries(read) as Fields<R> & Partial<Fields<O>>;
  };

export const ascending = (texts: readonly string[]): boolean =>
  texts.every((one, i) => i === 0 || Buffer.from(texts[i - 1]!).compare(Buffer.from(one)) < 0);
export const isPath = (of: string): boolean =>
  Buffer.byteLength(of) <= 1024 && !of.includes('\0') && !/(^|\/)\.{0,2}(\/|$)/.test(of);
const bytes32 = bytes(32, 32);
const time = integer(0, 253_402_300_799_999);
const truth: Reader<boolean> = reader((value) => typeof value === 'boolean', 'true or false');
// Of the last letter four bits are zero.
const nodeId: Reader<string> = reader(
  (value) => typeof value === 'string' && /^aegis1[a-z2-7]{51}[aq]$/.test(value),
  'a node id',
);
const path: Reader<string> = reader(
  (value) => typeof value === 'string' && isPath(value),
  'a path',
);
const custodiansList: Reader<readonly (readonly [string, Uint8Array])[]> = (value) => {
  const read = list(tuple(nodeId, bytes(48, 48)), 256, 1)(value);
  check(ascending(read.map(([id]) => id)), 'custodians are not in order');
  return read;
};
const versionCid = cid(0x71, [0x1e]);
const head: Reader<readonly [CID, number, true?]> = (value) =>
  Array.isArray(value) && value.length === 3
    ? tuple(versionCid, integer(1), exactly(true))(value)
    : tuple(versionCid, integer(1))(value);

export const genesis = record(
  { v: exactly(4), type: exactly('genesis'), custodians: custodiansList },
  { origin: record({ names: bytes32 }, {}, 'open') },
  'open',
);
export const proof = record({
  v: exactly(1),
  type: exactly('proof'),
  clusterId: text(Infinity),
  links: list(
    record({ header: bytes(1024) }, { certificate: bytes(512), custodians: custodiansList }),
    4096,
    1,
  ),
  claims: list((value) => value, 256, 1),
});
export const header = record(
  {
    v: exactly(2),
    type: exactly('block'),
    clusterId: text(Infinity),
    height: integer(1, 2 ** 48 - 1),
    previous: bytes32,
    time,
    proposer: nodeId,
    view: integer(0),
    protocol: integer(1),
    intents: integer(0, 4096),
    intentsRoot: bytes32,
    stateRoot: bytes32,
    custodians: bytes32,
    leaders: bytes32,
  },
  { seedProof: bytes(80, 80) },
);
export const ref = record(
  { v: exactly(2), type: exactly('ref'), generation: integer(0), heads: list(head, 32) },
  { name: bytes(8192) },
);
export const mark = record({ v: exactly(1), type: exactly('mark'), name: bytes(8192) });
export const signed = record({ payload: bytes(8192), signature: bytes(64, 64) });
export const version = record(
  {
    v: exactly(1),
    type: exactly('version'),
    path,
    root: cid(undefined, [0x1e, 0x12]),
    sizeBytes: integer(0),
    parents: list(versionCid, 32),
    generation: integer(1),
    sequence: integer(1),
    time,
    author: nodeId,
  },
  { message: text(4096), deleted: truth, directory: truth, keyEpoch: integer(1) },
);
const claimed = { path, siblings: list(bytes32, 256) };
const value8192 = bytes(8192);
const other = tuple(bytes32, bytes32);
export const value = record({
  ...claimed,
  type: exactly('value'),
  value: value8192,
  lineage: list(bytes(8320), 1024),
});
export const absence = record({ ...claimed, type: exactly('absence') }, { other });
export const directory = record(
  {
    type: exactly('directory'),
    path: (of: Value) => (of === '' ? of : path(of)),
    siblings: list(bytes32, 64),
    leaves: list(tuple(bytes32, value8192), 65_536),
  },
  { other },
);
export const certificate = tuple(
  exactly('commit'),
  integer(1),
  integer(0, 2 ** 32 - 1),
  bytes32,
  bytes(32),
  bytes(96, 96),
);
export type OtherLeaf = ReturnType<typeof other>;
export type Directory = ReturnType<typeof directory>;
export type Custodians = ReturnType<typeof custodiansList>;
export type Header = ReturnType<typeof header>;
