import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { blockKey, heightKey, TABLES } from '../../../src/core/chain/rows.ts';
import { encodeCertificate } from '../../../src/core/consensus/certificate.ts';
import { decode, encode } from '../../../src/core/model/cbor.ts';
import { auditOwnChain } from '../../../src/core/node/audit.ts';
import type { AuditFinding } from '../../../src/core/node/audit-desk.ts';
import { BlockArchive } from '../../../src/core/node/block-archive.ts';
import type { ChainStore } from '../../../src/core/storage/chain-store.ts';
import { MadeHistory } from '../../helpers/made-history.ts';
import { openChain, scratch } from '../storage/support/stores.ts';

const HEIGHTS = 70;
const signal = new AbortController().signal;

class Audited {
  readonly made = new MadeHistory({ paths: 10, certifyEvery: 3 });
  readonly digests: string[] = [];
  readonly store: ChainStore;
  /** All is written, unless a test says otherwise. */
  reached = (_height: number): Promise<void> => Promise.resolve();

  private constructor(store: ChainStore) {
    this.store = store;
  }

  static async open(): Promise<Audited> {
    const audited = new Audited(await openChain(join(await scratch(), 'chain.db')));
    const rows = [];
    for (let height = 1; height <= HEIGHTS; height += 1) {
      rows.push(...audited.made.grow(height === HEIGHTS));
      audited.digests.push(audited.made.ledger.tip.digest);
    }
    await audited.store.commit(rows);
    return audited;
  }

  run(base = 1): Promise<AuditFinding> {
    const { ledger, genesis } = this.made;
    const chain = {
      tip: () => ledger.tip,
      handovers: () => ledger.handovers,
      leaf: (key: string) => ledger.tree.get(key),
    };
    const archive = new BlockArchive(this.store);
    const parts = { genesis, chain, archive, store: this.store };
    return auditOwnChain({ ...parts, base: () => base, reached: this.reached }, signal);
  }

  put(table: string, key: string, value: Uint8Array | undefined): Promise<void> {
    return this.store.commit([{ table, key, value }]);
  }

  blockKey(height: number): string {
    return blockKey(height, this.digests[height - 1]!);
  }
}

test('a sound chain is found so, also when its first blocks are pruned', async () => {
  const audited = await Audited.open();
  const { tip } = audited.made.ledger;
  const { digest, header } = tip;
  const stateRoot = header!.stateRoot;
  const sound = { verdict: 'sound', height: HEIGHTS, digest, stateRoot };
  expect(await audited.run()).toEqual({ ...sound, base: 1 });
  for (let height = 1; height < 20; height += 1) {
    await audited.put(TABLES.blocks, audited.blockKey(height), undefined);
    await audited.put(TABLES.chain, heightKey(height), undefined);
  }
  expect(await audited.run(20)).toEqual({ ...sound, base: 20 });
  expect(await audited.run()).toMatchObject({ verdict: 'damaged', fault: { height: 1 } });
});

test('a block that is just being written is not missing', async () => {
  const audited = await Audited.open();
  const key = audited.blockKey(HEIGHTS);
  const bytes = await audited.store.get(TABLES.blocks, key);
  await audited.put(TABLES.blocks, key, undefined);
  audited.reached = async (height) => {
    expect(height).toBe(HEIGHTS);
    await audited.put(TABLES.blocks, key, bytes);
  };
  expect(await audited.run()).toMatchObject({ verdict: 'sound', height: HEIGHTS });
});

test('whichever block has a bit wrong, or is not there, is told', async () => {
  const audited = await Audited.open();
  const heights = fc.integer({ min: 1, max: HEIGHTS });
  await fc.assert(
    fc.asyncProperty(heights, fc.nat(), async (height, at) => {
      const key = audited.blockKey(height);
      const bytes = (await audited.store.get(TABLES.blocks, key))!;
      const broken = Uint8Array.from(bytes);
      broken[at % broken.length]! ^= 1;
      await audited.put(TABLES.blocks, key, at % 5 === 0 ? undefined : broken);
      const found = await audited.run();
      await audited.put(TABLES.blocks, key, bytes);
      expect(found.verdict, `height ${height}`).toBe('damaged');
      expect(found.fault!.height).toBeLessThanOrEqual(Math.min(height + 1, HEIGHTS));
    }),
    { numRuns: 15 },
  );
  expect(await audited.run()).toMatchObject({ verdict: 'sound' });
});

test('a certificate of somebody else, and another leaf of the state, are told', async () => {
  const audited = await Audited.open();
  const row = (await audited.store.get(TABLES.chain, heightKey(HEIGHTS)))!;
  const value = decode(row, { maxBytes: 4096 }) as { certificate: Uint8Array };
  const other = await Audited.open();
  const { certificate } = other.made.ledger;
  const forged = { ...certificate!, signature: certificate!.signature.slice().fill(1, 90) };
  const damaged = encode({ ...value, certificate: encodeCertificate(forged) });
  await audited.put(TABLES.chain, heightKey(HEIGHTS), damaged);
  expect(await audited.run()).toMatchObject({ fault: { what: expect.stringContaining('certif') } });
  await audited.put(TABLES.chain, heightKey(HEIGHTS), row);

  const [leaf] = await audited.store.range({ table: TABLES.state, from: '', to: '~', limit: 1 });
  await audited.put(TABLES.state, leaf!.key, Uint8Array.of(1));
  const { verdict, fault } = await audited.run();
  expect(verdict).toBe('damaged');
  expect(fault!.what).toContain(leaf!.key);
});
