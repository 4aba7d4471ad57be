/** `init`, `keygen` and `keys` on real homes. */
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import Init from '../../src/commands/init.ts';
import Keygen from '../../src/commands/keygen.ts';
import KeysExport from '../../src/commands/keys/export.ts';
import KeysList from '../../src/commands/keys/list.ts';
import KeysPasswd from '../../src/commands/keys/passwd.ts';
import KeysShow from '../../src/commands/keys/show.ts';
import * as keys from '../../src/core/api/contract/keys.ts';
import { Keystore } from '../../src/core/keys/keystore.ts';
import { toHex } from '../helpers/vectors.ts';
import { PASSPHRASE, withHomes, withoutAegisVariables } from './homes.ts';

beforeAll(withoutAegisVariables);

test('init makes a home that keys list and show describe', async () => {
  await withHomes(['a'], async (home) => {
    const made = await home.json(
      Init,
      keys.initResult,
      ...['--name', 'alice', '--zone', 'z', '--region', 'r', ...home.with],
    );
    expect(made).toMatchObject({ name: 'alice', zone: 'z', region: 'r', home: home.dir });
    const list = await home.json(KeysList, keys.keysListResult);
    expect(list).toMatchObject({ nodeId: made.nodeId, peerId: made.peerId, name: 'alice' });
    expect(list.keys.map((key) => [key.role, key.private])).toEqual([
      ['identity', true],
      ['next', true],
      ['network', true],
      ['consensus', true],
      ['vrf', true],
      ['onion', true],
    ]);
    // O12: from the beginning.
    const onion = await home.json(KeysShow, keys.keysShowResult, 'onion');
    expect(onion.key.onionAddress).toBe(list.onionAddress);
    expect(list.retiredOnion).toEqual([]);
    const shown = await home.json(KeysShow, keys.keysShowResult, 'network');
    expect(shown.key.peerId).toBe(made.peerId);
    expect(shown.key.proofOfPossession).toBeNull();
    const voting = await home.json(KeysShow, keys.keysShowResult, 'consensus');
    expect(voting.key).toMatchObject({ role: 'consensus', type: 'consensus', peerId: null });
    expect(voting.key.proofOfPossession).toHaveLength(192);
    expect(shown.key.kdf).toEqual({ name: 'argon2id', memoryKib: 65_536, passes: 3, lanes: 1 });
    expect(await home.text(KeysList)).toContain(made.nodeId);
    expect(await home.text(KeysShow)).toContain(shown.nodeId);
    expect((await stat(home.dir)).mode & 0o777).toBe(0o700);

    await expect(home.json(Init, keys.initResult, ...home.with)).rejects.toMatchObject({
      code: 'EXISTS',
      exit: 73,
    });
    expect(await home.json(KeysList, keys.keysListResult)).toEqual(list);
  });
});

test('without a passphrase, or with a bad name, init makes nothing', async () => {
  await withHomes(['a'], async (home) => {
    const init = (...argv: string[]) => home.json(Init, keys.initResult, ...argv);
    await expect(init()).rejects.toMatchObject({ code: 'PASSPHRASE_REQUIRED', exit: 2 });
    const bad = init('--name', 'a\u001b[2J', ...home.with);
    await expect(bad).rejects.toMatchObject({ code: 'BAD_REQUEST', exit: 2 });
    await expect(home.json(KeysList, keys.keysListResult)).rejects.toMatchObject({
      code: 'NO_HOME',
      exit: 66,
    });
  });
});

test('an init that was cut off is finished by the same command, and by no other', async () => {
  await withHomes(['a'], async (home) => {
    const nodeId = await home.make();
    await rm(join(home.dir, 'format.json'));
    const init = (...names: string[]) => home.json(Init, keys.initResult, ...home.with, ...names);
    const same = ['--name', 'a', '--zone', 'z', '--region', 'r'];
    await expect(init('--name', 'b')).rejects.toMatchObject({ code: 'EXISTS' });
    await expect(init(...same, '--listen', 'nonsense')).rejects.toMatchObject({ exit: 78 });
    expect((await init(...same)).nodeId).toBe(nodeId);
  });
});

test('keygen writes encrypted keys of every type and overwrites none', async () => {
  await withHomes(['a'], async (home) => {
    const make = (type: string, out: string, ...more: string[]) =>
      home.json(Keygen, keys.keygenResult, '--type', type, '--out', out, ...home.with, ...more);
    for (const type of ['network', 'consensus', 'vrf', 'session', 'onion']) {
      const out = home.at(`${type}.json`);
      const made = await make(type, out, '--public');
      expect((await stat(out)).mode & 0o777).toBe(0o600);
      expect((await stat(`${out}.pub`)).mode & 0o777).toBe(0o644);
      const part = JSON.parse(await readFile(`${out}.pub`, 'utf8')) as Record<string, unknown>;
      expect(part).toMatchObject({ schema: 'aegis.public-key/1', type, public: made.public });
    }
    const out = home.at('network.json');
    const before = await readFile(out);
    await expect(make('network', out)).rejects.toMatchObject({ code: 'EXISTS', exit: 73 });
    expect(await readFile(out)).toEqual(before);
    await expect(make('network', '-', '--public')).rejects.toMatchObject({ code: 'USAGE' });
    const piped = await make('session', '-');
    expect(piped.keyFile).toMatchObject({ schema: 'aegis.key/1', type: 'session' });
  });
});

test('passwd changes the passphrase; the old one is then wrong', async () => {
  await withHomes(['a'], async (home) => {
    await home.make();
    const fresh = home.at('fresh');
    await writeFile(fresh, 'another passphrase\n');
    const passwd = (...argv: string[]) => home.json(KeysPasswd, keys.keysPasswdResult, ...argv);
    vi.stubEnv('AEGIS_PASSPHRASE_FILE', home.at('passphrase'));
    await expect(passwd()).rejects.toMatchObject({ code: 'PASSPHRASE_REQUIRED' });
    const changed = await passwd('--new-passphrase-file', fresh);
    expect(changed.changed).toEqual(['identity', 'network', 'consensus', 'vrf', 'onion', 'next']);
    const plain = () => home.text(KeysExport, '--secret', '--unencrypted', '--yes');
    await expect(plain()).rejects.toMatchObject({ code: 'WRONG_PASSPHRASE', exit: 77 });
    vi.stubEnv('AEGIS_PASSPHRASE_FILE', undefined);
    expect((await home.json(KeysShow, keys.keysShowResult)).key.backup).toBe(changed.backups[0]);
  });
});

test('export shows the public parts, and secrets in the clear only after a yes', async () => {
  await withHomes(['a'], async (home) => {
    await home.make();
    const get = (...argv: string[]) => home.json(KeysExport, keys.keysExportResult, ...argv);
    expect((await get()).kind).toBe('public');
    expect((await get('--secret')).kind).toBe('encrypted');
    await expect(get('--secret', '--unencrypted', ...home.with)).rejects.toMatchObject({
      code: 'CONFIRMATION_REQUIRED',
      exit: 2,
    });
    const out = home.at('next.json');
    await expect(get('--next', '--remove', '--yes')).rejects.toMatchObject({ code: 'USAGE' });
    const moved = await get('--next', '--remove', '--out', out, '--yes');
    expect(moved).toMatchObject({ kind: 'encrypted', roles: ['next'], removed: true });
    expect((await stat(out)).mode & 0o777).toBe(0o600);
    expect((await home.json(KeysList, keys.keysListResult)).keys).toHaveLength(5);
    await expect(get('--next')).rejects.toMatchObject({ code: 'NOT_FOUND', exit: 66 });

    const plainOut = home.at('plain.json');
    await get('--secret', '--unencrypted', '--yes', '--out', plainOut, ...home.with);
    const keystore = await Keystore.open({ dir: join(home.dir, 'keys'), passphrase: PASSPHRASE });
    const seed = toHex(keystore.networkSeed());
    keystore.close();
    expect(await readFile(plainOut, 'utf8')).toContain(seed);
    const words = home.printed.join('\n');
    expect(words).not.toContain(PASSPHRASE);
    expect(words).not.toContain(seed);
  });
});
