/** Measures what the process uses: memory, processor, and how late the event loop runs. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Metrics } from '../ports.ts';

export interface Resources {
  readonly rssBytes: number;
  readonly heapBytes: number;
  /** Of one core, since the sample before. */
  readonly cpuPercent: number;
  /** 99th percentile of the lateness of timers in the last window, in milliseconds. */
  readonly loopLagMsP99: number;
}

export interface SamplerOptions {
  /** @default 1 s */
  readonly intervalMs?: number;
  /** Over how many samples a percentile is taken. @default 10 */
  readonly windowSamples?: number;
}

/** A coarse timer: the measure itself must not keep the processor awake. */
const RESOLUTION_MS = 50;

export class ResourceSampler {
  readonly #metrics: Metrics;
  readonly #delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #windowSamples: number;
  readonly #timer: NodeJS.Timeout;
  #samples = 0;
  #cpu = process.cpuUsage();
  #at = process.hrtime.bigint();
  #latest: Resources;

  /** Samples at once and then at each interval, until `stop`. Keeps no process alive. */
  constructor(options: SamplerOptions, deps: { metrics: Metrics }) {
    this.#metrics = deps.metrics;
    this.#windowSamples = options.windowSamples ?? 10;
    this.#delays.enable();
    this.#latest = this.#measure();
    this.#timer = setInterval(() => this.sample(), options.intervalMs ?? 1000);
    this.#timer.unref();
  }

  /** The latest sample. */
  get latest(): Resources {
    return this.#latest;
  }

  sample(): Resources {
    this.#latest = this.#measure();
    const { rssBytes, heapBytes, cpuPercent, loopLagMsP99 } = this.#latest;
    this.#metrics.gauge('aegis_process_resident_memory_bytes', rssBytes);
    this.#metrics.gauge('aegis_process_heap_used_bytes', heapBytes);
    this.#metrics.gauge('aegis_process_cpu_ratio', cpuPercent / 100);
    this.#metrics.gauge('aegis_event_loop_lag_p99_seconds', loopLagMsP99 / 1000);
    return this.#latest;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#delays.disable();
  }

  #measure(): Resources {
    const { rss, heapUsed } = process.memoryUsage();
    const lagMs = this.#delays.percentile(99) / 1e6 - RESOLUTION_MS;
    this.#samples += 1;
    if (this.#samples % this.#windowSamples === 0) this.#delays.reset();
    return {
      rssBytes: rss,
      heapBytes: heapUsed,
      cpuPercent: this.#cpuPercent(),
      loopLagMsP99: Number.isFinite(lagMs) ? round(Math.max(0, lagMs)) : 0,
    };
  }

  #cpuPercent(): number {
    const at = process.hrtime.bigint();
    const used = process.cpuUsage(this.#cpu);
    const spanUs = Number(at - this.#at) / 1000;
    // Two samples in the same moment: the one before still says more.
    if (spanUs < 1000) return this.#latest?.cpuPercent ?? 0;
    this.#at = at;
    this.#cpu = process.cpuUsage();
    return round((100 * (used.user + used.system)) / spanUs);
  }
}

const round = (value: number): number => Math.round(value * 100) / 100;
