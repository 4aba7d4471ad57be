/**
 * Goal: what the leak tests rely on sees leaks: a detector that never fails proves nothing.
 * Setup: a plain Node process, outside, in a namespace with `lo` only and in one whose packets are
 * counted; it leaks on purpose.
 * Check: nothing is counted before, and each leak where it belongs; sockets with a path and the one
 * allowed port work, and nothing else does.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Command, CountedJail, HUB, LoneJail, leaked, NAME_SERVER } from './support/jail.ts';
import type { Leak } from './support/leak.ts';
import { leak, outward, seen, type Watched, watchedEnv } from './support/leaks.ts';
import { namespaces } from './support/namespaces.ts';

let dir: string;
let ended: (() => Promise<unknown>)[] = [];
let started = 0;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'aegis-jail-'));
});
afterEach(async () => {
  for (const end of ended.toReversed()) await end();
  ended = [];
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function program(door: readonly string[], script: string, env: NodeJS.ProcessEnv): ChildProcess {
  const [first, ...args] = [...door, process.execPath, '--input-type=module', '-e', script];
  const child = spawn(first, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  ended.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  return child;
}

/** A process that waits to be told to leak. */
async function leaky(door: readonly string[]): Promise<Watched> {
  started += 1;
  const watched = {
    leakSocket: join(dir, `leak-${started}`),
    detectorFile: join(dir, `seen-${started}`),
  };
  const script = 'process.stdin.resume(); process.stdout.write("ready")';
  await once(program(door, script, watchedEnv(watched)).stdout!, 'data');
  return watched;
}

/** What a program inside says; nothing if it cannot. */
async function said(door: Command, script: string): Promise<string> {
  const child = program(door, script, {});
  let text = '';
  child.stdout!.setEncoding('utf8').on('data', (part: string) => (text += part));
  await once(child, 'close');
  return text;
}

const dialling = (to: string): string =>
  `import { connect } from 'node:net'; const socket = connect(${to});` +
  `socket.on('data', (data) => { process.stdout.write(data); process.exit(); });` +
  `socket.on('error', (error) => { process.stdout.write(error.code); process.exit(); });` +
  `setTimeout(() => { process.stdout.write('nothing'); process.exit(); }, 700);`;

async function greeter(at: string): Promise<void> {
  const server = createServer((socket) => socket.end('hello from outside'));
  server.listen(at);
  await once(server, 'listening');
  ended.push(async () => server.close());
}

describe.skipIf(!namespaces)('a namespace with lo only', () => {
  test('lets sockets with a path through, and nothing else', async () => {
    const jail = await LoneJail.make();
    ended.push(() => jail.stop());
    const path = join(dir, 'greeter');
    await greeter(path);
    expect(await said(jail.door, dialling(`{ path: '${path}' }`))).toBe('hello from outside');
    const direct = dialling(`{ host: '203.0.113.7', port: 4001 }`);
    expect(await said(jail.door, direct)).toBe('ENETUNREACH');
    const names =
      `import { lookup } from 'node:dns'; ` +
      `lookup('node.example.org', (error) => process.stdout.write(error.code));`;
    expect(await said(jail.door, names)).toBe('EAI_AGAIN');
  });
});

describe.skipIf(!namespaces)('a namespace whose packets are counted', () => {
  test('counts nothing of a process that stays inside', async () => {
    const jail = await CountedJail.make();
    ended.push(() => jail.stop());
    await leaky(jail.door);
    const counts = await jail.counts();
    expect(leaked(counts)).toBe(0);
    expect(counts.destinations).toEqual([]);
  });

  test('lets one port through, and counts it', async () => {
    const jail = await CountedJail.make();
    ended.push(() => jail.stop());
    const path = join(dir, 'allowed');
    await greeter(path);
    const [program_, ...args] = jail.hubDoor;
    const forward = join(import.meta.dirname, 'support', 'forward.ts');
    const to = `${HUB.host}:${HUB.port}`;
    const child = spawn(program_, [...args, process.execPath, forward, to, path], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    ended.push(async () => {
      child.stdin.end();
      await once(child, 'exit');
    });
    await once(child.stdout, 'data');
    const inside = dialling(`{ host: '${HUB.host}', port: ${HUB.port} }`);
    expect(await said(jail.door, inside)).toBe('hello from outside');
    const counts = await jail.counts();
    expect(counts.allowed).toBeGreaterThan(0);
    expect(leaked(counts)).toBe(0);
  });

  const cases: readonly [Leak, string, string?][] = [
    ['direct', 'tcp', '203.0.113.7 tcp 4001'],
    ['neighbour', 'tcp', '10.99.0.77 tcp 4001'],
    ['name', 'dns', `${NAME_SERVER} udp 53`],
    ['query', 'dns', `${NAME_SERVER} udp 53`],
    ['mdns', 'mdns', '224.0.0.251 udp 5353'],
    ['udp', 'udp', '203.0.113.7 udp 4001'],
  ];
  test('counts each leak where it belongs, and names its destination', async () => {
    const jail = await CountedJail.make();
    ended.push(() => jail.stop());
    const watched = await leaky(jail.door);
    for (const [what, counter, destination] of cases) {
      await jail.reset();
      await leak(watched, what);
      const counts = await jail.counts();
      expect(counts[counter as 'tcp'], what).toBeGreaterThan(0);
      expect(leaked(counts), what).toBeGreaterThan(0);
      expect(counts.destinations.map(numeric), what).toContain(destination);
    }
  });
});

/** nft names well-known ports. */
const numeric = (destination: string): string =>
  destination.replace(/ domain$/, ' 53').replace(/ mdns$/, ' 5353');

test('the detector at the sockets sees each leak of a process, and nothing before', async () => {
  const watched = await leaky([]);
  expect(outward(seen(watched))).toEqual([]);
  const cases: readonly [Leak, string, string][] = [
    ['direct', 'connect', '203.0.113.7:4001'],
    ['name', 'lookup', 'node.example.org'],
    ['query', 'lookup', 'node.example.org'],
    ['mdns', 'datagram', '224.0.0.251:5353'],
    ['udp', 'datagram', '203.0.113.7:4001'],
  ];
  for (const [i, [what, kind, to]] of cases.entries()) {
    await leak(watched, what);
    const all = outward(seen(watched));
    expect(all.length, what).toBeGreaterThan(i);
    expect(all.at(-1), what).toEqual({ what: kind, to });
  }
});
