/** The real `tor`, alone and without network: what it says, and how it takes what we say. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { onionKeyOf } from '../../../../src/core/crypto/onion.ts';
import { systemClock } from '../../../../src/core/node/clock.ts';
import { Bootstrap } from '../../../../src/core/tor/control/bootstrap.ts';
import { type ControlAuth, ControlClient } from '../../../../src/core/tor/control/client.ts';
import {
  addClientKey,
  addOnion,
  circuits,
  closeCircuit,
  delOnion,
  listClientKeys,
  removeClientKey,
  signal,
  streams,
} from '../../../../src/core/tor/control/commands.ts';
import { replyStatusOf } from '../../../../src/core/tor/control/refusal.ts';
import { needs } from '../../../helpers/needs.ts';
import { linkTo } from './support.ts';

const PASSWORD = 'a "b" \\ ü';

describe.skipIf(!needs('tor', 'tests of the control port of the real Tor'))('tor', () => {
  let dir: string;
  let end: () => Promise<void>;
  let control: { path: string };
  let said = '';

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'aegis-real-tor-'));
    control = { path: join(dir, 'control') };
    // The folder is 0700; Tor wants that of a control socket.
    const hash = execFileSync('tor', ['--quiet', '--hash-password', PASSWORD], {
      encoding: 'utf8',
    });
    const lines = [
      ...['DisableNetwork 1', 'SocksPort 0', `ControlPort unix:${control.path}`],
      ...[`DataDirectory ${join(dir, 'data')}`, 'CookieAuthentication 1'],
      ...[`HashedControlPassword ${hash.trim()}`, `__OwningControllerProcess ${process.pid}`],
      ...['ShutdownWaitLength 0', 'Log notice stdout'],
    ];
    const file = join(dir, 'torrc');
    writeFileSync(file, `${lines.join('\n')}\n`);
    const args = ['-f', file, '--defaults-torrc', '/dev/null'];
    const tor = spawn('tor', args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const exit = once(tor, 'exit');
    end = async () => {
      tor.kill('SIGKILL');
      await exit;
      rmSync(dir, { recursive: true, force: true });
    };
    const { promise: opened, resolve } = Promise.withResolvers<void>();
    // Read to the end: it would die of a pipe that nobody reads.
    tor.stdout.on('data', (text: Buffer) => {
      said += text.toString();
      if (said.includes('Opened Control listener')) resolve();
    });
    await Promise.race([opened, exit.then(() => Promise.reject(new Error(said)))]);
  });
  afterAll(() => end());

  const connect = (auth: ControlAuth) =>
    ControlClient.connect(control, auth, { timeoutMs: 10_000 });

  test.each<[string, ControlAuth]>([
    ['cookie', {}],
    ['password', { password: () => PASSWORD, cookieFile: '/nowhere/cookie' }],
  ])('lets us in by %s', async (_, auth) => {
    const client = await connect(auth);
    onTestFinished(() => client.close());
    expect(client.version).toMatch(/^0\.4\.\d+\.\d+/);
    const { lines } = await client.command('GETINFO version');
    expect(lines[0]!.text).toContain(`version=${client.version}`);
  });

  test('lets nobody in by a wrong password or cookie', async () => {
    const password = () => 'another';
    const wrong = connect({ password, cookieFile: '/nowhere/cookie' });
    await expect(wrong).rejects.toThrow('Tor does not take the control password');
    const cookieFile = join(dir, 'cookie');
    writeFileSync(cookieFile, Buffer.alloc(32, 1));
    await expect(connect({ cookieFile })).rejects.toThrow('is not that of this Tor');
  });

  test('answers, and does not what it does not know', async () => {
    const link = linkTo({ control });
    const bootstrap = new Bootstrap({ clock: systemClock() });
    bootstrap.start(link);
    await link.start();
    expect(bootstrap.status).toMatchObject({ percent: 0, tag: 'starting', isReady: false });
    const info = await link.getInfo('config-file', 'network-liveness', 'net/listeners/socks');
    expect(info).toEqual({
      'config-file': join(dir, 'torrc'),
      'network-liveness': 'down',
      'net/listeners/socks': '',
    });
    expect(await link.getInfo('config-text')).toMatchObject({
      'config-text': expect.stringContaining('\nDisableNetwork 1\n'),
    });
    await expect(link.getInfo('version', 'nope')).rejects.toMatchObject({
      details: { status: 552 },
    });
    await link.setConf({ ContactInfo: 'a "b" \\ ü', MaxCircuitDirtiness: '660' });
    expect(await link.getConf('contactinfo')).toEqual(['a "b" \\ ü']);
    // Tor has it as 660 seconds: another text is another value (O10).
    await expect(link.setConf({ MaxCircuitDirtiness: '11 minutes' })).rejects.toThrow(
      'not have it',
    );
    await expect(link.setConf({ Nonsense: '1' })).rejects.toMatchObject({
      details: { status: 552 },
    });
    await expect(link.command('FROBNICATE')).rejects.toMatchObject({ code: 'TOR_TOO_OLD' });
    await signal(link, 'NEWNYM');
    expect([await circuits(link), await streams(link)]).toEqual([[], []]);
    expect(await closeCircuit(link, '99')).toBe(false);
  });

  test('is woken by whoever waits for its circuits', async () => {
    const link = linkTo({ control });
    await link.start();
    await link.command('SIGNAL DORMANT');
    new Bootstrap({ clock: systemClock() }).start(link);
    await expect.poll(() => said).toMatch(/Going dormant.*\n.*no longer dormant/);
  });

  test('makes our services with our keys, and keeps client keys', async () => {
    const link = linkTo({ control });
    await link.start();
    const key = onionKeyOf(new Uint8Array(32).fill(9));
    const request = {
      key: `ED25519-V3:${Buffer.from(key.expandedSecret).toString('base64')}`,
      ports: ['4001,127.0.0.1:5000', `4002,unix:${join(dir, 'target')}`],
      clients: Array.from(
        { length: 256 },
        (_, i) => `${'a'.repeat(50)}${BASE32[i >> 5]}${BASE32[i & 15]}`,
      ),
      ...{ maxStreams: 100, pow: { queueRate: 10, queueBurst: 20 } },
    };
    const id = await addOnion(link, request);
    expect(`${id}.onion`).toBe(key.address);
    const again = await addOnion(link, request).catch((error: unknown) => error);
    expect(replyStatusOf(again)).toBe(550);
    expect((again as Error).message).toBe('Tor refused ADD_ONION (550)');
    await addClientKey(link, key.address, new Uint8Array(32).fill(3));
    await addClientKey(link, key.address, new Uint8Array(32).fill(4));
    expect(await listClientKeys(link)).toEqual([id]);
    expect([await removeClientKey(link, id), await removeClientKey(link, id)]).toEqual([
      true,
      false,
    ]);
    expect([await delOnion(link, id), await delOnion(link, id)]).toEqual([true, false]);
  });
});

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
