/**
 * `npm run soak [-- MINUTES]`: four daemons under a mixed load with faults, for 30 minutes or as
 * many as given. Ends with 1 when a document was wrong, a probe of put and get failed more often
 * than 1 time in 200, or memory, open files, threads or queues of a daemon that nothing was done to
 * kept growing. `test/e2e/soak.test.ts` is its short form.
 */
import { build, isFresh } from '../../scripts/build.ts';
import { MIB } from '../../src/core/units.ts';
import { growthOf, LIMITS } from './samples.ts';
import { leaksOf, soak } from './soak.ts';

const MINUTES = Number(process.argv[2] ?? 30);
const SEED = Number(process.env['AEGIS_SEED'] ?? 20_261_120);
const SAMPLE_MS = 10_000;
const CALM_MS = 30_000;
const AVAILABLE = 0.995;

if (!isFresh()) await build({ types: false });
console.log(`soak: ${MINUTES} minutes, seed ${SEED}, node ${process.version}`);
let said = -1;
const report = await soak({
  ...{ minutes: MINUTES, seed: SEED, sampleMs: SAMPLE_MS, calmMsMax: CALM_MS },
  said({ minute, rssMib, files, mempool }, { puts, gets, bytes, faults }) {
    if (Math.floor(minute) === said) return;
    said = Math.floor(minute);
    const done = `puts ${puts}  gets ${gets}  ${Math.round(bytes / MIB)} MiB  faults ${faults}`;
    const taken = `RSS ${Math.round(rssMib)} MiB  files ${files}  mempool ${mempool}`;
    console.log(`minute ${said}  ${done}  node 1: ${taken}`);
  },
});
const { probes, failed, times, reasons } = report.availability;
const sorted = times.toSorted((a, b) => a - b);
const at = (share: number): string =>
  (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN).toFixed(0);
for (const reason of reasons) console.log(reason);
const available = (probes - failed) / probes;
console.log(`probes ${probes}, failed ${failed}: ${(available * 100).toFixed(2)} % available`);
console.log(`put and get: p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, p99 ${at(0.99)} ms`);
for (const [node, samples] of report.samples) {
  const growth = Object.entries(growthOf(samples)).map(([name, by]) => `${name} ${by.toFixed(2)}`);
  console.log(`node ${node}, growth a minute after the first third: ${growth.join(', ')}`);
}
console.log(`allowed: ${JSON.stringify(LIMITS)}`);
const leaks = leaksOf(report);
for (const leak of leaks) console.error(leak);
if (leaks.length > 0 || available < AVAILABLE) process.exitCode = 1;
