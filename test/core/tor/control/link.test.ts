import { expect, test } from 'vitest';
import { onionKeyOf } from '../../../../src/core/crypto/onion.ts';
import {
  addClientKey,
  addOnion,
  closeCircuit,
  delOnion,
  listClientKeys,
  removeClientKey,
  signal,
} from '../../../../src/core/tor/control/commands.ts';
import { TorLink } from '../../../../src/core/tor/control/link.ts';
import { instant } from '../../../../src/core/units.ts';
import { fakeTor, linkTo, memoryLog } from './support.ts';

const key = onionKeyOf(new Uint8Array(32).fill(7));
const request = {
  key: `ED25519-V3:${Buffer.from(key.expandedSecret).toString('base64')}`,
  ports: ['4001,127.0.0.1:5000'],
};

const isUp = (link: TorLink) => expect.poll(() => link.state).toBe('up');

test('after a restart all is restored: ownership, events, what was registered', async () => {
  const tor = await fakeTor();
  const link = linkTo(tor, { takeOwnership: true });
  const heard: string[] = [];
  link.on('HS_DESC', ({ text }) => heard.push(text.split(' ')[0]!));
  link.restore('service', async () => void (await addOnion(link, request)));
  await link.start();
  link.restore('client key', () => addClientKey(link, key.address, new Uint8Array(32)));
  await expect.poll(() => heard).toEqual(['UPLOAD', 'UPLOADED']);
  await expect.poll(() => tor.clientKeys.size).toBe(1);

  tor.commands.length = 0;
  await tor.restart();
  await expect.poll(() => tor.clientKeys.size).toBe(1);
  await isUp(link);
  const verbs = tor.commands.map((command) => command.split(' ')[0]);
  expect(verbs).toEqual([
    ...['PROTOCOLINFO', 'AUTHCHALLENGE', 'AUTHENTICATE', 'TAKEOWNERSHIP', 'GETINFO', 'SETEVENTS'],
    ...['ADD_ONION', 'ONION_CLIENT_AUTH_ADD'],
  ]);
  expect(tor.onions.size).toBe(1);
  await expect.poll(() => heard).toHaveLength(4);
});

test('restart in the middle of a command: it fails, and the link comes back', async () => {
  const tor = await fakeTor();
  const link = linkTo(tor);
  const states: string[] = [];
  link.onState((state) => states.push(state));
  await link.start();
  tor.fault = 'restart';
  await expect(link.getInfo('version')).rejects.toMatchObject({ code: 'TOR_UNREACHABLE' });
  await expect.poll(() => states).toEqual(['connecting', 'up', 'down', 'connecting', 'up']);
  expect(await link.getInfo('version')).toEqual({ version: '0.4.9.11' });
});

test('a link whose first attempt fails says so, and goes on (O3)', async () => {
  const tor = await fakeTor();
  await tor.stop();
  const { log, lines } = memoryLog();
  const link = linkTo(tor, {}, log);
  let done = 0;
  link.restore('job', () => {
    done += 1;
    return Promise.resolve();
  });
  await expect(link.start()).rejects.toMatchObject({ code: 'TOR_UNREACHABLE' });
  await expect(link.command('GETINFO version')).rejects.toMatchObject({ code: 'TOR_UNREACHABLE' });
  expect(link.why?.code).toBe('TOR_UNREACHABLE');
  expect(lines[0]).toContain('no connection to Tor');
  await link.stop();
  expect(link.state).toBe('stopped');
  expect(done).toBe(0);
});

test('a job that fails or never ends keeps nothing from the others', async () => {
  const tor = await fakeTor();
  const { log, lines } = memoryLog();
  const link = linkTo(tor, {}, log);
  const done: string[] = [];
  link.restore('bad', () => Promise.reject(new Error('broken')));
  link.restore('good', () => Promise.resolve(void done.push('good')));
  const end = link.restore('over', () => Promise.resolve(void done.push('over')));
  end();
  await link.start();
  expect(done).toEqual(['good']);
  expect(lines.some((line) => line.includes('not restored at Tor') && line.includes('bad'))).toBe(
    true,
  );
  link.restore('now', () => Promise.resolve(void done.push('now')));
  await expect.poll(() => done).toEqual(['good', 'now']);
});

test('events are asked for together, only those that this Tor knows; never CIRC_BW', async () => {
  const tor = await fakeTor();
  const { log, lines } = memoryLog();
  const link = linkTo(tor, {}, log);
  await link.start();
  const heard: string[] = [];
  const end = link.on('CIRC', ({ text }) => heard.push(text));
  link.on('CIRC', () => {
    throw new Error('a bug');
  });
  link.on('BOGUS', () => heard.push('never'));
  expect(() => link.on('CIRC_BW', () => {})).toThrow('may be asked for');
  await expect.poll(() => tor.commands.at(-1)).toBe('SETEVENTS CIRC');
  await link.command('GETINFO version');
  tor.emit('CIRC 1 BUILT');
  await expect.poll(() => heard).toEqual(['1 BUILT']);
  expect(lines.join()).toContain('who hears Tor has failed');
  expect(lines.join()).toContain('BOGUS');
  end();
  tor.emit('CIRC 2 BUILT');
  await link.command('GETINFO version');
  expect(heard).toEqual(['1 BUILT']);
});

test('a setting is read back (O10)', async () => {
  const tor = await fakeTor();
  const link = linkTo(tor);
  await link.start();
  await link.setConf({ ContactInfo: 'a "b" \\ ü' });
  expect(await link.getConf('contactinfo')).toEqual(['a "b" \\ ü']);
  expect(await link.getConf('Bridge')).toEqual([]);
  tor.fault = 'forgetful';
  await expect(link.setConf({ ConfluxEnabled: '0' })).rejects.toThrow('does not have it');
});

test('services, client keys and circuits are asked for as Tor wants it', async () => {
  const tor = await fakeTor();
  const link = linkTo(tor);
  await link.start();
  const pow = { queueRate: 10, queueBurst: 20 };
  const id = await addOnion(link, { ...request, clients: ['a'.repeat(52)], maxStreams: 9, pow });
  expect(`${id}.onion`).toBe(key.address);
  expect(tor.onions.get(id)).toBe(
    'Flags=DiscardPK,V3Auth MaxStreams=9 PoWDefensesEnabled=1 PoWQueueRate=10 PoWQueueBurst=20 ' +
      `Port=4001,127.0.0.1:5000 ClientAuthV3=${'a'.repeat(52)}`,
  );
  const again = addOnion(link, request);
  await expect(again).rejects.toMatchObject({ code: 'TOR_FAILED', details: { status: 550 } });
  await addClientKey(link, key.address, new Uint8Array(32).fill(1));
  expect(await listClientKeys(link)).toEqual([id]);
  expect([await removeClientKey(link, id), await removeClientKey(link, id)]).toEqual([true, false]);
  expect([await delOnion(link, id), await delOnion(link, id)]).toEqual([true, false]);
  expect(await closeCircuit(link, '99')).toBe(false);
  await signal(link, 'NEWNYM');
  expect(tor.commands.at(-1)).toBe('SIGNAL NEWNYM');
});

test('no argument can become another one, or another command', async () => {
  const link = linkTo(await fakeTor());
  await link.start();
  await expect(delOnion(link, 'x\r\nSIGNAL HALT')).rejects.toThrow('has been checked');
  await expect(closeCircuit(link, '1 IfUnused')).rejects.toThrow('the id of a circuit');
  const ports = ['1,unix:/a b'];
  await expect(addOnion(link, { ...request, ports })).rejects.toThrow('without quotes');
});

test('pauses between attempts grow, with a jitter, to half a minute (O9)', async () => {
  const tor = await fakeTor();
  await tor.stop();
  const waits: number[] = [];
  const { promise: enough, resolve } = Promise.withResolvers<void>();
  const clock = {
    now: () => instant(0),
    wakeAt: (at: number, wake: () => void) => {
      if (waits.push(at) < 20) setImmediate(wake);
      else resolve();
      return () => {};
    },
  };
  let drawn = 0;
  // The least and the most of all jitters, by turns.
  const random = { bytes: () => Uint8Array.of((drawn++ % 2) * 255) };
  const deps = { log: memoryLog().log, clock, random };
  const link = new TorLink({ endpoint: tor.control, auth: {} }, deps);
  await expect(link.start()).rejects.toMatchObject({ code: 'TOR_UNREACHABLE' });
  await enough;
  await link.stop();
  const full = waits.map((_, i) => Math.min(250 * 2 ** i, 30_000));
  expect(waits).toEqual(full.map((ms, i) => (i % 2 === 0 ? ms / 2 : ms)));
});
