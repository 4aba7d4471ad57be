/** Real hosts on loopback for the tests of this room. */
import { randomBytes } from 'node:crypto';
import type { HelloContext } from '../../../src/core/network/hello.ts';
import { Host } from '../../../src/core/network/host.ts';
import type { HostLimits, Profile } from '../../../src/core/network/limits.ts';
import type { MakeTransport } from '../../../src/core/network/transports.ts';
import type { Clock, Log, Metrics, Random } from '../../../src/core/ports.ts';
import { instant } from '../../../src/core/units.ts';
import { Knowledge, Member } from './member.ts';

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

const realClock: Clock = {
  now: () => instant(Date.now()),
  wakeAt(at, wake) {
    const timer = setTimeout(wake, Math.max(0, at - Date.now()));
    return () => clearTimeout(timer);
  },
};

const realRandom: Random = { bytes: (length) => randomBytes(length) };

export const noMetrics: Metrics = {
  count: () => undefined,
  gauge: () => undefined,
  observe: () => undefined,
};

export function memoryLog(lines: LogLine[] = []): Log {
  const log: Log = {
    write: (level, message, fields = {}) => lines.push({ level, message, fields }),
    child: () => log,
  };
  return log;
}

export interface StartOptions {
  readonly limits?: Partial<HostLimits>;
  readonly hello?: Partial<HelloContext>;
  /** @default any port of the loopback; '' for none */
  readonly listen?: string | readonly string[];
  readonly transports?: readonly MakeTransport[];
  readonly profile?: Profile;
}

/** A cluster whose hosts are all stopped at the end of its block. */
export class Cluster implements AsyncDisposable {
  readonly clusterId = 'aegisc1test';
  readonly members: Member[];
  readonly hosts: Host[] = [];
  readonly lines: LogLine[] = [];

  constructor(size: number) {
    this.members = Array.from({ length: size }, (_, i) => new Member(`n${i}`));
  }

  /** What a node of this cluster knows of the others, from the genesis on. */
  knowledge(): Knowledge {
    return new Knowledge(this.members);
  }

  context(member: Member, changes: Partial<HelloContext> = {}): HelloContext {
    return {
      clusterId: this.clusterId,
      own: () => member.introduction(),
      ...this.knowledge().context(),
      ...changes,
    };
  }

  async start(index: number, options: StartOptions = {}): Promise<Host> {
    return this.startAs(this.members[index]!, options);
  }

  async startAs(member: Member, options: StartOptions = {}): Promise<Host> {
    const { listen = '/ip4/127.0.0.1/tcp/0' } = options;
    const host = await Host.create(
      {
        networkSeed: member.networkSeed,
        listen: [listen].flat().filter((one) => one !== ''),
        hello: this.context(member, options.hello),
        profile: options.profile ?? 'loopback',
        ...(options.transports === undefined ? {} : { transports: options.transports }),
        limits: options.limits ?? {},
      },
      { log: memoryLog(this.lines), metrics: noMetrics, clock: realClock, random: realRandom },
    );
    await host.start();
    this.hosts.push(host);
    return host;
  }

  /** Two connected hosts; the first has dialled. */
  async pair(limits: Partial<HostLimits> = {}): Promise<[Host, Host]> {
    const a = await this.start(0, { limits });
    const b = await this.start(1, { limits });
    await a.dial(b.addresses()[0]!, { timeoutMs: 5000 });
    return [a, b];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.hosts.map((host) => host.stop()));
  }
}

/** Resolves when `check` holds, asked again whenever something has happened on the event loop. */
export async function until(check: () => boolean, timeoutMs = 5000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!check()) {
    if (Date.now() > deadline) throw new Error('the awaited state did not come');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}
