/**
 * Y4: puts the state of a snapshot in the place of the own one. All of it is in the transaction of
 * one step: after a crash there is the state before, or the one after.
 */
import { decodeCertificate } from '../consensus/certificate.ts';
import { CustodianSets } from '../consensus/custodian-sets.ts';
import type { Certificate } from '../consensus/types.ts';
import { restoreSets } from './custodian-periods.ts';
import { setOf } from './execution.ts';
import { Ledger } from './ledger.ts';
import { custodiansIn, firstMembers } from './roster.ts';
import { baseRow, heightKey, META, sortRows, TABLES, tipRow } from './rows.ts';
import type { FetchedSnapshot } from './snapshot-fetch.ts';
import type { Turn } from './turn.ts';
import type { ChainOptions, StoredRow } from './types.ts';

/**
 * @returns the certificate of its block.
 * @throws {AegisError} `STORE_DAMAGED` when the rows are not those of the state.
 */
export function installSnapshot(
  turn: Turn,
  options: ChainOptions,
  ledger: Ledger,
  { manifest, tree, rows }: FetchedSnapshot,
): Certificate {
  const { height, header: headerBytes, certificate } = manifest;
  const tip = { table: TABLES.meta, key: META.tip, value: tipRow({ ...manifest, headerBytes }) };
  const { ledger: next, entries } = Ledger.recover(options, sortRows([tip, ...rows]), tree);
  // As the next start of this node will: what it cannot start from is not taken.
  const first = setOf(custodiansIn(firstMembers(options.genesis.members)));
  restoreSets(new CustodianSets(first), next, entries);
  const kept = new Set(rows.map(nameOf));
  for (const row of ledger.provenRows) {
    if (!kept.has(nameOf(row))) turn.persist(row.table, row.key, undefined);
  }
  for (const handover of ledger.handovers) {
    const row = { table: TABLES.handovers, key: heightKey(handover.height) };
    if (!kept.has(nameOf(row))) turn.persist(row.table, row.key, undefined);
  }
  for (const { table, key, value } of rows) turn.persist(table, key, value);
  turn.persist(tip.table, tip.key, tip.value);
  turn.persist(TABLES.meta, META.base, baseRow(height + 1));
  ledger.replaceBy(turn, next);
  return decodeCertificate(certificate);
}

const nameOf = ({ table, key }: Pick<StoredRow, 'table' | 'key'>): string => `${table}\0${key}`;
