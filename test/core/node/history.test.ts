import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { blockKey, divergenceRow, heightKey, META, TABLES } from '../../../src/core/chain/rows.ts';
import { DEFAULT_SETTINGS } from '../../../src/core/config/settings.ts';
import { encodeCertificate } from '../../../src/core/consensus/certificate.ts';
import type { AegisError } from '../../../src/core/errors.ts';
import type { LogEntry } from '../../../src/core/machine.ts';
import type { OpenInvitationFile } from '../../../src/core/model/invitation-file.ts';
import { BlockArchive } from '../../../src/core/node/block-archive.ts';
import {
  exportHistory,
  exportSnapshot,
  ownStretch,
  stretchOf,
} from '../../../src/core/node/history-export.ts';
import { importHistory } from '../../../src/core/node/history-import.ts';
import {
  depthOf,
  readState,
  verifyHistory,
  verifyLinks,
} from '../../../src/core/node/history-verify.ts';
import { pruneOffline } from '../../../src/core/node/prune-offline.ts';
import { buildProof, pathClaim } from '../../../src/core/proof/build.ts';
import { verifyProof } from '../../../src/core/proof/verifier.ts';
import { ChainReader } from '../../../src/core/storage/chain-readonly.ts';
import { ChainStore } from '../../../src/core/storage/chain-store.ts';
import { foundedBy, MadeHistory } from '../../helpers/made-history.ts';
import { testNode } from '../../helpers/nodes.ts';
import { openChain, scratch, silentLog } from '../storage/support/stores.ts';

const HEIGHTS = 260;
const log = silentLog;
const signal = new AbortController().signal;
const deps = { signal, told: () => {} };

async function homeOf(name: string) {
  const dir = join(await scratch(), name);
  await mkdir(dir);
  const at = (file: string): string => join(dir, file);
  return { lock: at('lock'), chainDb: at('chain.db'), contentDb: at('content.db') };
}

type Home = Awaited<ReturnType<typeof homeOf>>;

/** Each test begins with the same history, in a home of its own. */
async function madeHome(heights = HEIGHTS) {
  const digests: string[] = [];
  const made = new MadeHistory({ paths: 20, certifyEvery: 7 });
  const home = await homeOf('made');
  await change(home, async (store) => {
    const rows: LogEntry[] = [];
    for (let at = 1; at <= heights; at += 1) {
      rows.push(...made.grow(at === heights));
      digests.push(made.ledger.tip.digest);
    }
    await store.commit(rows);
    const upTo = new TextEncoder().encode(String(heights));
    await store.commit([{ table: 'node/finals-up-to', key: '', value: upTo }]);
  });
  return { made, home, digests };
}

async function change(home: Home, work: (store: ChainStore) => Promise<void>): Promise<void> {
  const store = await ChainStore.open(home.chainDb, { log });
  try {
    await work(store);
  } finally {
    await store.close();
  }
}

async function reading<T>(home: Home, work: (reader: ChainReader) => Promise<T>): Promise<T> {
  const reader = new ChainReader(home.chainDb);
  try {
    return await work(reader);
  } finally {
    reader.close();
  }
}

async function fileOf(home: Home, { genesis }: MadeHistory, from?: number, to?: number) {
  return await reading(home, async (reader) => {
    const stretch = await stretchOf(reader, { from, to });
    const parts: Uint8Array[] = [];
    const frames = exportHistory(reader, genesis.clusterId, stretch, () => {});
    for await (const frame of frames) parts.push(frame);
    return { stretch, bytes: Buffer.concat(parts) };
  });
}

function snapshotOf(home: Home, { genesis }: MadeHistory): Buffer {
  const { ledger, leaders } = readState(home.chainDb, genesis);
  return Buffer.concat([...exportSnapshot(genesis.clusterId, ledger, leaders)]);
}

async function* inPieces(bytes: Uint8Array, size = 5000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) {
    yield await Promise.resolve(bytes.subarray(at, at + size));
  }
}

const taking = (
  home: Home,
  made: MadeHistory,
  bytes: Uint8Array,
  more = {},
  invited?: OpenInvitationFile,
) =>
  importHistory(
    home,
    {
      ...{
        genesis: made.genesis,
        self: made.genesis.custodians[0]!.nodeId,
        settings: DEFAULT_SETTINGS,
        invited,
      },
      bytes: inPieces(bytes),
    },
    { log, ...deps, ...more },
  );

const verified = (home: Home, { genesis }: MadeHistory, from?: number) =>
  reading(home, async (reader) => {
    const stretch = await stretchOf(reader, { from });
    const digest = await verifyHistory(reader, genesis, stretch, deps);
    return { ...stretch, digest, depth: depthOf(genesis, stretch) };
  });

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

test('a history verifies: executed anew, or from a height on by its signatures', async () => {
  const { made, home } = await madeHome();
  const { digest } = made.ledger.tip;
  expect(await verified(home, made)).toEqual({ from: 1, to: HEIGHTS, digest, depth: 'genesis' });
  const part = { from: 100, to: HEIGHTS, digest, depth: 'signatures' };
  expect(await verified(home, made, 100)).toEqual(part);
  expect(readState(home.chainDb, made.genesis).ledger.tip.digest).toBe(digest);
});

test('whatever is changed in a block, a certificate or the state is found, and where', async () => {
  const { made, home } = await madeHome(100);
  const keyOf = async (height: number): Promise<string> =>
    await reading(home, async (reader) => {
      const range = { from: heightKey(height), to: heightKey(height + 1), limit: 1 };
      return (await reader.range({ table: TABLES.blocks, ...range }))[0]!.key;
    });
  const store = await openChain(home.chainDb);
  const broken = async (
    table: string,
    key: string,
    edit: (value: Buffer) => Buffer | undefined,
  ) => {
    const before = await store.get(table, key);
    const value = edit(Buffer.from(before!));
    await store.commit([{ table, key, value }]);
    const verdicts = await Promise.allSettled([
      verified(home, made),
      verified(home, made, 20),
      Promise.resolve().then(() => readState(home.chainDb, made.genesis)),
    ]);
    await store.commit([{ table, key, value: before }]);
    return verdicts.map((one) => {
      const { code, message } = (one.status === 'rejected' ? one.reason : {}) as AegisError;
      return one.status === 'rejected' ? `${code} ${message}` : 'holds';
    });
  };
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 20, max: 99 }), fc.nat(), async (height, place) => {
      const flip = (value: Buffer): Buffer => {
        value[place % value.length] = value[place % value.length]! ^ 1;
        return value;
      };
      const [anew, signed] = await broken(TABLES.blocks, await keyOf(height), flip);
      expect(anew).toContain('BAD_DATA');
      expect(signed).toContain(`height ${height}`);
    }),
    { numRuns: 6 },
  );
  const gone = await broken(TABLES.blocks, await keyOf(50), () => undefined);
  expect(gone.join()).toMatch(/height 50.*missing|block 50 is missing/);
  const forged = await broken(TABLES.chain, heightKey(98), (value) => {
    value[value.length - 1] = value[value.length - 1]! ^ 1;
    return value;
  });
  expect(forged.slice(0, 2).every((verdict) => verdict.includes('BAD_DATA'))).toBe(true);
  const [leaf] = await reading(home, (reader) =>
    reader.range({ table: TABLES.state, from: '', to: '~', limit: 1 }),
  );
  const [, , state] = await broken(TABLES.state, leaf!.key, () => undefined);
  expect(state).toContain('BAD_DATA');
  expect(await verified(home, made)).toMatchObject({ to: 100 });
});

test('blocks go from home to home, in one piece or in several', async () => {
  const { made, home } = await madeHome();
  const { bytes, stretch } = await fileOf(home, made);
  expect(stretch).toEqual({ from: 1, to: HEIGHTS });
  const { digest } = made.ledger.tip;
  const other = await homeOf('other');
  const stateRoot = Buffer.from(made.ledger.tree.root).toString('hex');
  const whole = { kind: 'blocks', before: 0, height: HEIGHTS, digest, stateRoot };
  expect(await taking(other, made, bytes)).toEqual(whole);
  expect(await verified(other, made)).toMatchObject({ to: HEIGHTS, digest, depth: 'genesis' });
  // It is the same file, whoever writes it.
  expect(sha256((await fileOf(other, made)).bytes)).toBe(sha256(bytes));
  expect(await taking(other, made, bytes)).toMatchObject({ before: HEIGHTS, height: HEIGHTS });

  const third = await homeOf('third');
  const first = await fileOf(home, made, 1, 100);
  // It ends with a certificate, a little later than it was asked for.
  expect(first.stretch).toEqual({ from: 1, to: 105 });
  await taking(third, made, first.bytes);
  const late = await fileOf(home, made, 150);
  await expect(taking(third, made, late.bytes)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const overlapping = await fileOf(home, made, 50);
  expect(await taking(third, made, overlapping.bytes)).toMatchObject({ before: 105, digest });
});

test('broken off, it goes on where it was', async () => {
  const { made, home } = await madeHome();
  const { bytes } = await fileOf(home, made);
  const other = await homeOf('other');
  const stop = new AbortController();
  const told = (height: number): void => {
    if (height > 80) stop.abort();
  };
  await expect(taking(other, made, bytes, { told, signal: stop.signal })).rejects.toThrow('abort');
  const { to } = await reading(other, ownStretch);
  expect(to).toBeGreaterThan(80);
  expect(to).toBeLessThan(HEIGHTS);
  expect(await taking(other, made, bytes)).toMatchObject({ before: to, height: HEIGHTS });
});

test('the checkpoint of an invitation holds for a file, too', async () => {
  const { made, home, digests } = await madeHome();
  const { bytes } = await fileOf(home, made);
  const invitedWith = (digest: string) =>
    ({ file: { checkpoint: { height: 50, digest } } }) as OpenInvitationFile;
  const wrong = taking(await homeOf('wrong'), made, bytes, {}, invitedWith('cd'.repeat(32)));
  await expect(wrong).rejects.toMatchObject({
    code: 'BAD_DATA',
    message: expect.stringContaining('the checkpoint') as unknown,
  });
  const right = taking(await homeOf('right'), made, bytes, {}, invitedWith(digests[49]!));
  await expect(right).resolves.toMatchObject({ height: HEIGHTS });
});

test('a file that lies is named, and takes nothing of what is there', async () => {
  const { made, home, digests } = await madeHome();
  const { bytes } = await fileOf(home, made);
  const snapshot = snapshotOf(home, made);
  const other = await homeOf('other');
  const begun = await fileOf(home, made, 1, 40);
  await taking(other, made, begun.bytes);
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.nat(), fc.nat(7), async (isBlocks, place, bit) => {
      const bad = Buffer.from(isBlocks ? bytes : snapshot);
      const at = place % bad.length;
      bad[at] = bad[at]! ^ (1 << bit);
      const before = await reading(other, ownStretch);
      await taking(other, made, bad).catch((error: AegisError) => {
        expect(error.code).toMatch(/^(BAD_DATA|BAD_ENCODING|TOO_LARGE|NOT_FOUND|OTHER_CLUSTER)$/);
      });
      const after = await reading(other, ownStretch);
      expect(after.to).toBeGreaterThanOrEqual(before.to);
      // Whatever it was that was taken, it is the history.
      const { height, digest } = readState(other.chainDb, made.genesis).ledger.tip;
      expect(digest).toBe(digests[height - 1]);
    }),
    { numRuns: 12 },
  );
  // A block at which nothing else is wrong, in the middle of a window.
  const { block } = await reading(home, (reader) => new BlockArchive(reader).block(101));
  const at = bytes.indexOf(block.intents[0]!) + 100;
  const bent = Buffer.from(bytes);
  bent[at] = bent[at]! ^ 1;
  await expect(taking(await homeOf('bent'), made, bent)).rejects.toMatchObject({
    code: 'BAD_DATA',
    message: expect.stringContaining('height 101: '),
  });
  const half = await homeOf('half');
  const cut = bytes.subarray(0, Math.floor(bytes.length / 2));
  await expect(taking(half, made, cut)).rejects.toThrow('the history file ends too early');
  const { to } = await reading(half, ownStretch);
  expect(to).toBeGreaterThan(60);
  const elsewhere = new MadeHistory({}, foundedBy(testNode(2)));
  await expect(taking(await homeOf('far'), elsewhere, bytes)).rejects.toMatchObject({
    code: 'OTHER_CLUSTER',
  });
});

test('a pruned history: proofs, a new node by a snapshot, and blocks after it', async () => {
  const { made, home } = await madeHome();
  const options = { keep: 128, dryRun: false, signal, log };
  const pruned = await pruneOffline(home, made.genesis, options);
  expect(pruned).toMatchObject({ from: 1, base: 133, height: HEIGHTS, blocks: 132 });
  expect(pruned.bytesAfter).toBeLessThan(pruned.bytesBefore);
  const { digest } = made.ledger.tip;
  expect(await verified(home, made)).toEqual({
    from: 133,
    to: HEIGHTS,
    digest,
    depth: 'signatures',
  });
  await expect(verified(home, made, 100)).rejects.toMatchObject({ code: 'NOT_FOUND' });

  const { ledger } = readState(home.chainDb, made.genesis);
  const path = made.pathAt(7);
  expect(provenAt(made, ledger, path)).toMatchObject({ height: HEIGHTS });

  const { bytes } = await fileOf(home, made);
  const other = await homeOf('other');
  await expect(taking(other, made, bytes)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const snapshot = snapshotOf(home, made);
  const state = { kind: 'snapshot', before: 0, height: HEIGHTS, digest };
  expect(await taking(other, made, snapshot)).toMatchObject(state);
  expect(readState(other.chainDb, made.genesis).ledger.tip.digest).toBe(digest);

  await change(home, async (store) => {
    for (let n = 1; n <= 30; n += 1) await store.commit(made.grow(n === 30));
  });
  const more = await fileOf(home, made, 200);
  expect(await taking(other, made, more.bytes)).toMatchObject({ before: HEIGHTS, height: 290 });
  const { base } = await reading(other, async (reader) => ({
    base: (await ownStretch(reader)).from,
  }));
  expect(base).toBe(HEIGHTS + 1);
  expect(await verified(other, made)).toMatchObject({ from: 261, to: 290, depth: 'signatures' });
});

test('a home whose state differs takes it anew from a snapshot, and no blocks', async () => {
  const { made, home } = await madeHome();
  const other = await homeOf('other');
  await taking(other, made, (await fileOf(home, made, 1, 100)).bytes);
  const apart = {
    type: 'divergence',
    height: 106,
    ours: 'aa',
    theirs: 'bb',
    proposer: 'x',
  } as const;
  const row = { table: TABLES.meta, key: META.divergence };
  await change(other, (store) => store.commit([{ ...row, value: divergenceRow(apart) }]));
  const { bytes } = await fileOf(home, made);
  await expect(taking(other, made, bytes)).rejects.toMatchObject({ code: 'DIVERGED' });
  const { digest } = made.ledger.tip;
  const taken = { kind: 'snapshot', before: 105, height: HEIGHTS, digest };
  expect(await taking(other, made, snapshotOf(home, made))).toMatchObject(taken);
  await change(other, async (store) => {
    expect(await store.get(row.table, row.key)).toBeUndefined();
  });
  expect(await taking(other, made, bytes)).toMatchObject({ before: HEIGHTS });
});

/** What a stranger reads in a proof by what is left. */
function provenAt(
  { genesis, genesisBytes }: MadeHistory,
  ledger: ReturnType<typeof readState>['ledger'],
  path: string,
) {
  const { proof, value } = ledger.prove(path);
  const { siblings, other } = proof;
  const claim = pathClaim(path, { siblings, ...(other && { other }), value }, []);
  const { tip, certificate, handovers } = ledger;
  const bytes = buildProof({
    ...{ clusterId: genesis.clusterId, custodians: genesis.custodians, handovers },
    tip: {
      ...{ height: tip.height, header: tip.headerBytes! },
      certificate: encodeCertificate(certificate!),
    },
    claims: [claim],
  });
  return verifyProof(bytes, genesisBytes);
}

test('a home without blocks, or without a file, says so', async () => {
  const home = await homeOf('empty');
  await change(home, async () => {});
  await expect(reading(home, ownStretch)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const made = new MadeHistory();
  expect(() => readState(home.chainDb, made.genesis)).toThrow('no block is final');
  const options = { keep: 128, dryRun: true, signal, log };
  const nothing = await pruneOffline(home, made.genesis, options);
  expect(nothing).toMatchObject({ base: 1, height: 0, blocks: 0 });
  expect(blockKey(1, 'ab')).toContain(heightKey(1));
  expect(META.base).toBe('base');
  const none = { from: 1, to: 1 };
  await expect(
    reading(home, (reader) => verifyLinks(reader, made.genesis, none, deps)),
  ).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
});
