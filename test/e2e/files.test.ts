/**
 * Goal: what was acknowledged is never lost.
 * Setup: four daemons; 200 files (60 of them in `npm test`) of log-uniform size (0 B to 64 MiB)
 * put on random nodes with `--wait replicated` while random daemons are killed.
 * Check: every acknowledged file is read back elsewhere byte for byte, with its origin dead and
 * the disk of its origin taken away.
 */
import { createHash } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { resolveHome } from '../../src/core/config/home.ts';
import { isAegisError } from '../../src/core/errors.ts';
import { MIB } from '../../src/core/units.ts';
import { readBytes } from './support/api.ts';
import { Cluster } from './support/cluster.ts';
import { Prng } from './support/random.ts';

const FILES = Number(process.env['AEGIS_E2E_FILES'] ?? 60);
const FILE_BYTES_MAX = 64 * MIB;
const TOTAL_BYTES_MAX = Number(process.env['AEGIS_E2E_MIB'] ?? 96) * MIB;
const ROUNDS = Number(process.env['AEGIS_E2E_ROUNDS'] ?? 10);
/** The long variant takes its time; the short one fits into `npm test`. */
const TIMEOUT_MS = ROUNDS > 20 ? 3_600_000 : 480_000;
const SEED = Number(process.env['AEGIS_SEED'] ?? 20_261_120);

interface Stored {
  readonly path: string;
  readonly origin: number;
  readonly sizeBytes: number;
  readonly digest: string;
}

let cluster: Cluster;
const acknowledged: Stored[] = [];

beforeAll(async () => {
  cluster = await Cluster.start({ size: 4 });
});
afterAll(() => cluster.stop());

const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const others = (origin: number) => [1, 2, 3, 4].filter((node) => node !== origin);

/** Puts a file; tells whether it was acknowledged. A refusal must be one that may be repeated. */
async function put(path: string, origin: number, bytes: Uint8Array): Promise<boolean> {
  const file = join(cluster.dir, 'in.bin');
  writeFileSync(file, bytes);
  const run = await cluster.run(origin, 'kb', 'put', file, '--path', path, '--timeout', '60s');
  expect([0, 69, 75], `${path} on node ${origin}: ${run.stderr}`).toContain(run.exit);
  return run.exit === 0;
}

type Get = (reader: number, path: string) => Promise<Buffer | undefined>;

const byCommand: Get = async (reader, path) => {
  const run = await cluster.run(reader, 'kb', 'get', path, '-o', '-');
  return run.exit === 0 ? run.stdout : undefined;
};

/** Without a process for each file, where the command has got it once already. */
const byApi: Get = async (reader, path) => {
  try {
    return await readBytes(cluster, reader, path);
  } catch (error) {
    if (isAegisError(error)) return undefined;
    throw error;
  }
};

async function expectSame(stored: Stored, reader: number, get: Get): Promise<void> {
  const found = await cluster.until(
    () => get(reader, stored.path),
    (bytes) => bytes !== undefined,
    `${stored.path} (origin ${stored.origin}) on node ${reader}, seed ${SEED}`,
  );
  expect(found!.length, stored.path).toBe(stored.sizeBytes);
  expect(digestOf(found!), stored.path).toBe(stored.digest);
}

test(
  '200 files, put and read back while daemons are killed',
  async () => {
    const prng = new Prng(SEED);
    const sizes = prng.logUniformSizes(FILES, FILE_BYTES_MAX, TOTAL_BYTES_MAX);
    const killEvery = Math.max(1, Math.floor(FILES / ROUNDS));
    for (const [i, sizeBytes] of sizes.entries()) {
      const origin = prng.int(1, 4);
      const bytes = prng.bytes(sizeBytes);
      const path = `file-${i}`;
      const rounds = i % killEvery === 0 ? Math.ceil(ROUNDS / FILES) : 0;
      const victims = Array.from({ length: rounds }, () => prng.int(1, 4));
      const putting = put(path, origin, bytes);
      for (const victim of victims) {
        await cluster.devnet.kill(String(victim));
        await cluster.devnet.resume(String(victim));
      }
      // A refused put is repeated, as the contract says that an operator may.
      let done = await putting;
      for (let tries = 0; !done && tries < 10; tries += 1) done = await put(path, origin, bytes);
      expect(done, `${path} was never acknowledged, seed ${SEED}`).toBe(true);
      acknowledged.push({ path, origin, sizeBytes, digest: digestOf(bytes) });
      const reader = prng.pick(others(origin));
      await expectSame(acknowledged.at(-1)!, reader, byCommand);
    }
  },
  TIMEOUT_MS,
);

test.each([1, 2, 3, 4])(
  'with node %i dead and its disk gone',
  async (origin) => {
    await cluster.devnet.kill(String(origin));
    const { data } = resolveHome({ home: cluster.node(origin).home, env: {} });
    renameSync(data, `${data}.away`);
    const prng = new Prng(SEED + origin);
    for (const stored of acknowledged.filter((one) => one.origin === origin)) {
      await expectSame(stored, prng.pick(others(origin)), byApi);
    }
    renameSync(`${data}.away`, data);
    await cluster.devnet.resume(String(origin));
    await cluster.connected();
  },
  TIMEOUT_MS,
);
