import { expect, it } from 'vitest';
import { createMetrics } from '../../../src/core/telemetry/metrics.ts';
import { ResourceSampler } from '../../../src/core/telemetry/sampler.ts';

it('counts, sets and observes, in a registry of its own', async () => {
  const metrics = createMetrics();
  const other = createMetrics();
  metrics.count('aegis_dials_total');
  metrics.count('aegis_dials_total', 2);
  metrics.gauge('aegis_peers_connected', 4);
  metrics.observe('aegis_commit_seconds', 0.02);
  metrics.observe('aegis_put_bytes', 5000);
  const text = await metrics.text();
  expect(text).toContain('aegis_dials_total 3');
  expect(text).toContain('aegis_peers_connected 4');
  expect(text).toContain('aegis_commit_seconds_bucket{le="0.05"} 1');
  expect(text).toContain('aegis_put_bytes_bucket{le="16384"} 1');
  expect((await other.text()).trim()).toBe('');
});

it('refuses names that do not belong here', () => {
  expect(() => createMetrics().count('Dials total')).toThrow('not a metric name');
});

it('refuses an endless number of names', () => {
  const metrics = createMetrics();
  const many = (): void => {
    for (let at = 0; at < 1000; at += 1) metrics.count(`aegis_n${at}_total`);
  };
  expect(many).toThrow('few and fixed');
});

it('samples what the process uses', async () => {
  const metrics = createMetrics();
  const sampler = new ResourceSampler({ intervalMs: 60_000 }, { metrics });
  const { rssBytes, heapBytes, cpuPercent, loopLagMsP99 } = sampler.sample();
  sampler.stop();
  expect(rssBytes).toBeGreaterThan(heapBytes);
  expect(heapBytes).toBeGreaterThan(0);
  expect(cpuPercent).toBeGreaterThanOrEqual(0);
  expect(loopLagMsP99).toBeGreaterThanOrEqual(0);
  expect(sampler.latest.rssBytes).toBe(rssBytes);
  expect(await metrics.text()).toContain(`aegis_process_resident_memory_bytes ${rssBytes}`);
});
