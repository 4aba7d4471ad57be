/**
 * Raises the load on running daemons in steps until they are saturated: what becomes final falls
 * behind what is offered, or takes too long. Open-loop: intents come at their time, whether or not
 * those before have been answered. It starts and stops no daemon.
 */
import { randomBytes } from 'node:crypto';
import type { Client } from '../api/client/client.ts';
import type { BenchRampResult, RampStep } from '../api/contract/bench.ts';
import { AegisError } from '../errors.ts';
import { versionCidOf } from '../model/version.ts';
import { SECOND } from '../units.ts';

export interface RampOptions {
  /** Intents a second: of the first step, and by which each is above the one before. */
  readonly step: number;
  readonly stepsMax: number;
  readonly stepMs: number;
  readonly p95LimitMs: number;
  readonly signal: AbortSignal;
  readonly told: (step: RampStep) => void;
}

/** Requests leave so often at each node. */
const TICK_MS = 100;
/** Requests of a node that may be unanswered; what comes on top is missed. */
const REQUESTS_MAX = 64;
/** Most intents of one request. */
const INTENTS_MAX = 256;
const ANSWER_MS = 15 * SECOND;
const WARM_UP_MS = 1000;
/** Of what is offered: below that it falls behind. */
const KEEPS_UP = 0.9;

export type Ramp = Pick<BenchRampResult, 'steps' | 'saturation'>;

export async function ramp(clients: readonly Client[], options: RampOptions): Promise<Ramp> {
  const { step, stepsMax, stepMs, p95LimitMs, signal } = options;
  // Connections, compiled code, first blocks.
  await offer(clients, { perSecond: Math.min(step, 50), forMs: WARM_UP_MS, signal });
  const steps: RampStep[] = [];
  let reason: Ramp['saturation']['reason'] = 'none';
  while (steps.length < stepsMax && reason === 'none') {
    const offered = step * (steps.length + 1);
    const measured = await offer(clients, { perSecond: offered, forMs: stepMs, signal });
    steps.push(measured);
    options.told(measured);
    if (measured.p95Ms === null || measured.p95Ms > p95LimitMs) reason = 'latency';
    else if (measured.missed > 0 || measured.perSecond < KEEPS_UP * offered) reason = 'throughput';
  }
  const within = steps.filter(({ p95Ms }) => p95Ms !== null && p95Ms <= p95LimitMs);
  const best = within.toSorted((a, b) => b.perSecond - a.perSecond)[0];
  const { perSecond = 0, offered = 0, p95Ms = null } = best ?? {};
  return { steps, saturation: { perSecond, offered, p95Ms, reason } };
}

interface Load {
  readonly perSecond: number;
  readonly forMs: number;
  readonly signal: AbortSignal;
}

/** @throws {AegisError} `INTERRUPTED`. */
async function offer(clients: readonly Client[], load: Load): Promise<RampStep> {
  const { perSecond, forMs, signal } = load;
  const latencies: number[] = [];
  let missed = 0;
  const began = performance.now();
  let last = began;
  const open = new Map(clients.map((client) => [client, new Set<Promise<void>>()]));
  const send = async (client: Client, count: number): Promise<void> => {
    const sentAt = performance.now();
    try {
      const body = { intents: Array.from({ length: count }, move), wait: 'final' } as const;
      const { intents } = await client.call('intents.submit', { body });
      last = performance.now();
      const isFinal = intents.filter(({ status }) => status === 'final').length;
      for (let i = 0; i < isFinal; i += 1) latencies.push(last - sentAt);
      missed += count - isFinal;
    } catch {
      missed += count;
    }
  };
  let due = 0;
  for (let tick = 0; tick * TICK_MS < forMs; tick += 1) {
    if (signal.aborted) throw new AegisError('INTERRUPTED', 'stopped');
    // By the clock: a tick that comes late brings what should have come before it.
    const elapsedMs = Math.min(forMs, (tick + 1) * TICK_MS);
    const wanted = Math.round((perSecond * elapsedMs) / SECOND);
    for (const [at, [client, requests]] of [...open].entries()) {
      const share = shareOf(wanted - due, at, clients.length);
      for (let left = share; left > 0; left -= INTENTS_MAX) {
        const count = Math.min(left, INTENTS_MAX);
        if (requests.size >= REQUESTS_MAX) {
          missed += count;
          continue;
        }
        const request = send(client, count).finally(() => requests.delete(request));
        requests.add(request);
      }
    }
    due = wanted;
    await pause(began + elapsedMs - performance.now());
  }
  const waiting = Promise.all([...open.values()].flatMap((requests) => [...requests]));
  await Promise.race([waiting, patience()]);
  const unanswered = due - latencies.length - missed;
  const sorted = latencies.toSorted((a, b) => a - b);
  const tookMs = Math.max(forMs, last - began);
  return {
    offered: perSecond,
    perSecond: Math.round((sorted.length * SECOND * 10) / tookMs) / 10,
    p50Ms: percentile(sorted, 0.5),
    p95Ms: percentile(sorted, 0.95),
    p99Ms: percentile(sorted, 0.99),
    samples: sorted.length,
    missed: missed + Math.max(0, unanswered),
  };
}

const shareOf = (count: number, at: number, of: number): number =>
  Math.floor((count * (at + 1)) / of) - Math.floor((count * at) / of);

/** The chain decides about names, not content: nobody has these versions. */
const move = () => ({
  changes: [
    {
      path: `bench/${randomBytes(6).toString('hex')}`,
      version: versionCidOf(randomBytes(16)).toString(),
    },
  ],
});

/** The smallest that at least this share of all do not exceed. */
function percentile(sorted: readonly number[], share: number): number | null {
  const value = sorted[Math.ceil(sorted.length * share) - 1];
  return value === undefined ? null : Math.round(value);
}

const pause = (forMs: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, Math.max(0, forMs)));

/** Whoever has answered before it is over need not wait for its end. */
const patience = (): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ANSWER_MS).unref());
