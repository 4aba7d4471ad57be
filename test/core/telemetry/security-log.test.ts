import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { openSecurityLog, withoutAddresses } from '../../../src/core/telemetry/security-log.ts';

async function setUp() {
  const dir = await mkdtemp(join(tmpdir(), 'aegis-security-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const time = { now: 1_700_000_000_000 };
  const options = { path: join(dir, 'security.log'), keyPath: join(dir, 'security.key') };
  const open = () => openSecurityLog(options, { now: () => time.now });
  const text = async () => await readFile(options.path, 'utf8');
  const lines = async () =>
    (await text())
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { ...options, time, open, lines, text };
}

test('one JSON object an event, in files that only the owner reads', async () => {
  const { path, keyPath, open, lines } = await setUp();
  const log = await open();
  log.tell({
    type: 'peer-cut',
    nodeId: 'aegis1a',
    knob: 'limits.requestsPerSecond',
    durationMs: 6,
  });
  await log.close();
  expect(await lines()).toEqual([
    {
      time: '2023-11-14T22:13:20.000Z',
      event: 'peer-cut',
      nodeId: 'aegis1a',
      knob: 'limits.requestsPerSecond',
      durationMs: 6,
    },
  ]);
  for (const file of [path, keyPath]) expect((await stat(file)).mode & 0o777).toBe(0o600);
});

test('an address has the same name in one home for ever, and another in another', async () => {
  const one = await setUp();
  const other = await setUp();
  const log = await one.open();
  const name = log.nameOf('192.0.2.1');
  log.tell({ type: 'hello-refused', address: '192.0.2.1' });
  await log.close();
  const again = await one.open();
  expect(again.nameOf('192.0.2.1')).toBe(name);
  expect(again.nameOf('192.0.2.2')).not.toBe(name);
  await again.close();
  const elsewhere = await other.open();
  expect(elsewhere.nameOf('192.0.2.1')).not.toBe(name);
  await elsewhere.close();
  expect(await one.lines()).toMatchObject([{ address: name }]);
  expect(name).toMatch(/^addr-[0-9a-f]{16}$/);
});

test('a damaged key is replaced by a new one', async () => {
  const { keyPath, open } = await setUp();
  await writeFile(keyPath, 'not a key');
  const log = await open();
  await log.close();
  expect(await readFile(keyPath, 'utf8')).toMatch(/^[0-9a-f]{64}\n$/);
});

test('holds no address and no secret, whatever it is told', async () => {
  const { open, text } = await setUp();
  const log = await open();
  const secret = 'c0ffee'.repeat(11).slice(0, 64);
  const address = fc.oneof(
    fc.ipV4(),
    fc.ipV6().filter((ip) => ip.split(':').length > 4),
    fc.ipV4().map((ip) => `/ip4/${ip}/tcp/4001`),
  );
  const told: string[] = [];
  fc.assert(
    fc.property(address, fc.constantFrom('from ', 'dial (', '[', 'at '), (ip, before) => {
      told.push(ip);
      log.tell({ type: 'hello-refused', address: ip, reason: `${before}${ip} with ${secret}` });
    }),
    { numRuns: 40 },
  );
  await log.close();
  const all = await text();
  expect(told.filter((ip) => ip.length > 6 && all.includes(ip))).toEqual([]);
  expect(all).not.toContain(secret);
  expect(withoutAddresses('the handshake failed: 12:30:45')).toContain('handshake failed');
});

test('a flood of one event does not hide another, and what is left out is counted', async () => {
  const { open, lines, time } = await setUp();
  const log = await open();
  for (let i = 0; i < 10_000; i += 1) {
    if (i % 1000 === 0) time.now += 1000;
    log.tell({ type: 'hello-refused', address: `10.0.0.${i % 250}` });
  }
  log.tell({ type: 'double-sign', nodeId: 'aegis1a' });
  time.now += 10_000;
  log.tell({ type: 'hello-refused', address: '10.0.0.1' });
  await log.close();
  const written = await lines();
  expect(written.filter(({ event }) => event === 'double-sign')).toHaveLength(1);
  const hellos = written.filter(({ event }) => event === 'hello-refused');
  expect(hellos.length).toBeLessThan(50 + 5 * 10 + 2);
  const unsaid = hellos.reduce((sum, line) => sum + Number(line['unsaid'] ?? 0), 0);
  expect(hellos.length + unsaid).toBe(10_001);
});
