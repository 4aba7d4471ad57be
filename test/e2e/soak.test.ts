/** The short form of `npm run soak`: a mixed load, faults, and a cluster that answers meanwhile. */
import { expect, it } from 'vitest';
import { soak } from '../soak/soak.ts';

const OPTIONS = { minutes: 0.4, seed: 20_261_120, sampleMs: 2000, calmMsMax: 5000 };

it('takes a mixed load with faults, and answers probes all the while', async () => {
  const report = await soak(OPTIONS);
  const { probes, failed, reasons } = report.availability;
  expect(report.counts.faults).toBeGreaterThan(0);
  expect(report.counts.gets).toBe(report.counts.puts);
  expect(probes).toBeGreaterThan(5);
  expect(failed, reasons.join('\n')).toBe(0);
  for (const [, samples] of report.samples) {
    // Connections and files of what was put come and go; hundreds of them would be a leak.
    const [first, last] = [samples[0]!, samples.at(-1)!];
    expect(last.files - first.files).toBeLessThan(100);
    expect(last.threads).toBe(samples[1]!.threads);
  }
}, 120_000);
