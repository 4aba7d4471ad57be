/**
 * Fifty custodians in four processes on one machine: real networks (Noise), durable votes, leaders
 * that change with each height, at most ten intents a block. Then the same with f of them silent:
 * connected and stopped, which is worse than gone.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { VERSION } from '../../src/cli/version.ts';
import { versionCidOf } from '../../src/core/model/version.ts';
import { Devnet } from '../../src/core/node/devnet.ts';
import { withDirectory } from './cluster.ts';
import type { HostedNode, Order, Report } from './fifty-host.ts';
import type { Figure } from './figures.ts';
import { BIN, pause } from './processes.ts';

const NODES = 50;
const FAULTY = 16;
const QUORUM = NODES - FAULTY;
/** The last process is the one that falls silent. */
const SHARES = [12, 11, 11, FAULTY] as const;
const BLOCKS = 500;
const SILENT_BLOCKS = 100;
const INTENTS = 10;
const PATIENCE_MS = 240_000;

type OnFinal = (report: Extract<Report, { type: 'final' }>) => void;

class Hosting {
  readonly child: ChildProcess;
  readonly numbers: readonly number[];
  readonly #final: OnFinal;
  readonly #waiting: ((value: number) => void)[] = [];

  /** @param cache compiled sources, which a hundred workers load. */
  constructor(nodes: readonly HostedNode[], final: OnFinal, cache: string) {
    this.numbers = nodes.map(({ number }) => number);
    this.#final = final;
    this.child = fork(join(import.meta.dirname, 'fifty-host.ts'), {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, NODE_COMPILE_CACHE: cache },
    });
    this.child.on('message', (report: Report) => this.#take(report));
  }

  async ask(order: Order): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.#waiting.push(resolve);
    this.child.send(order);
    return await promise;
  }

  #take(report: Report): void {
    if (report.type === 'final') this.#final(report);
    else if (report.type === 'done') this.#waiting.shift()?.(report.value ?? 0);
    else throw new Error(`a host of the bench failed: ${report.message}`);
  }
}

/** When each height became final at each custodian. */
class Finals {
  readonly #at = new Map<number, number[]>();
  #height = 0;
  #arrived = Promise.withResolvers<void>();

  add({ height, at }: { readonly height: number; readonly at: number }): void {
    const times = this.#at.get(height) ?? [];
    this.#at.set(height, [...times, at]);
    if (times.length + 1 !== QUORUM) return;
    this.#height = Math.max(this.#height, height);
    this.#arrived.resolve();
    this.#arrived = Promise.withResolvers<void>();
  }

  /** The last height that a quorum holds. */
  get height(): number {
    return this.#height;
  }

  /** When a quorum held the height, by the clock of the machine. */
  quorumAt(height: number): number {
    return this.#at.get(height)!.toSorted((a, b) => a - b)[QUORUM - 1]!;
  }

  async above(height: number): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    while (this.#height <= height) {
      if (performance.now() > end) throw new Error(`no block after height ${height}`);
      await Promise.race([this.#arrived.promise, pause(1000)]);
    }
  }
}

export async function fifty(): Promise<Figure[]> {
  return await withDirectory(async (dir) => {
    const where = { dir: join(dir, 'net'), bin: BIN, version: VERSION };
    const devnet = await Devnet.create(where, { size: NODES });
    const passphrase = readFileSync(join(dir, 'net', 'passphrase'), 'utf8');
    const finals = new Finals();
    const nodes = devnet.nodes.map(({ home }, i) => ({ number: i + 1, home }));
    const hosts: Hosting[] = [];
    try {
      let from = 0;
      const opened = SHARES.map((share) => {
        const own = nodes.slice(from, from + share);
        from += share;
        const host = new Hosting(own, (final) => finals.add(final), join(dir, 'cache'));
        hosts.push(host);
        return host.ask({ type: 'open', nodes: own, passphrase });
      });
      await Promise.all(opened);
      await meshed(hosts);
      const awake = await run(hosts, finals, BLOCKS);
      const last = hosts.at(-1)!;
      process.kill(last.child.pid!, 'SIGSTOP');
      const silent = await run(hosts.slice(0, -1), finals, SILENT_BLOCKS);
      process.kill(last.child.pid!, 'SIGCONT');
      return [...rows('50 custodians', awake, true), ...rows('  34, and 16 silent', silent, false)];
    } finally {
      await Promise.all(hosts.map((host) => stop(host)));
    }
  });
}

async function stop({ child }: Hosting): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve));
  if (child.exitCode !== null) return;
  child.kill('SIGKILL');
  await gone;
}

async function meshed(hosts: readonly Hosting[]): Promise<void> {
  const from = performance.now();
  for (;;) {
    const least = await Promise.all(hosts.map((host) => host.ask({ type: 'peers' })));
    if (Math.min(...least) === NODES - 1) return;
    if (performance.now() - from > PATIENCE_MS) throw new Error(`peers: ${least.join(', ')}`);
    await pause(500);
  }
}

interface Measured {
  readonly finalityMs: readonly number[];
  readonly cpuMsPerBlock: number;
}

/** One block after another: from the submission of its intents until a quorum has it final. */
async function run(hosts: readonly Hosting[], finals: Finals, blocks: number): Promise<Measured> {
  const usage = async (): Promise<number> => {
    const each = await Promise.all(hosts.map((host) => host.ask({ type: 'usage' })));
    return each.reduce((a, b) => a + b, 0);
  };
  const from = { cpuMs: await usage(), height: finals.height };
  const finalityMs: number[] = [];
  for (let block = 0; block < blocks; block += 1) {
    const host = hosts[block % hosts.length]!;
    const number = host.numbers[block % host.numbers.length]!;
    const { height } = finals;
    const at = performance.timeOrigin + performance.now();
    await host.ask({ type: 'submit', number, intents: moves(block % (INTENTS + 1) || INTENTS) });
    await finals.above(height);
    finalityMs.push(finals.quorumAt(finals.height) - at);
  }
  const cpuMs = (await usage()) - from.cpuMs;
  return { finalityMs, cpuMsPerBlock: cpuMs / (finals.height - from.height) };
}

let made = 0;

const moves = (count: number) =>
  Array.from({ length: count }, () => {
    made += 1;
    const version = versionCidOf(randomBytes(16)).toString();
    const path = `fifty/${made}`;
    return { changes: [{ path, version, parents: [], generation: 1, deleted: false }] };
  });

function rows(name: string, { finalityMs, cpuMsPerBlock }: Measured, hasGoal: boolean): Figure[] {
  return [
    {
      name: `${name}, intents final at a quorum`,
      unit: 'ms',
      samples: finalityMs,
      of: 'p95',
      ...(hasGoal ? { goal: { most: 500 } } : {}),
    },
    {
      name: `${name}, processor a block`,
      unit: 'ms',
      samples: [cpuMsPerBlock],
      ...(hasGoal ? { goal: { most: 400 } } : {}),
    },
  ];
}
