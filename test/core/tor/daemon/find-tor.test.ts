import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findTor } from '../../../../src/core/tor/daemon/find-tor.ts';
import { systemTor } from '../../../../src/core/tor/daemon/system-tor.ts';
import { needs } from '../../../helpers/needs.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'aegis-find-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

function program(text: string, mode = 0o755): string {
  const path = join(dir, 'tor');
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, mode);
  return path;
}

describe('the tor of this machine', () => {
  test.skipIf(!needs('tor', 'finding tor'))('is found, with its version', async () => {
    const { path, version } = await findTor();
    expect(path).toMatch(/^\/.*\/tor$/);
    expect(version).toMatch(/^0\.4\.\d+\.\d+/);
    expect(await findTor(path)).toEqual({ path, version });
  });

  test.each(['0.3.5.18', '0.4.7.16', '0.4.7.16-dev'])('is too old with %s', async (version) => {
    const path = program(`echo "Tor version ${version}."`);
    await expect(findTor(path)).rejects.toMatchObject({ code: 'TOR_TOO_OLD' });
  });

  test.each(['0.4.8.1', '0.4.8.0-alpha', '0.4.9.11', '0.5.0.1', '1.0.0'])(
    'will do with %s',
    async (version) => {
      const path = program(`echo "Tor version ${version}."`);
      expect(await findTor(path)).toEqual({ path, version });
    },
  );

  test('is not something else', async () => {
    const path = program('echo "Hello\u001b[1m, world"; exit 3');
    await expect(findTor(path)).rejects.toMatchObject({
      code: 'TOR_FAILED',
      message: `${path} is no tor: it says "Hello [1m, world"`,
    });
  });

  test.each([
    ['no-such-tor', 'TOR_FAILED', 'there is no program no-such-tor on this machine'],
    ['/nonexistent/tor', 'TOR_FAILED', '/nonexistent/tor is no program that this user can start'],
    ['bin/tor', 'BAD_CONFIG', 'tor.binary is bin/tor, which is no absolute path'],
  ])('%s is not there', async (binary, code, message) => {
    await expect(findTor(binary)).rejects.toMatchObject({ code, message });
  });

  test('must be a program', async () => {
    const path = join(dir, 'tor');
    writeFileSync(path, 'no program at all');
    chmodSync(path, 0o755);
    await expect(findTor(path)).rejects.toMatchObject({ code: 'TOR_FAILED' });
  });
});

/** A Tor that somebody else runs, which wants a password; it ends with us. */
async function withPassword(
  password: string,
): Promise<{ control: { path: string }; end(): Promise<unknown> }> {
  const hash = execFileSync('tor', ['--hash-password', password, '--quiet'], { encoding: 'utf8' });
  const control = { path: join(dir, 'control') };
  const torrc = join(dir, 'torrc');
  const lines = [`DataDirectory ${join(dir, 'data')}`, `ControlPort unix:${control.path}`];
  lines.push(`HashedControlPassword ${hash.trim()}`, 'DisableNetwork 1', 'SocksPort 0');
  lines.push(`__OwningControllerProcess ${process.pid}`, 'GeoIPFile /dev/null');
  writeFileSync(torrc, `${lines.join('\n')}\n`);
  const args = ['-f', torrc, '--defaults-torrc', '/dev/null', '--hush'];
  const child = spawn('tor', args, { stdio: 'ignore' });
  while (!existsSync(control.path)) await new Promise((resolve) => setTimeout(resolve, 10));
  const gone = once(child, 'exit');
  return {
    control,
    end: () => {
      child.kill('SIGKILL');
      return gone;
    },
  };
}

describe('the Tor that runs', () => {
  test.skipIf(!needs('tor', 'a Tor with a password'))(
    'is opened by its password alone',
    async () => {
      const { control, end } = await withPassword('a "good" one');
      try {
        const passwordFile = join(dir, 'password');
        const socks = { host: '127.0.0.1', port: 9050 };
        const options = { control, socks, passwordFile };
        const denied = (message: RegExp) => ({
          code: 'TOR_DENIED',
          message: expect.stringMatching(message),
        });
        await expect(systemTor(options)).rejects.toMatchObject(denied(/cannot be read: ENOENT/));
        writeFileSync(passwordFile, 'x'.repeat(5000));
        await expect(systemTor(options)).rejects.toMatchObject(denied(/more than 4096 bytes/));
        writeFileSync(passwordFile, 'a bad one\n');
        await expect(systemTor(options)).rejects.toMatchObject(denied(/does not take/));
        writeFileSync(passwordFile, 'a "good" one\n');
        expect(await systemTor(options)).toMatchObject({ control, socks });
        await expect(systemTor({ control, passwordFile })).rejects.toMatchObject({
          code: 'TOR_UNREACHABLE',
          message: expect.stringContaining('has no SOCKS port'),
        });
      } finally {
        await end();
      }
    },
  );

  test('does not answer where it was said to be', async () => {
    const control = { path: join(dir, 'control') };
    await expect(systemTor({ control })).rejects.toMatchObject({ code: 'TOR_UNREACHABLE' });
  });

  test('is not whatever answers', async () => {
    const server = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    const path = join(dir, 'control');
    await new Promise<void>((resolve) => server.listen(path, resolve));
    try {
      await expect(systemTor({ control: { path } })).rejects.toMatchObject({
        code: 'TOR_UNREACHABLE',
      });
    } finally {
      server.close();
    }
  });
});
