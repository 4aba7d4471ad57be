/** The durable entries of the replication machine, written and read back. */
import { CID } from 'multiformats/cid';
import { AegisError, hasCode, isAegisError } from '../errors.ts';
import { decode, encode } from '../model/cbor.ts';
import { RecordReader } from '../model/record.ts';
import { openVersion } from '../model/version.ts';
import type { IdentityKeyOf } from './replication-types.ts';
import { VersionGraph } from './versions.ts';

/** `versions`: signed bytes by CID. `roots`: complete here, by CID. `replicas`: by version CID. */
export const TABLES = { versions: 'versions', roots: 'roots', replicas: 'replicas' } as const;

const NODES_MAX = 64;
const NODE_ID_BYTES_MAX = 64;
const ROW_BYTES_MAX = 8192;

export interface StoredEntry {
  readonly table: string;
  readonly key: string;
  readonly value: Uint8Array;
}

export interface Recovered {
  readonly graph: VersionGraph;
  readonly roots: readonly CID[];
  /** By version, the nodes that have said that they have a copy. */
  readonly confirmed: ReadonlyMap<string, readonly string[]>;
}

export const encodeRoot = (): Uint8Array => encode({ v: 1, type: 'root' });

export const encodeReplicas = (nodes: readonly string[]): Uint8Array =>
  encode({ v: 1, type: 'replicas', nodes });

/**
 * Entries of other tables are left alone, and so are versions that count no more: they were signed
 * with an identity key of before, and the succession has not sealed them (A3).
 * @throws {AegisError} `STORE_DAMAGED`.
 */
export function recoverEntries(entries: Iterable<StoredEntry>, keyOf: IdentityKeyOf): Recovered {
  const roots: CID[] = [];
  const confirmed = new Map<string, readonly string[]>();
  const versions: ReturnType<typeof openVersion>[] = [];
  for (const { table, key, value } of entries) {
    try {
      if (table === TABLES.roots) roots.push(CID.parse(key));
      else if (table === TABLES.versions) versions.push(openVersion(value, keyOf));
      else if (table === TABLES.replicas) confirmed.set(key, readReplicas(value));
    } catch (error) {
      if (table === TABLES.versions && hasCode(error, 'DENIED')) continue;
      const why = isAegisError(error) ? error.message : 'its key is not a CID';
      const message = `the entry ${key} of the table ${table} is damaged: ${why}`;
      throw new AegisError('STORE_DAMAGED', message, { cause: error });
    }
  }
  return { graph: VersionGraph.restore(versions), roots, confirmed };
}

function readReplicas(value: Uint8Array): string[] {
  const record = new RecordReader(decode(value, { maxBytes: ROW_BYTES_MAX }), 'replicas', [
    'nodes',
  ]);
  return record.texts('nodes', NODES_MAX, { maxBytes: NODE_ID_BYTES_MAX });
}
