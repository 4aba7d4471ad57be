import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { type ControlAuth, ControlClient } from '../../../../src/core/tor/control/client.ts';
import { TOR_LIMITS } from '../../../../src/core/tor/limits.ts';
import type { FakeTor } from '../../../helpers/fake-tor.ts';
import { fakeTor } from './support.ts';

async function connect(tor: FakeTor, auth: ControlAuth = {}, timeoutMs = 5000) {
  const client = await ControlClient.connect(tor.control, auth, { timeoutMs });
  onTestFinished(() => client.close());
  return client;
}

test('cookie: both sides prove that they can read the file', async () => {
  const tor = await fakeTor();
  const client = await connect(tor);
  expect(client.version).toBe('0.4.9.11');
  const { lines } = await client.command('GETINFO version');
  expect(lines[0]).toEqual({ code: 250, text: 'version=0.4.9.11' });
  expect(tor.commands).toEqual([
    'PROTOCOLINFO',
    'AUTHCHALLENGE',
    'AUTHENTICATE',
    'GETINFO version',
  ]);
});

test('wrong cookie: whoever cannot read the file gets no proof of ours (O9)', async () => {
  const tor = await fakeTor({ fault: 'wrong-cookie' });
  await expect(connect(tor)).rejects.toMatchObject({ code: 'TOR_DENIED' });
  await expect(connect(tor)).rejects.toThrow('is not that of this Tor');
  expect(tor.commands).not.toContain('AUTHENTICATE');
});

test('a Tor that refuses the proof has another cookie', async () => {
  const tor = await fakeTor({ fault: 'refuses' });
  await expect(connect(tor)).rejects.toMatchObject({
    code: 'TOR_DENIED',
    message: expect.stringContaining('is not that of this Tor'),
  });
});

test('a cookie that is not there, or no cookie, is said so', async () => {
  const tor = await fakeTor();
  const cookieFile = `${tor.cookieFile}-none`;
  await expect(connect(tor, { cookieFile })).rejects.toThrow('cannot be read: ENOENT');
  writeFileSync(tor.cookieFile, 'short');
  await expect(connect(tor)).rejects.toThrow('it is no cookie of 32 bytes');
  rmSync(tor.cookieFile);
  // Nobody ever writes into it: to open it without care would wait for ever.
  execFileSync('mkfifo', [tor.cookieFile]);
  await expect(connect(tor)).rejects.toThrow('it is no cookie of 32 bytes');
});

test('password: the right one, a wrong one, none', async () => {
  const tor = await fakeTor({ password: 'geheim "ü"' });
  const right = await connect(tor, { password: () => 'geheim "ü"' });
  await right.command('GETINFO version');
  const wrong = connect(tor, { password: () => Promise.resolve('sesam') });
  await expect(wrong).rejects.toMatchObject({
    code: 'TOR_DENIED',
    message: 'Tor does not take the control password',
    hint: expect.stringContaining('tor.passwordFile'),
  });
  await expect(wrong).rejects.not.toThrow('sesam');
  await expect(connect(tor)).rejects.toThrow('Tor wants its control password');
});

test('a Tor that lets everybody in is not enough for whoever named a secret', async () => {
  const tor = await fakeTor({ fault: 'open' });
  expect((await connect(tor)).method).toBe('none');
  const { cookieFile } = tor;
  await expect(connect(tor, { cookieFile })).rejects.toThrow('Tor offers NULL to authenticate');
  await expect(connect(tor, { password: () => 'x' })).rejects.toMatchObject({ code: 'TOR_DENIED' });
});

test.each([
  ['old', 'TOR_TOO_OLD', 'this Tor is 0.4.5.16; aegis needs 0.4.8'],
  ['no-tor', 'TOR_UNREACHABLE', 'is no control port of Tor'],
  ['mute', 'TOR_UNREACHABLE', 'does not answer within 100 ms'],
])('%s', async (fault, code, message) => {
  const tor = await fakeTor({ fault });
  const attempt = connect(tor, {}, fault === 'mute' ? 100 : 5000);
  await expect(attempt).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
});

test('nobody there: no socket, nothing that listens', async () => {
  const tor = await fakeTor();
  await tor.stop();
  await expect(connect(tor)).rejects.toMatchObject({
    code: 'TOR_UNREACHABLE',
    message: expect.stringContaining('there is no socket'),
    hint: expect.stringContaining('--tor-daemon spawn'),
  });
  // Port 1 of the loopback has no service on any machine that runs tests.
  const nowhere = ControlClient.connect({ host: '127.0.0.1', port: 1 }, {}, { timeoutMs: 5000 });
  await expect(nowhere).rejects.toThrow('no control port of Tor at 127.0.0.1:1: nothing listens');
});

test('an attempt ends with its signal', async () => {
  const tor = await fakeTor({ fault: 'mute' });
  const stop = new AbortController();
  const options = { signal: stop.signal, timeoutMs: 60_000 };
  const attempt = ControlClient.connect(tor.control, {}, options);
  stop.abort(new Error('no longer'));
  await expect(attempt).rejects.toThrow('no longer');
});

test('event inside a reply: the reply is whole, and the events are heard', async () => {
  const tor = await fakeTor({ fault: 'event-inside' });
  const client = await connect(tor);
  const heard: string[] = [];
  client.onEvent(({ type, lines }) => heard.push(`${type} ${lines.length}`));
  const { lines } = await client.command('GETINFO version dormant');
  expect(lines.map(({ text }) => text)).toEqual(['version=0.4.9.11', 'dormant=0', 'OK']);
  await expect.poll(() => heard).toEqual(['HS_DESC 2', 'STATUS_CLIENT 1', 'STATUS_CLIENT 1']);
});

test.each(['hang', 'half-reply'])('%s: a command ends by its deadline or signal', async (fault) => {
  const tor = await fakeTor();
  const client = await connect(tor);
  tor.fault = fault;
  const late = client.command('GETINFO version', { timeoutMs: 20 });
  await expect(late).rejects.toMatchObject({ code: 'TIMEOUT' });
  const stop = new AbortController();
  const given = client.command('GETINFO version', { signal: stop.signal });
  stop.abort(new Error('enough'));
  await expect(given).rejects.toThrow('enough');
  const { signal } = stop;
  await expect(client.command('GETINFO version', { signal })).rejects.toThrow('enough');
});

test.each(['endless-line', 'endless-reply'])(
  '%s: the connection ends, and says why',
  async (fault) => {
    const tor = await fakeTor({ fault: 'none' });
    const client = await connect(tor);
    tor.fault = fault;
    const reply = client.command('GETINFO version');
    const bytes =
      fault === 'endless-line' ? TOR_LIMITS.controlLineBytes : TOR_LIMITS.controlReplyBytes;
    await expect(reply).rejects.toThrow(`more than ${bytes} bytes`);
    expect((await client.closed).code).toBe('TOR_UNREACHABLE');
    await expect(client.command('GETINFO version')).rejects.toMatchObject({
      code: 'TOR_UNREACHABLE',
    });
  },
);

test('what Tor refuses has its status, and no key in it', async () => {
  const tor = await fakeTor();
  const client = await connect(tor);
  await expect(client.command('GETINFO nope')).rejects.toMatchObject({
    code: 'TOR_FAILED',
    message: 'Tor refused GETINFO (552): Unrecognized key "nope"',
    details: { status: 552 },
  });
  await expect(client.command('HELP')).rejects.toMatchObject({ code: 'TOR_TOO_OLD' });
  const secret = client.command('ADD_ONION ED25519-V3:c2VjcmV0 Port=1', { secret: true });
  await expect(secret).rejects.toThrow(/^Tor refused ADD_ONION \(512\)$/);
});
