/** A real server on a real socket in a directory of its own, and clients for it. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '../../../src/core/api/client/client.ts';
import type { ServerLimits } from '../../../src/core/api/server/limits.ts';
import { Server } from '../../../src/core/api/server/server.ts';
import { resolveHome } from '../../../src/core/config/home.ts';
import type { Log, Security, SecurityEvent } from '../../../src/core/ports.ts';
import { MemoryBackend } from './memory-backend.ts';

export const random = { bytes: (length: number) => randomBytes(length) };

export class MemoryLog implements Log {
  readonly lines: { level: string; message: string; fields: unknown }[] = [];

  write(level: string, message: string, fields?: unknown): void {
    this.lines.push({ level, message, fields });
  }

  child(): Log {
    return this;
  }
}

export interface Harness extends AsyncDisposable {
  readonly directory: string;
  readonly paths: { socket: string; readToken: string; adminToken: string };
  readonly backend: MemoryBackend;
  readonly server: Server;
  readonly log: MemoryLog;
  /** What the security log was told. */
  readonly events: readonly SecurityEvent[];
  /** With the admin token. */
  readonly client: Client;
  readonly reader: Client;
  readonly adminToken: string;
  readonly readToken: string;
}

export async function scratch(): Promise<{ directory: string } & AsyncDisposable> {
  const directory = await mkdtemp(join(tmpdir(), 'aegis-'));
  return {
    directory,
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

export function pathsIn(directory: string) {
  const at = (name: string): string => join(directory, name);
  return { socket: at('api.sock'), readToken: at('read.token'), adminToken: at('admin.token') };
}

async function homeIn(directory: string): Promise<ReturnType<typeof pathsIn>> {
  await mkdir(join(directory, 'run'), { mode: 0o700 });
  const { socket, readToken, adminToken } = resolveHome({ home: directory, env: {} });
  return { socket, readToken, adminToken };
}

export async function harness(
  options: {
    limits?: Partial<ServerLimits>;
    tcp?: boolean;
    timeoutMs?: number;
    /** Lays the directory out as a home, for commands. */
    home?: boolean;
  } = {},
): Promise<Harness> {
  const { directory, [Symbol.asyncDispose]: clear } = await scratch();
  const paths = options.home ? await homeIn(directory) : pathsIn(directory);
  const backend = new MemoryBackend();
  const log = new MemoryLog();
  const events: SecurityEvent[] = [];
  const security: Security = { tell: (event) => events.push(event), nameOf: () => 'addr-x' };
  const server = await Server.start(
    {
      backend,
      paths,
      ...(options.limits && { limits: options.limits }),
      ...(options.tcp && { listen: { host: '127.0.0.1', port: 0 } }),
    },
    { log, random, security },
  );
  const token = (path: string): string => readFileSync(path, 'utf8').trim();
  const adminToken = token(paths.adminToken);
  const readToken = token(paths.readToken);
  const clientFor = (each: string): Client =>
    new Client({ socket: paths.socket, token: each, timeoutMs: options.timeoutMs ?? 5000 });
  return {
    directory,
    paths,
    backend,
    server,
    log,
    events,
    adminToken,
    readToken,
    client: clientFor(adminToken),
    reader: clientFor(readToken),
    async [Symbol.asyncDispose]() {
      await server.stop({ deadlineMs: 200 });
      await clear();
    },
  };
}
