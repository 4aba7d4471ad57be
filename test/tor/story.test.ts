/**
 * Goal: the account of `aegis quickstart` is true behind Tor, and keys change hands there, too.
 * Setup: the real command with a Tor network of its own, which it leaves running.
 * Check: every connection is one of onion services; each node in turn gets a new network key and
 * a new onion address, the one of before stays for its grace, and all go on deciding; `devnet down`
 * ends the network.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Result } from '../../src/core/api/contract/endpoints.ts';
import { aegis, aegisJson, eventually } from '../e2e/support/cluster.ts';
import { processesWith } from '../e2e/support/processes.ts';
import { describeOverTor } from './support/network.ts';
import { PATIENCE_MS } from './support/onions.ts';

const TIMEOUT_MS = 400_000;
const NODES = [1, 2, 3, 4];
const patience = ['--timeout', `${PATIENCE_MS}ms`];

interface Kept {
  readonly kept: string;
  readonly nodes: readonly { readonly name: string; readonly home: string }[];
  readonly steps: readonly { readonly says: string }[];
  readonly blocks: readonly { readonly absent: readonly string[] }[];
}

describeOverTor('quickstart --route require', () => {
  let tmp: string;
  let kept: Kept;
  const on = <T>(node: number, ...args: string[]) =>
    aegisJson<T>([...args, '--home', kept.nodes[node - 1]!.home, ...patience]);
  const servicesOf = async (node: number) =>
    (await on<Result<'tor.status'>>(node, 'tor', 'status')).services;

  beforeAll(async () => {
    tmp = mkdtempSync(join(tmpdir(), 'aegis-story-'));
    kept = await aegisJson<Kept>(['quickstart', '--route', 'require', '--keep'], {
      env: { TMPDIR: tmp },
    });
  }, TIMEOUT_MS);
  afterAll(() => rmSync(tmp, { recursive: true, force: true }));

  test('tells the whole story', () => {
    const told = kept.steps.map(({ says }) => says).join('\n');
    expect(told).toContain('onion service to onion service');
    expect(told).toContain('every byte is the same');
    expect(told).toMatch(/the same block at height 2, and the note/);
    expect(kept.blocks.at(-1)!.absent).toEqual(['node2']);
  });

  test('each node gets new keys, and its old address stays for the grace', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const passphrase = ['--passphrase-file', join(kept.kept, 'data', 'devnet', 'passphrase')];
    for (const node of NODES) {
      const [before] = await servicesOf(node);
      const roles = ['--network', '--onion', '--consensus', '--yes'];
      await on(node, 'keys', 'rotate', ...roles, ...passphrase);
      const services = await eventually(
        () => servicesOf(node),
        (all) => all.length === 2 && all.every(({ state }) => state === 'published'),
        `node ${node} has both services`,
        PATIENCE_MS,
      );
      // O18: the current one first, and that of before until its grace is over.
      expect(services[0]).toMatchObject({ isCurrent: true, until: null });
      expect(services[0]!.address).not.toBe(before!.address);
      expect(services[1]).toMatchObject({ address: before!.address, isCurrent: false });
      expect(Date.parse(services[1]!.until!)).toBeGreaterThan(Date.now());
      for (const { address } of services) {
        const { home } = kept.nodes[node % 4]!;
        // It is published when one directory has it; a client may ask another one first.
        const dialled = await eventually(
          () => aegis(['tor', 'check', address, '--json', '--home', home, ...patience]),
          ({ exit }) => exit === 0,
          `${address} answers`,
          PATIENCE_MS,
        );
        const { target } = JSON.parse(dialled.stdout.toString()) as Result<'tor.check'>;
        expect(target?.class).toBe('onion');
      }
    }
  });

  test('all go on deciding, and carrying', { timeout: TIMEOUT_MS }, async () => {
    for (const node of NODES) {
      await on(node, 'node', 'wait', '--for', 'peers=3');
      const { peers } = await on<Result<'peers.list'>>(node, 'peers', 'list');
      expect(peers.map(({ route }) => route)).toEqual(['onion', 'onion', 'onion']);
    }
    const file = join(tmp, 'last');
    const { home } = kept.nodes[0]!;
    const put = ['kb', 'put', '-', '--path', 'last', '--home', home, ...patience];
    const run = await aegis(put, { input: Buffer.from('written with new keys') });
    expect(run.exit, run.stderr).toBe(0);
    await eventually(
      () => aegis(['kb', 'get', 'last', '-o', file, '--home', kept.nodes[3]!.home, ...patience]),
      ({ exit }) => exit === 0,
      'node 4 has it',
      PATIENCE_MS,
    );
  });

  test('devnet status shows the Tor network, and devnet down ends it', async () => {
    const status = ['devnet', 'status', '--home', kept.kept];
    expect(await aegisJson(status)).toMatchObject({ tor: 'running' });
    const down = ['devnet', 'down', '--remove', '--yes', '--home', kept.kept];
    const run = await aegis(down);
    expect(run.exit, run.stderr).toBe(0);
    await eventually(
      () => processesWith(tmp),
      (left) => left.length === 0,
      'no Tor is left',
    );
  });
});
