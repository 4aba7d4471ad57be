/** Keys that follow one another, from the command line and without a daemon. */
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { parseGrace } from '../../src/cli/grace.ts';
import { countOwnVersions } from '../../src/cli/own-versions.ts';
import KeysBackup from '../../src/commands/keys/backup.ts';
import KeysExport from '../../src/commands/keys/export.ts';
import KeysHistory from '../../src/commands/keys/history.ts';
import KeysImport from '../../src/commands/keys/import.ts';
import KeysList from '../../src/commands/keys/list.ts';
import KeysRestore from '../../src/commands/keys/restore.ts';
import KeysRevoke from '../../src/commands/keys/revoke.ts';
import KeysRotate from '../../src/commands/keys/rotate.ts';
import * as keys from '../../src/core/api/contract/keys.ts';
import { resolveHome } from '../../src/core/config/home.ts';
import { AegisError } from '../../src/core/errors.ts';
import { KbStore } from '../../src/core/kb/store.ts';
import { VersionGraph } from '../../src/core/kb/versions.ts';
import { Keystore } from '../../src/core/keys/keystore.ts';
import { createVersion, versionCidOf } from '../../src/core/model/version.ts';
import { ChainStore } from '../../src/core/storage/chain-store.ts';
import { harness } from '../core/api/harness.ts';
import type { MemoryBackend } from '../core/api/memory-backend.ts';
import { MemoryMembers } from '../core/api/memory-members.ts';
import { silentLog } from '../core/storage/support/stores.ts';
import { PASSPHRASE, TestHome, withHomes, withoutAegisVariables } from './homes.ts';

beforeAll(withoutAegisVariables);

const keysOf = (home: TestHome): string => join(home.dir, 'keys');
const rotate = (home: TestHome, ...argv: string[]) =>
  home.json(KeysRotate, keys.keysRotateResult, ...argv, ...home.with);

/** As the daemon would, once the custodians have decided. */
async function settle(home: TestHome): Promise<void> {
  using keystore = await Keystore.open({ dir: keysOf(home), passphrase: PASSPHRASE });
  const { entry, after } = (await keystore.adoptPending())!;
  const succession = [...keystore.succession, entry.bytes];
  await keystore.settle(after, { succession, now: 2 });
}

test('a dry run shows what would change and writes nothing', async () => {
  await withHomes(['a'], async (home) => {
    await home.make();
    const before = await readdir(keysOf(home));
    const plan = await rotate(home, '--all', '--dry-run');
    expect(plan).toMatchObject({
      state: 'planned',
      number: 1,
      keyEpoch: 1,
      replaced: ['identity', 'network', 'consensus', 'onion'],
      graceMs: 24 * 3600 * 1000,
      digest: null,
    });
    const revoked = await home.json(
      KeysRevoke,
      keys.keysRevokeResult,
      ...['--network', '--dry-run'],
    );
    expect(revoked).toMatchObject({ reason: 'compromised', graceMs: 0, replaced: ['network'] });
    const longer = await rotate(home, '--consensus', '--extend', '--dry-run');
    expect(longer).toMatchObject({ replaced: [], extended: ['consensus'] });
    const text = await home.text(KeysRotate, '--onion', '--grace', '2h', '--dry-run');
    expect(text).toMatch(/old onion key +its service stays for 2 h/);
    const gone = await home.text(KeysRevoke, '--onion', '--dry-run');
    expect(gone).toMatch(/old onion key +its service ends at once/);
    expect(await readdir(keysOf(home))).toEqual(before);
  });
});

test('a rotation is prepared, carried on, and shown by history and list', async () => {
  await withHomes(['a'], async (home) => {
    const nodeId = await home.make();
    await expect(rotate(home, '--network')).rejects.toMatchObject({
      code: 'CONFIRMATION_REQUIRED',
    });
    const prepared = await rotate(home, '--network', '--consensus', '--grace', '7d', '--yes');
    expect(prepared).toMatchObject({ state: 'prepared', continued: false, number: 1, nodeId });
    expect(prepared.graceMs).toBe(7 * 24 * 3600 * 1000);
    expect(await rotate(home)).toMatchObject({ continued: true, digest: prepared.digest });
    await expect(rotate(home, '--identity')).rejects.toMatchObject({ code: 'ROTATION_PENDING' });
    await expect(home.text(KeysRevoke, '--network', ...home.with)).rejects.toMatchObject({
      code: 'ROTATION_PENDING',
      exit: 73,
    });
    const list = await home.json(KeysList, keys.keysListResult);
    expect(list.pending).toEqual({ number: 1, replaced: ['network', 'consensus'] });
    expect(list.warnings.join()).toContain('rotation 1 (network, consensus) is not final');
    await settle(home);
    const after = await home.json(KeysList, keys.keysListResult);
    expect(after).toMatchObject({ number: 1, keyEpoch: 0, pending: null, nodeId });
    const { entries } = await home.json(KeysHistory, keys.keysSuccessionResult);
    expect(entries.map(({ number, replaced }) => [number, replaced])).toEqual([
      [0, []],
      [1, ['network', 'consensus']],
    ]);
    expect(entries[1]).toMatchObject({ digest: prepared.digest, graceMs: prepared.graceMs });
    expect(await home.text(KeysHistory, 'a')).toContain('2 of 2');
    await expect(home.text(KeysHistory, 'bob')).rejects.toMatchObject({ exit: 69 });
  });
});

test('the identity changes with the successors elsewhere, each under its passphrase', async () => {
  await withHomes(['a'], async (home) => {
    await home.make();
    const [next, newNext] = [home.at('next.json'), home.at('next-2.json')];
    await home.text(KeysExport, '--next', '--remove', '--out', next, '--yes');
    await expect(rotate(home, '--identity', '--yes')).rejects.toMatchObject({
      code: 'NO_SUCCESSOR',
      exit: 66,
    });
    await writeFile(home.at('own'), 'a passphrase of its own\n');
    const argv = ['--next', next, '--new-next', newNext, '--yes'];
    const own = ['--new-next-passphrase-file', home.at('own')];
    const prepared = await rotate(home, '--identity', ...argv, ...own);
    expect(prepared).toMatchObject({ keyEpoch: 1, newNext });
    await settle(home);
    expect(await readdir(keysOf(home))).not.toContain('identity-next.key.json');
    await expect(rotate(home, '--network', '--next', next, '--yes')).rejects.toMatchObject({
      code: 'WRONG_SUCCESSOR',
      exit: 65,
    });
    // The passphrase of the home is tried; nobody is there to be asked for another.
    const again = ['--network', '--next', newNext, '--yes'];
    await expect(rotate(home, ...again)).rejects.toMatchObject({ code: 'PASSPHRASE_REQUIRED' });
    const given = ['--next-passphrase-file', home.at('own')];
    expect(await rotate(home, ...again, ...given)).toMatchObject({ number: 2 });
    expect(home.printed.join()).not.toContain('a passphrase of its own');
    expect(home.printed.join()).not.toContain(PASSPHRASE);
  });
});

test('what was prepared is given up as long as nobody knows of it', async () => {
  await withHomes(['a'], async (home) => {
    await home.make();
    await expect(rotate(home, '--discard', '--yes')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await rotate(home, '--network', '--yes');
    expect(await rotate(home, '--discard', '--yes')).toMatchObject({ state: 'discarded' });
    await rotate(home, '--network', '--yes');
    {
      using keystore = await Keystore.open({ dir: keysOf(home), passphrase: PASSPHRASE });
      await keystore.markHandedIn();
    }
    await expect(rotate(home, '--discard', '--yes')).rejects.toMatchObject({
      code: 'ROTATION_PENDING',
    });
  });
});

test('what makes no sense is told apart', async () => {
  await withHomes(['a'], async (home) => {
    await home.make();
    await expect(rotate(home)).rejects.toMatchObject({ code: 'USAGE', exit: 2 });
    await expect(rotate(home, '--session', '--extend')).rejects.toMatchObject({ code: 'USAGE' });
    await expect(rotate(home, '--session')).rejects.toMatchObject({ code: 'DAEMON_UNREACHABLE' });
    await expect(rotate(home, '--consensus', '--grace', '1h')).rejects.toMatchObject({
      code: 'BAD_REQUEST',
    });
    await expect(rotate(home, '--network', '--grace', '31d')).rejects.toMatchObject({ exit: 2 });
    await expect(home.text(KeysRevoke, ...home.with)).rejects.toMatchObject({ code: 'USAGE' });
  });
});

test('a grace is a length of time up to 30 days', () => {
  expect(['0', '90s', '30m', '24h', '30d'].map(parseGrace)).toEqual([
    0, 90_000, 1_800_000, 86_400_000, 2_592_000_000,
  ]);
  for (const bad of ['', '1', '-1h', '31d', '1w', '1.5h', '721h']) {
    expect(() => parseGrace(bad)).toThrow('is not a grace');
  }
});

test('a backup restores into a new home, which does not vote', async () => {
  await withHomes(['a', 'b'], async (home, other) => {
    const nodeId = await home.make('/ip4/127.0.0.1/tcp/4001');
    await writeFile(home.at('secret'), 'the passphrase of a backup\n');
    const out = home.at('a.backup');
    const sealed = ['--backup-passphrase-file', home.at('secret')];
    const made = await home.json(KeysBackup, keys.keysBackupResult, '--out', out, ...sealed);
    expect(made).toMatchObject({ nodeId, out, successor: false, clusterId: null });
    expect(made.sizeBytes).toBe((await readFile(out)).length);
    await expect(home.text(KeysBackup, '-o', out, ...sealed)).rejects.toMatchObject({
      code: 'EXISTS',
    });
    await expect(home.text(KeysBackup, '-o', home.at('x'))).rejects.toMatchObject({
      code: 'PASSPHRASE_REQUIRED',
    });
    const restore = (...argv: string[]) =>
      other.json(KeysRestore, keys.keysRestoreResult, out, ...argv);
    await expect(restore('--backup-passphrase-file', home.at('passphrase'))).rejects.toMatchObject({
      code: 'WRONG_PASSPHRASE',
      exit: 77,
    });
    const restored = await restore(...sealed);
    expect(restored).toMatchObject({ home: other.dir, nodeId, name: 'a', successor: false });
    const list = await other.json(KeysList, keys.keysListResult);
    expect(list).toMatchObject({ nodeId, restored: true });
    expect(list.warnings.join()).toContain('it does not vote');
    expect(await readFile(join(other.dir, 'config.json'))).toEqual(
      await readFile(join(home.dir, 'config.json')),
    );
    await expect(restore(...sealed)).rejects.toMatchObject({ code: 'EXISTS', exit: 73 });
    // A restoration that was cut off before its end is finished by the same call.
    const format = join(other.dir, 'format.json');
    await rename(format, `${format}.aside`);
    expect((await restore(...sealed)).nodeId).toBe(nodeId);
    // Only the daemon can count what a restored node has signed.
    const next = join(keysOf(home), 'identity-next.key.json');
    const rotated = rotate(other, '--identity', '--next', next, '--yes');
    await expect(rotated).rejects.toMatchObject({ code: 'TRY_AGAIN', exit: 75 });
  });
});

test('what a home has lost comes back from an export', async () => {
  await withHomes(['a'], async (home) => {
    await home.make();
    const out = home.at('keys.json');
    await home.text(KeysExport, '--secret', '--out', out);
    await writeFile(join(keysOf(home), 'vrf.key.json'), 'rubbish');
    await expect(home.text(KeysList)).rejects.toMatchObject({ code: 'KEYSTORE_DAMAGED' });
    const result = await home.json(KeysImport, keys.keysImportResult, out, ...home.with);
    expect(result.imported).toEqual(['vrf']);
    expect(result.unchanged).toHaveLength(5);
    expect(await home.text(KeysImport, out, ...home.with)).toContain('nothing');
    expect((await home.json(KeysList, keys.keysListResult)).keys).toHaveLength(6);
  });
});

test('versions are counted from the home, the own ones of every key epoch', async () => {
  await withHomes(['a', 'b'], async (home, other) => {
    const [nodeId, otherId] = [await home.make(), await other.make()];
    const paths = resolveHome({ home: home.dir, env: {} });
    const count = async () => countOwnVersions(paths, await Keystore.inspect(keysOf(home)));
    expect(await count()).toBe(0);
    const open = (one: TestHome) => Keystore.open({ dir: keysOf(one), passphrase: PASSPHRASE });
    const sign = async (one: TestHome, author: string, sequence: number, keyEpoch: number) => {
      using keystore = await open(one);
      const root = versionCidOf(Uint8Array.of(sequence));
      const fields = { path: 'p', root, sizeBytes: 1, parents: [], generation: 1, time: 1 };
      return createVersion({ ...fields, author, sequence, keyEpoch }, keystore.signer);
    };
    const versions = [await sign(home, nodeId, 1, 0), await sign(home, nodeId, 2, 0)];
    await rotate(home, '--identity', '--yes');
    await settle(home);
    versions.push(await sign(home, nodeId, 3, 1), await sign(other, otherId, 1, 0));
    await mkdir(paths.data, { recursive: true });
    const store = await ChainStore.open(paths.chainDb, { log: silentLog });
    const graph = new KbStore();
    for (const version of versions) new VersionGraph({}, graph).add(version);
    await store.commit(graph.take());
    expect(await count()).toBe(3);
    await store.close();
    expect(await count()).toBe(3);
  });
});

/** A home with keys, and a daemon for it that has none. */
async function withDaemon(
  use: (home: TestHome, backend: MemoryBackend, passphrase: string[]) => Promise<void>,
): Promise<void> {
  await using h = await harness({ home: true });
  const home = new TestHome(dirname(h.directory), basename(h.directory));
  await home.make();
  const file = join(h.directory, 'passphrase');
  await writeFile(file, PASSPHRASE);
  await use(home, h.backend, ['--passphrase-file', file]);
}

test('with a daemon the command waits until the rotation is final', async () => {
  await withDaemon(async (home, backend, passphrase) => {
    const again = (...argv: string[]) =>
      home.json(KeysRotate, keys.keysRotateResult, ...argv, ...passphrase);
    expect((await again('--session')).session).toMatchObject({ number: 2 });
    backend.onAdopt = () => Promise.reject(new AegisError('NOT_FINAL', 'not yet'));
    await expect(again('--identity', '--network', '--yes')).rejects.toMatchObject({
      code: 'NOT_FINAL',
      exit: 75,
      hint: expect.stringContaining('aegis keys rotate') as string,
    });
    // A3: what the daemon has counted while it held versions back.
    const { pending } = await Keystore.inspect(keysOf(home));
    expect(pending?.entry.succession.sealed).toBe(3);
    backend.onAdopt = () => Promise.resolve();
    expect(await again()).toMatchObject({
      ...{ state: 'final', continued: true, number: 1, height: 8, from: 9, session: null },
      retiredNetworkUntil: expect.any(String) as string,
    });
    const { pending: prepared } = new MemoryMembers();
    backend.pending = { ...prepared!, state: 'submitted' };
    await expect(again('--discard', '--yes')).rejects.toMatchObject({ code: 'ROTATION_PENDING' });
  });
});

test('a home that the chain has left behind is told so, before anything is asked', async () => {
  await withDaemon(async (home, backend) => {
    backend.keyStatus = { number: 2 };
    await expect(home.text(KeysRotate, '--network', '--yes')).rejects.toMatchObject({
      code: 'KEYS_RETIRED',
      exit: 78,
      message: expect.stringContaining('the chain 2') as string,
    });
  });
});

test('what a daemon tells of another member is verified', async () => {
  await withDaemon(async (home) => {
    await expect(home.text(KeysHistory, 'bob')).rejects.toMatchObject({ exit: 65 });
  });
});
