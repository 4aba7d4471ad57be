/**
 * Goal: a running cluster moves behind Tor, and nothing that was decided is lost on the way.
 * Setup: four nodes on loopback that know of a Tor and do not use it; a writer that never rests.
 * Check: node by node from `off` to `prefer`, then to `require`: what each connection goes over,
 * that nothing listens on TCP in the end, and that the writers lose nothing; and that a node whose
 * Tor is killed starts it again.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { resolveHome } from '../../src/core/config/home.ts';
import { writeSettings } from '../../src/core/config/settings.ts';
import { expectLiveness, expectOneChain } from '../e2e/support/agreement.ts';
import { clientOf, readLinearizable } from '../e2e/support/api.ts';
import { Cluster, eventually } from '../e2e/support/cluster.ts';
import { Load } from '../e2e/support/governance.ts';
import { describeOverTor, torNetwork } from './support/network.ts';
import { PATIENCE_MS, routesAt, statusOfTor, untilOnions } from './support/onions.ts';

const TIMEOUT_MS = 300_000;
const NODES = [1, 2, 3, 4];
const without = (node: number): number[] => NODES.filter((n) => n !== node);

let cluster: Cluster;
let load: Load;

/** TCP sockets of a process that listen, as the kernel knows them. */
function listening(pid: number): string[] {
  const own = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return [/^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? '-'];
      } catch {
        return [];
      }
    }),
  );
  return ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === '0A' && own.has(fields[9] ?? ''))
      .map((fields) => fields[1]!),
  );
}

describeOverTor('a cluster that moves behind Tor', () => {
  beforeAll(async () => {
    const { torrc } = await torNetwork();
    const up = async (made: Cluster): Promise<void> => {
      for (const node of NODES) {
        const paths = resolveHome({ home: made.node(node).home, env: {} });
        await writeSettings(paths, { tor: { route: 'off', daemon: 'spawn', torrc } });
      }
      await made.devnet.up();
    };
    cluster = await Cluster.start({ size: 4, up, patienceMs: PATIENCE_MS });
    load = new Load(cluster, [1, 3]);
  }, TIMEOUT_MS);
  afterAll(async () => {
    await load?.end().catch(() => {});
    await cluster?.stop();
  });

  const change = async (mode: 'prefer' | 'require'): Promise<void> => {
    for (const node of NODES) {
      const client = clientOf(cluster, node, PATIENCE_MS);
      const reply = await client.call('tor.route', { body: { mode } }).catch((cause: unknown) => {
        throw new Error(cluster.lastWords(), { cause });
      });
      expect(reply).toMatchObject({ route: mode, changed: true, why: null });
    }
  };

  test('off: nobody uses Tor', async () => {
    for (const node of NODES) {
      expect(await statusOfTor(cluster, node)).toMatchObject({ route: 'off', state: 'off' });
      expect([...(await routesAt(cluster, node)).values()]).toEqual(['direct', 'direct', 'direct']);
    }
  });

  test('prefer: onion services first, and IP addresses still', {
    timeout: TIMEOUT_MS,
  }, async () => {
    await change('prefer');
    for (const node of NODES) {
      await untilOnions(cluster, node, without(node));
      expect(listening(await cluster.pid(node)).length).toBeGreaterThan(0);
    }
  });

  test('require: nothing else any more', { timeout: TIMEOUT_MS }, async () => {
    await change('require');
    for (const node of NODES) {
      await untilOnions(cluster, node, without(node));
      expect(listening(await cluster.pid(node)), `node ${node}`).toEqual([]);
    }
  });

  test('a Tor of our own that is killed under load comes back', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { daemon } = await statusOfTor(cluster, 2);
    process.kill(daemon!.pid!, 'SIGKILL');
    await eventually(
      () => statusOfTor(cluster, 2),
      (now) => now.state === 'ready' && now.daemon?.pid !== daemon!.pid,
      'another Tor',
      PATIENCE_MS,
    );
    await untilOnions(cluster, 2, [1, 3, 4]);
  });

  test('what was decided on the way is there', { timeout: TIMEOUT_MS }, async () => {
    await load.end();
    expect(load.final.size).toBeGreaterThan(0);
    for (const [path, text] of load.final) {
      expect((await readLinearizable(cluster, 4, path, PATIENCE_MS)).text).toBe(text);
    }
    await expectOneChain(cluster, await expectLiveness(cluster));
  });
});
