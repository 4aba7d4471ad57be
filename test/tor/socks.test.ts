/**
 * Goal: what Tor says at its SOCKS port and its control port is understood as it means it.
 * Setup: one Tor of the private network, which holds services and dials them itself.
 * Check: the code of each error that can be made to happen; HTTP; the bootstrap to its end.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { agreementKeyOf } from '../../src/core/crypto/agree.ts';
import { base32 } from '../../src/core/crypto/base32.ts';
import { type OnionKey, onionKeyOf } from '../../src/core/crypto/onion.ts';
import { systemClock } from '../../src/core/node/clock.ts';
import { Bootstrap } from '../../src/core/tor/control/bootstrap.ts';
import { proofOfWork } from '../../src/core/tor/control/circuits.ts';
import { addClientKey, addOnion, circuits } from '../../src/core/tor/control/commands.ts';
import { TorLink } from '../../src/core/tor/control/link.ts';
import { fetchThrough } from '../../src/core/tor/http.ts';
import { socksConnect } from '../../src/core/tor/socks/connect.ts';
import { memoryLog } from '../core/network/cluster.ts';
import { describeOverTor, torNetwork } from './support/network.ts';
import { SystemTor } from './support/system-tor.ts';

const CLOSED_PORT = 4002;

describeOverTor('SOCKS and the control port of a Tor with a network', () => {
  let dir: string;
  let tor: SystemTor;
  let link: TorLink;
  let server: Server;
  const [open, closed] = [onionKeyOf(randomBytes(32)), onionKeyOf(randomBytes(32))];
  const clientSecret = randomBytes(32);
  const phases: number[] = [];

  const dial = (host: string, port: number) => {
    const proxy = { path: tor.socksPath };
    return socksConnect({ proxy, host, port }, { timeoutMs: 90_000 });
  };

  /** Resolves when a descriptor of it is at a directory. */
  async function publish(key: OnionKey, more: { clients?: string[]; pow?: object }): Promise<void> {
    const id = key.address.replace('.onion', '');
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = link.on('HS_DESC', ({ text }) => text.startsWith(`UPLOADED ${id}`) && resolve());
    const { port } = server.address() as AddressInfo;
    await addOnion(link, {
      key: `ED25519-V3:${Buffer.from(key.expandedSecret).toString('base64')}`,
      // Nothing listens at the second one.
      ports: [`80,127.0.0.1:${port}`, `${CLOSED_PORT},127.0.0.1:1`],
      ...more,
    });
    await promise;
    end();
  }

  beforeAll(async () => {
    const { torrc } = await torNetwork();
    dir = await mkdtemp('/tmp/ac-');
    tor = new SystemTor(join(dir, 't'), torrc, { exits: true });
    await tor.start();
    const deps = { log: memoryLog(), clock: systemClock(), random: { bytes: randomBytes } };
    link = new TorLink({ endpoint: { path: tor.controlPath }, auth: {} }, deps);
    const bootstrap = new Bootstrap(deps);
    const { promise: ready, resolve } = Promise.withResolvers<void>();
    bootstrap.onChange(({ percent, isReady }) => {
      phases.push(percent);
      if (isReady) resolve();
    });
    bootstrap.start(link);
    await link.start();
    await ready;
    server = createServer((_, response) => void response.end('hello')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const clients = [base32(agreementKeyOf(clientSecret))];
    await Promise.all([
      publish(open, { pow: { queueRate: 100, queueBurst: 200 } }),
      publish(closed, { clients }),
    ]);
  });

  afterAll(async () => {
    server?.close();
    await link?.stop();
    await tor?.kill();
    await rm(dir, { recursive: true, force: true });
  });

  test('the bootstrap is followed to its end', () => {
    expect(phases.at(-1)).toBe(100);
    expect(phases).toEqual(phases.toSorted((a, b) => a - b));
  });

  test('HTTP from an onion service that could want proofs of work, and wants none', async () => {
    const options = { proxy: { path: tor.socksPath }, maxBytes: 1000 };
    const isolation = { username: 'one', password: 'two' };
    const { status, body } = await fetchThrough(`http://${open.address}/`, {
      ...options,
      isolation,
    });
    let text = '';
    for await (const chunk of body) text += Buffer.from(chunk).toString();
    expect([status, text]).toEqual([200, 'hello']);
    const all = await circuits(link);
    expect(all.map(({ socksUsername }) => socksUsername)).toContain('one');
    expect(proofOfWork(all, open.address.replace('.onion', ''))).toBe('no');
  });

  test('each way in which a dial fails has its code', async () => {
    const nowhere = onionKeyOf(randomBytes(32)).address;
    const badSum = `${nowhere.slice(0, 52)}${nowhere[52] === 'a' ? 'b' : 'a'}${nowhere.slice(53)}`;
    const failures = [
      dial(nowhere, 80),
      dial(badSum, 80),
      dial(open.address, CLOSED_PORT),
      dial(open.address, CLOSED_PORT + 1),
      dial(closed.address, 80),
      dial('127.0.0.1', 1),
    ].map((attempt) =>
      attempt.then(
        () => 'connected',
        ({ code, details }: { code: string; details: { socks?: number } }) =>
          `${code} ${details.socks?.toString(16) ?? ''}`,
      ),
    );
    expect(await Promise.all(failures)).toEqual([
      'ONION_NOT_FOUND f0',
      'BAD_ONION_ADDRESS f6',
      // A service does not tell that nothing listens behind it.
      'ONION_UNREACHABLE 1',
      'ONION_UNREACHABLE 5',
      'ONION_AUTH f4',
      expect.stringMatching(/^DIAL_FAILED|^EXIT_REFUSED/),
    ]);
    await addClientKey(link, closed.address, randomBytes(32));
    const wrong = { code: 'ONION_AUTH', details: { socks: 0xf5 } };
    await expect(dial(closed.address, 80)).rejects.toMatchObject(wrong);
    await addClientKey(link, closed.address, clientSecret);
    (await dial(closed.address, 80)).destroy();
    // As Tor takes it: with the point it would have been the name of a host.
    (await dial(`${open.address.toUpperCase()}.`, 80)).destroy();
  });
});
