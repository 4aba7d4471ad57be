/**
 * Goal: in `require` nothing leaves the machine but through Tor, whatever happens.
 * Setup: four daemons, each in a network namespace of its own, three with nothing but `lo`, the
 * fourth with a way out on which every packet is counted; their Tors are outside, reached by
 * sockets with a path. Without namespaces: the detector at the sockets of Node alone.
 * Check: start, discovery, decisions, transfer, the death and return of Tor, and stop work; nobody
 * has sent anything, no name was looked up; and when the same daemon leaks on purpose, it shows.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { resolveHome } from '../../src/core/config/home.ts';
import { writeSettings } from '../../src/core/config/settings.ts';
import { expectLiveness, expectOneChain, expectPeace } from '../e2e/support/agreement.ts';
import { clientOf, putFinal, readBytes, readLinearizable } from '../e2e/support/api.ts';
import type { Cluster } from '../e2e/support/cluster.ts';
import { Load } from '../e2e/support/governance.ts';
import { startInside } from './support/inside.ts';
import { CountedJail, HUB, LoneJail, leaked } from './support/jail.ts';
import type { Leak } from './support/leak.ts';
import { leak, outward, seen, type Watched, watchedEnv } from './support/leaks.ts';
import { namespaces } from './support/namespaces.ts';
import { describeOverTor, torNetwork } from './support/network.ts';
import { PATIENCE_MS, startOnions, statusOfTor, untilOnions } from './support/onions.ts';
import { SystemTor } from './support/system-tor.ts';

const NODES = [1, 2, 3, 4];
const COUNTED = 4;
const TIMEOUT_MS = 300_000;
const HUB_TEXT = `${HUB.host}:${HUB.port}`;

let dir: string;
let cluster: Cluster;
let counted: CountedJail | undefined;
const jails: { stop(): Promise<void> }[] = [];
const doors: (readonly string[])[] = [];
const tors: SystemTor[] = [];
const others: ChildProcess[] = [];

/** Of node `n`, from 1. */
const watched = (n: number): Watched => ({
  leakSocket: join(dir, `leak-${n}`),
  detectorFile: join(dir, `seen-${n}`),
});

async function makeJails(): Promise<void> {
  for (const node of NODES) {
    if (!namespaces) doors.push([]);
    else if (node === COUNTED) counted = await CountedJail.make();
    const jail = namespaces ? (counted ?? (await LoneJail.make())) : undefined;
    if (jail === undefined) continue;
    jails.push(jail);
    doors.push(jail.door);
  }
}

/** The one allowed port leads to the SOCKS port of the fourth Tor. */
async function forward(path: string): Promise<void> {
  const [program, ...args] = counted!.hubDoor;
  const file = join(import.meta.dirname, 'support', 'forward.ts');
  const child = spawn(program, [...args, process.execPath, file, HUB_TEXT, path], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  others.push(child);
  await once(child.stdout, 'data');
}

/** Each node has a Tor that it did not start, and no way but to that one. */
async function startJailed(into: Cluster): Promise<void> {
  for (const node of NODES) {
    const tor = tors[node - 1]!;
    const settings = tor.settings(join(dir, `target-${node}`));
    const isForwarded = node === COUNTED && counted !== undefined;
    if (isForwarded) await forward(tor.socksPath);
    const socks = isForwarded ? HUB_TEXT : settings['socks'];
    const paths = resolveHome({ home: into.node(node).home, env: {} });
    await writeSettings(paths, { tor: { ...settings, socks, torrc: undefined } });
  }
  await Promise.all(NODES.map((node) => start(into, node)));
}

const start = (into: Cluster, node: number): Promise<ChildProcess> =>
  startInside(into, node, { door: doors[node - 1]!, env: watchedEnv(watched(node)) });

describeOverTor('daemons in require, with no way but Tor', () => {
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'aegis-leak-'));
    const { torrc } = await torNetwork();
    await makeJails();
    for (const node of NODES) tors.push(new SystemTor(join(dir, `t${node}`), torrc));
    await Promise.all(tors.map((tor) => tor.start()));
    cluster = await startOnions({ up: startJailed });
  }, TIMEOUT_MS);
  afterAll(async () => {
    await cluster?.stop();
    for (const child of others) child.stdin?.end();
    await Promise.all(tors.map((tor) => tor.kill()));
    for (const jail of jails) await jail.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  /** Nothing at the sockets of any daemon, and nothing on the way out of the fourth. */
  async function expectSilence(when: string): Promise<void> {
    for (const node of NODES) {
      const allowed = node === COUNTED ? [HUB_TEXT] : [];
      expect(outward(seen(watched(node)), allowed), `node ${node} ${when}`).toEqual([]);
    }
    if (counted === undefined) return;
    const counts = await counted.counts();
    expect(counts.destinations, when).toEqual([]);
    expect(leaked(counts), when).toBe(0);
  }

  test('they start, and find each other', { timeout: TIMEOUT_MS }, async () => {
    for (const node of NODES) {
      await untilOnions(
        cluster,
        node,
        NODES.filter((n) => n !== node),
      );
      const { services, connections } = await statusOfTor(cluster, node);
      expect(services.map(({ state }) => state)).toEqual(['published']);
      // With some peers two connections crossed each other, and one of them still has to go.
      expect(connections.onion).toBeGreaterThanOrEqual(3);
      expect(connections).toMatchObject({ exit: 0, direct: 0 });
    }
    const params = { id: cluster.node(3).name };
    const found = await clientOf(cluster, 1, PATIENCE_MS).call('peers.find', { params });
    expect(found.addresses.every((address) => address.startsWith('/onion3/'))).toBe(true);
    await expectSilence('after the start');
    // What the detector sees at all, it has seen: the sockets with a path.
    expect(seen(watched(1)).length).toBeGreaterThan(0);
    if (counted !== undefined) expect((await counted.counts()).allowed).toBeGreaterThan(0);
  });

  test('they decide, and carry content', { timeout: TIMEOUT_MS }, async () => {
    await expectOneChain(cluster, await expectLiveness(cluster));
    const text = randomBytes(200_000).toString('base64');
    await putFinal(cluster, 1, 'large', text, { timeoutMs: PATIENCE_MS });
    for (const node of NODES) {
      await expect
        .poll(() => readBytes(cluster, node, 'large').then(String, String), {
          timeout: PATIENCE_MS,
        })
        .toBe(text);
    }
    await expectSilence('after decisions and transfer');
  });

  test('Tor is killed and comes back while they write', { timeout: TIMEOUT_MS }, async () => {
    const load = new Load(cluster, [1, 2, 3]);
    for (const node of [1, COUNTED]) {
      const tor = tors[node - 1]!;
      await tor.kill();
      await untilOnions(cluster, node, []);
      // O3: it dials nobody by another way, however often it is asked to.
      const { state } = await statusOfTor(cluster, node);
      expect(state).toBe('down');
      await expectSilence(`without the Tor of node ${node}`);
      await tor.start();
      await untilOnions(
        cluster,
        node,
        NODES.filter((n) => n !== node),
      );
    }
    await load.end();
    expect(load.final.size).toBeGreaterThan(0);
    for (const [path, text] of load.final) {
      expect((await readLinearizable(cluster, COUNTED, path, PATIENCE_MS)).text).toBe(text);
    }
    await expectOneChain(cluster, await expectLiveness(cluster));
    await expectPeace(cluster);
    await expectSilence('after the return of Tor');
  });

  test('a node stops, and starts again', { timeout: TIMEOUT_MS }, async () => {
    for (const node of [2, COUNTED]) {
      const stopped = await cluster.run(node, 'node', 'stop');
      expect(stopped.exit, stopped.stderr).toBe(0);
      await start(cluster, node);
      await untilOnions(
        cluster,
        node,
        NODES.filter((n) => n !== node),
      );
    }
    await expectSilence('after a restart');
  });

  test('the same daemon is seen when it leaks on purpose', { timeout: TIMEOUT_MS }, async () => {
    const leaks: readonly [Leak, 'tcp' | 'dns' | 'mdns' | 'udp'][] = [
      ['direct', 'tcp'],
      ['name', 'dns'],
      ['query', 'dns'],
      ['mdns', 'mdns'],
      ['udp', 'udp'],
    ];
    for (const [what, counter] of leaks) {
      await counted?.reset();
      const before = outward(seen(watched(COUNTED)), [HUB_TEXT]).length;
      await leak(watched(COUNTED), what);
      expect(outward(seen(watched(COUNTED)), [HUB_TEXT]).length, what).toBeGreaterThan(before);
      if (counted === undefined) continue;
      const counts = await counted.counts();
      expect(counts[counter], what).toBeGreaterThan(0);
      expect(leaked(counts), what).toBeGreaterThan(0);
    }
  });
});
