/**
 * `npm run soak [-- MINUTES]`: four daemons under a steady load of puts, reads elsewhere and kills,
 * for 10 minutes or as many as given. Prints memory once a minute, and ends with 1 when a document
 * was wrong or the memory of a daemon that was never killed kept growing. Not a part of `npm test`.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, isFresh } from '../../scripts/build.ts';
import { MIB } from '../../src/core/units.ts';
import { Cluster } from '../e2e/support/cluster.ts';
import { Prng } from '../e2e/support/random.ts';

const MINUTES = Number(process.argv[2] ?? 10);
const SEED = Number(process.env['AEGIS_SEED'] ?? 20_261_120);
const PATHS = 40;
const FILE_BYTES_MAX = 4 * MIB;
/** Growth of the memory over the second half that counts as a leak. */
const GROWTH_MIB_MAX = 64;

interface Sample {
  readonly minute: number;
  readonly rssMib: readonly number[];
}

const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function rssMib(cluster: Cluster): Promise<number[]> {
  const nodes = await cluster.devnet.status();
  return nodes.map(({ pid }) => {
    if (pid === null) return 0;
    const kib = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Math.round(Number(kib ?? 0) / 1024);
  });
}

/** One document in, read on another node; now and then a daemon dies. Node 1 never does. */
async function round(cluster: Cluster, prng: Prng): Promise<number> {
  const bytes = prng.bytes(prng.logUniformSizes(1, FILE_BYTES_MAX, FILE_BYTES_MAX)[0]!);
  const path = `soak-${prng.int(1, PATHS)}`;
  const file = join(cluster.dir, 'in.bin');
  writeFileSync(file, bytes);
  if (prng.int(1, 20) === 1) {
    const victim = String(prng.int(2, 4));
    await cluster.devnet.kill(victim);
    await cluster.devnet.resume(victim);
  }
  const put = () => cluster.run(1, 'kb', 'put', file, '--path', path, '--timeout', '60s');
  await cluster.until(put, (run) => run.exit === 0, `a put of ${path}`);
  const { version } = await cluster.json<{ version: string }>(1, 'kb', 'stat', path);
  const reader = prng.int(2, 4);
  const get = () => cluster.run(reader, 'kb', 'get', `${path}@${version}`, '-o', '-');
  const got = await cluster.until(get, (run) => run.exit === 0, `${path} on node ${reader}`);
  if (digestOf(got.stdout) !== digestOf(bytes)) throw new Error(`${path} differs, seed ${SEED}`);
  return bytes.length;
}

async function soak(cluster: Cluster): Promise<Sample[]> {
  const prng = new Prng(SEED);
  const begun = performance.now();
  const samples: Sample[] = [];
  let rounds = 0;
  let bytes = 0;
  for (;;) {
    const minute = (performance.now() - begun) / 60_000;
    if (minute >= samples.length) {
      const sample = { minute: Math.floor(minute), rssMib: await rssMib(cluster) };
      samples.push(sample);
      const line = `minute ${sample.minute}  rounds ${rounds}  ${Math.round(bytes / MIB)} MiB`;
      console.log(`${line}  RSS MiB ${sample.rssMib.join(' ')}`);
    }
    if (minute >= MINUTES) return samples;
    bytes += await round(cluster, prng);
    rounds += 1;
  }
}

if (!isFresh()) await build({ types: false });
console.log(`soak: ${MINUTES} minutes, seed ${SEED}, node ${process.version}`);
const cluster = await Cluster.start({ size: 4 });
try {
  const samples = await soak(cluster);
  const half = samples[Math.floor(samples.length / 2)]!;
  const growth = samples.at(-1)!.rssMib[0]! - half.rssMib[0]!;
  console.log(`node 1 grew by ${growth} MiB in the second half (at most ${GROWTH_MIB_MAX})`);
  if (growth > GROWTH_MIB_MAX) process.exitCode = 1;
} finally {
  await cluster.stop();
}
