/**
 * Goal: floods of strangers and of hostile members do no harm that lasts.
 * Setup: four real daemons; attackers are processes with raw sockets, from one and from 50 loopback
 * addresses, then the keys of the fourth node in the hands of a process that floods the others.
 * Check: intents become final all the time, peers that were lost come back, memory and sockets are
 * what they were, each refusal names its setting, and neither log has an address or a secret.
 * How late intents become final is measured by `npm run bench -- flood`.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LIMIT_KEYS } from '../../src/core/config/limit-settings.ts';
import { DEFAULT_SETTINGS } from '../../src/core/config/settings.ts';
import { versionCidOf } from '../../src/core/model/version.ts';
import { MIB } from '../../src/core/units.ts';
import { type AttackPlan, attack, FIFTY, goRogue } from '../helpers/attack.ts';
import { clientOf, swapFinal } from './support/api.ts';
import { Cluster } from './support/cluster.ts';
import { rssBytes } from './support/processes.ts';

const TARGET = 1;
const OTHERS = [2, 3] as const;
const ROGUE = 4;
const RSS_GROWTH_MAX = 100 * MIB;

interface SecurityLine {
  readonly event: string;
  readonly knob?: string;
  readonly nodeId?: string;
  readonly address?: string;
}

let cluster: Cluster;
let port: number;
let pid: number;
let before: { readonly rss: number; readonly sockets: number };

beforeAll(async () => {
  cluster = await Cluster.start({ size: 4 });
  const { addresses } = await clientOf(cluster, TARGET).call('node.status');
  port = Number(addresses[0]!.split('/')[4]);
  pid = await cluster.pid(TARGET);
  // What comes first pays for all that is compiled late.
  for (let i = 0; i < 20; i += 1) await decide(OTHERS[i % 2]!);
  before = { rss: rssBytes(pid), sockets: await settledSockets() };
});
afterAll(() => cluster.stop());

/** One intent of a node, final. */
async function decide(node: number): Promise<void> {
  const version = versionCidOf(randomBytes(16)).toString();
  const change = { path: `flood/${version}`, version, expected: null };
  const { result } = await swapFinal(cluster, node, change, 20_000);
  expect(result).toBe('done');
}

/** Intents of the nodes that are not attacked, one after the other, as long as `work` takes. */
async function decideWhile<T>(
  work: Promise<T>,
): Promise<{ done: T; decided: number; socketsMost: number }> {
  const state = { isOver: false };
  const done = work.finally(() => {
    state.isOver = true;
  });
  let decided = 0;
  let socketsMost = 0;
  for (; !state.isOver; decided += 1) {
    await decide(OTHERS[decided % 2]!);
    socketsMost = Math.max(socketsMost, socketsOf(pid));
  }
  return { done: await done, decided, socketsMost };
}

const socketsOf = (of: number): number =>
  readdirSync(`/proc/${of}/fd`).filter((fd) => {
    try {
      return readlinkSync(`/proc/${of}/fd/${fd}`).startsWith('socket:');
    } catch {
      // Closed while we looked.
      return false;
    }
  }).length;

/** Connections of our own questions end by themselves. */
async function settledSockets(): Promise<number> {
  let last = -1;
  return await cluster.until(
    () => {
      const now = socketsOf(pid);
      const isSettled = now === last;
      last = now;
      return isSettled ? now : -1;
    },
    (count) => count >= 0,
    'the number of sockets settles',
  );
}

const securityLog = (node: number): SecurityLine[] =>
  readFileSync(cluster.home(node).securityLog, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as SecurityLine);

const knobsOf = (node: number): Set<string> =>
  new Set(securityLog(node).flatMap(({ knob }) => (knob === undefined ? [] : [knob])));

const strangers = (plan: Omit<AttackPlan, 'port'>) => attack({ port, ...plan });
const ONE = ['127.0.0.1'];

test('a thousand connections a second from one address; a lost peer comes back', async () => {
  const { nodeId } = cluster.node(2);
  const flood = strangers({ kind: 'connections', addresses: ONE, perSecond: 1000, ms: 3000 });
  const client = clientOf(cluster, TARGET);
  await client.call('peers.isolate', { body: { nodeIds: [nodeId] } });
  await client.call('peers.isolate', { body: { nodeIds: [] } });
  const { done, decided } = await decideWhile(flood);
  expect(done.made).toBeGreaterThan(2000);
  // Most are reset before anything is computed for them.
  expect(done.answered).toBeLessThan(done.made / 4);
  expect(decided).toBeGreaterThan(10);
  expect(knobsOf(TARGET)).toContain('limits.inboundPerSecondPerAddress');
  await cluster.connected();
});

test('the same from 50 addresses, with slow hellos and frames that are too long', async () => {
  const { done, decided, socketsMost } = await decideWhile(
    Promise.all([
      strangers({ kind: 'connections', addresses: FIFTY, perSecond: 700, ms: 3000 }),
      strangers({ kind: 'slow', addresses: FIFTY, perSecond: 200, ms: 3000 }),
      strangers({ kind: 'oversized', addresses: FIFTY, perSecond: 100, ms: 3000 }),
    ]),
  );
  expect(done.map(({ made }) => made >= 300)).toEqual([true, true, true]);
  // Whoever is slow has a place for as long as nobody else wants it, and there are few.
  expect(socketsMost).toBeLessThan(before.sockets + DEFAULT_SETTINGS['limits.pendingInbound'] + 20);
  expect(decided).toBeGreaterThan(10);
  expect(knobsOf(TARGET)).toContain('limits.inboundPerSecond');
});

test('it is over when it is over: sockets, memory and peers are those of before', async () => {
  await cluster.until(
    () => socketsOf(pid),
    (count) => count <= before.sockets,
    'the sockets of the target are those of before',
  );
  expect(rssBytes(pid) - before.rss).toBeLessThan(RSS_GROWTH_MAX);
  const { peers } = await clientOf(cluster, TARGET).call('node.status');
  expect(peers.connected).toBe(3);
  await cluster.until(
    () => securityLog(TARGET).map(({ event }) => event),
    (events) => events.includes('flood-began') && events.includes('flood-ended'),
    'the security log tells when the flood began and ended',
  );
});

test('members that flood are slowed and named, and the others decide', async () => {
  const { nodeId, home } = cluster.node(ROGUE);
  expect((await cluster.run(ROGUE, 'node', 'stop')).exit).toBe(0);
  const addressOf = async (node: number): Promise<string> =>
    (await clientOf(cluster, node).call('node.status')).addresses[0]!;
  const rogue = goRogue({
    ...{ home, passphraseFile: cluster.passphraseFile, count: 10_000, ms: 20_000 },
    targets: [
      { kind: 'requests', address: await addressOf(1) },
      { kind: 'envelopes', address: await addressOf(2) },
      { kind: 'streams', address: await addressOf(3) },
    ],
  });
  const { done, decided } = await decideWhile(rogue);
  const [requests, envelopes, streams] = done.reports;
  expect([requests!.sent, envelopes!.sent]).toEqual([10_000, 10_000]);
  expect(requests!.answered).toBeLessThan(6000);
  expect(Object.keys(requests!.refused)).toContain('BUSY limits.requestsAtOnce');
  expect(streams!.sent).toBeGreaterThan(1000);
  // All three are needed to decide while the fourth is away.
  expect(decided).toBeGreaterThan(2);
  for (const [node, knob] of [
    [1, 'limits.requestsPerSecond'],
    [2, 'limits.envelopesPerSecond'],
    [3, 'limits.streamsPerSecond'],
  ] as const) {
    const named = securityLog(node).filter((line) => line.nodeId === nodeId);
    expect(named.map((line) => line.knob)).toContain(knob);
  }
  expect(rssBytes(pid) - before.rss).toBeLessThan(RSS_GROWTH_MAX);
});

test('no honest member was slowed, no refusal is without a setting', () => {
  const rogue = cluster.node(ROGUE).nodeId;
  const lines = [TARGET, ...OTHERS].flatMap(securityLog);
  const known: readonly string[] = LIMIT_KEYS;
  for (const { event, knob, nodeId } of lines) {
    expect([undefined, rogue]).toContain(nodeId);
    if (event === 'limit-reached') expect(known).toContain(knob);
  }
});

test('neither log has an address of an attacker, nor a secret', () => {
  for (const node of [TARGET, ...OTHERS]) {
    const {
      securityLog: security,
      logFile,
      adminToken,
      readToken,
      securityKey,
    } = cluster.home(node);
    const secrets = [cluster.passphraseFile, adminToken, readToken, securityKey].map((file) =>
      readFileSync(file, 'utf8').trim(),
    );
    const text = [security, logFile].map((file) => readFileSync(file, 'utf8')).join('');
    expect(text.length).toBeGreaterThan(1000);
    expect([...secrets, ...FIFTY].filter((one) => text.includes(one))).toEqual([]);
    expect(readFileSync(security, 'utf8')).not.toMatch(/\d+\.\d+\.\d+\.\d+/);
  }
});
