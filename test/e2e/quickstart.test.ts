/**
 * Goal: `aegis quickstart` is true, seen from outside.
 * Setup: the real command with a temporary directory of its own.
 * Check: four processes and four homes; content moves on demand and is checked against its name;
 * nothing runs or lies about afterwards, also after Ctrl-C.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CID } from 'multiformats/cid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseNode } from '../../src/core/kb/reader.ts';
import { MIB } from '../../src/core/units.ts';
import { aegis, aegisJson, BIN, eventually } from './support/cluster.ts';
import { isAlive, processesWith } from './support/processes.ts';
import { flipBit, setAside, storedBytes } from './support/store.ts';

let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'aegis-e2e-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A directory that is the temporary directory of one run. */
const temporary = (): string => mkdtempSync(join(dir, 't-'));

function expectNothingLeft(tmp: string): void {
  expect(processesWith(tmp)).toEqual([]);
  expect(readdirSync(tmp)).toEqual([]);
}

describe('quickstart --keep', () => {
  interface Kept {
    readonly kept: string;
    readonly nodes: readonly { readonly pid: number; readonly home: string }[];
    readonly blocks: readonly {
      readonly height: number;
      readonly digest: string;
      readonly signers: readonly string[];
      readonly absent: readonly string[];
    }[];
  }
  let tmp: string;
  let kept: Kept;
  const on = (node: number, ...args: string[]) => ['--home', kept.nodes[node - 1]!.home, ...args];

  beforeAll(async () => {
    tmp = temporary();
    kept = await aegisJson<Kept>(['quickstart', '--keep'], {
      env: { TMPDIR: tmp, NODE_COMPILE_CACHE: join(dir, 'cache') },
    });
  });
  afterAll(async () => {
    await aegis(['devnet', 'down', '--remove', '--yes', '--home', kept.kept]);
  });

  /** Puts `bytes` on node 1 and waits until all three holders have them. */
  async function putOnAll(name: string, bytes: Uint8Array): Promise<string> {
    const file = join(dir, name);
    writeFileSync(file, bytes);
    const put = await aegisJson<{ cid: string }>(
      on(1, 'kb', 'put', file, '--plain', '--replicas', '3'),
    );
    return put.cid;
  }

  const get = async (node: number, name: string) => {
    const out = join(dir, `${name}-${node}-${randomBytes(4).toString('hex')}`);
    const run = await aegis(on(node, 'kb', 'get', name, '-o', out));
    return { ...run, bytes: existsSync(out) ? readFileSync(out) : undefined };
  };

  const known = (node: number, name: string) =>
    eventually(
      () => aegis(on(node, 'kb', 'stat', name)),
      (run) => run.exit === 0,
      `node ${node} knows ${name}`,
    );

  test('leaves four processes and four homes', () => {
    expect(new Set(kept.nodes.map(({ pid }) => pid)).size).toBe(4);
    expect(new Set(kept.nodes.map(({ home }) => home)).size).toBe(4);
    for (const { pid, home } of kept.nodes) {
      expect(isAlive(pid)).toBe(true);
      expect(processesWith(home).map((one) => one.pid)).toEqual([pid]);
      expect(existsSync(join(home, 'data', 'content.db'))).toBe(true);
    }
  });

  test('tells of blocks that all nodes hold, signed by a quorum without the dead one', async () => {
    const names = ['node1', 'node2', 'node3', 'node4'];
    expect(kept.blocks.map(({ height }) => height)).toEqual([1, 2]);
    for (const { height, digest, signers, absent } of kept.blocks) {
      expect(signers.length).toBeGreaterThanOrEqual(3);
      expect([...signers, ...absent].toSorted()).toEqual(names);
      for (const node of [1, 2, 3, 4]) {
        const block = await aegisJson<{ digest: string; certificate: { signers: object[] } }>(
          on(node, 'consensus', 'block', String(height)),
        );
        expect(block.digest).toBe(digest);
        // Each node may hold another certificate of the same block; any is a quorum.
        expect(block.certificate.signers.length).toBeGreaterThanOrEqual(3);
      }
    }
    expect(kept.blocks.at(-1)!.absent).toEqual(['node2']);
  });

  test('an object comes to node 4 when it is read there, not before', async () => {
    const bytes = randomBytes(1000);
    const cid = await putOnAll('on-demand.bin', bytes);
    await known(4, 'on-demand.bin');
    expect(storedBytes(kept.nodes[3]!.home, cid)).toBeUndefined();
    expect((await get(4, 'on-demand.bin')).bytes).toEqual(bytes);
    expect(storedBytes(kept.nodes[3]!.home, cid)).toEqual(bytes);
  });

  test('a flipped bit in the store of the node that is read is healed from another', async () => {
    const bytes = randomBytes(5000);
    const cid = await putOnAll('heal-own.bin', bytes);
    const { home } = kept.nodes[0]!;
    flipBit(home, cid);
    expect(storedBytes(home, cid)).not.toEqual(bytes);
    expect((await get(1, 'heal-own.bin')).bytes).toEqual(bytes);
    expect(setAside(home, cid)).toBe(1);
    expect(storedBytes(home, cid)).toEqual(bytes);
  });

  test('flipped bits in two of three holders reach nobody, and are healed there', async () => {
    const bytes = randomBytes(5000);
    const cid = await putOnAll('heal-others.bin', bytes);
    const damaged = [kept.nodes[0]!.home, kept.nodes[1]!.home];
    for (const home of damaged) flipBit(home, cid);
    await known(4, 'heal-others.bin');
    expect((await get(4, 'heal-others.bin')).bytes).toEqual(bytes);
    for (const [index, home] of damaged.entries()) {
      // Whichever holder node 4 did not ask finds the damage when it is read itself.
      expect((await get(index + 1, 'heal-others.bin')).bytes).toEqual(bytes);
      expect(setAside(home, cid)).toBe(1);
      expect(storedBytes(home, cid)).toEqual(bytes);
    }
  });

  test('damaged in every holder: refused, and no file appears', async () => {
    // The damage is at the very end, when most of the content has been sent already.
    const cid = await putOnAll('lost.bin', randomBytes(5 * MIB));
    const root = storedBytes(kept.nodes[0]!.home, cid)!;
    const last = parseNode(CID.parse(cid), root).links.at(-1)!.cid.toString();
    for (const { home } of kept.nodes.slice(0, 3)) flipBit(home, last);
    const held = await get(1, 'lost.bin');
    expect(held.exit, held.stderr).toBe(65);
    expect(held.stderr).toContain(last);
    expect(held.bytes).toBeUndefined();
    await known(4, 'lost.bin');
    const elsewhere = await get(4, 'lost.bin');
    expect([65, 75], elsewhere.stderr).toContain(elsewhere.exit);
    expect(elsewhere.bytes).toBeUndefined();
    // Whoever has the content puts it again, and all is well.
    expect(readdirSync(dir).filter((name) => name.startsWith('lost.bin-'))).toEqual([]);
    await putOnAll('lost.bin', readFileSync(join(dir, 'lost.bin')));
    expect((await get(4, 'lost.bin')).bytes).toEqual(readFileSync(join(dir, 'lost.bin')));
  });

  test('devnet down --remove takes everything away', async () => {
    const args = ['devnet', 'down', '--remove', '--yes', '--home', kept.kept];
    expect((await aegis(args)).exit).toBe(0);
    for (const { pid } of kept.nodes) expect(isAlive(pid)).toBe(false);
    expectNothingLeft(tmp);
  });
});

test('a plain quickstart leaves nothing', async () => {
  const tmp = temporary();
  const run = await aegis(['quickstart'], {
    env: { TMPDIR: tmp, NODE_COMPILE_CACHE: join(dir, 'cache') },
  });
  expect(run.exit, run.stderr).toBe(0);
  const text = run.stdout.toString();
  expect(text).toContain('every byte is the same');
  expect(text).toMatch(/final at height 1, signed by (node[1-4](, | and )?){3,4} \([34] of 4\)/);
  expect(text).toMatch(
    /final at height 2, signed by node1, node3 and node4 \(3 of 4\), not by node2/,
  );
  expect(text).toMatch(/the same block at height 2, and the note/);
  // On one screen, whatever happens in between.
  expect(text.trimEnd().split('\n').length).toBeLessThanOrEqual(30);
  expectNothingLeft(tmp);
});

/** As a terminal does it: every process of the foreground group gets the signal. */
const controlC = (child: ChildProcess): boolean => process.kill(-child.pid!, 'SIGINT');

test.each([
  ['while the daemons start', 'Making keys'],
  ['while it is read elsewhere', 'A directory goes in'],
])('Ctrl-C %s leaves nothing', async (_when, said) => {
  const tmp = temporary();
  const child = spawn(process.execPath, [BIN, 'quickstart'], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: tmp, NODE_COMPILE_CACHE: join(dir, 'cache') },
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const before = text.includes(said);
    text += chunk;
    if (!before && text.includes(said)) controlC(child);
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const exit = await new Promise((done) => child.once('close', done));
  expect(exit, text).toBe(130);
  expectNothingLeft(tmp);
});
