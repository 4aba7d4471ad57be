/**
 * One tor of a private network: its torrc, its process, its control port. What it is told, and when
 * that is, is decided by the boot.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from '../../assert.ts';
import { AegisError } from '../../errors.ts';
import { ControlClient } from '../control/client.ts';
import { whyEnded } from '../daemon/diagnosis.ts';
import { type MemberRecord, recordOf } from './records.ts';
import { type AuthorityPlan, type MemberPlan, memberTorrc } from './torrcs.ts';

const CONTROL_TIMEOUT_MS = 15_000;
const COOKIE_BYTES = 32;
const CONTROL_PORT = /^PORT=127\.0\.0\.1:(\d+)$/m;

export class Member {
  readonly plan: MemberPlan;
  readonly record: MemberRecord;
  readonly #child: ChildProcess;
  #control: ControlClient | undefined;

  private constructor(plan: MemberPlan, child: ChildProcess) {
    this.plan = plan;
    this.#child = child;
    this.record = recordOf(plan.name, child.pid!);
  }

  /** Starts its tor, which ends when `owner` does. */
  static async spawn(
    plan: MemberPlan,
    { authority, owner, binary }: { authority: AuthorityPlan; owner: number; binary: string },
  ): Promise<Member> {
    const torrc = join(plan.dir, 'torrc');
    await writeFile(torrc, memberTorrc(plan, authority, owner), { mode: 0o600 });
    const output = openSync(join(plan.dir, 'output.log'), 'a', 0o600);
    try {
      const child = spawn(binary, ['-f', torrc, '--defaults-torrc', '/dev/null', '--hush'], {
        // Ctrl-C at a terminal is for whoever started the network; that one ends it in good order.
        detached: true,
        stdio: ['ignore', output, output],
        env: { HOME: plan.dir, PATH: process.env['PATH'] ?? '' },
      });
      await new Promise<void>((resolve, reject) =>
        child.once('spawn', resolve).once('error', reject),
      );
      child.unref();
      return new Member(plan, child);
    } catch (cause) {
      throw new AegisError('TOR_FAILED', `${binary} does not start: ${(cause as Error).message}`);
    } finally {
      closeSync(output);
    }
  }

  /** Resolves when its control port has let us in. */
  async open(signal: AbortSignal): Promise<void> {
    const cookieFile = join(this.plan.dir, 'control_auth_cookie');
    for (;;) {
      this.assertRuns();
      const text = await readFile(join(this.plan.dir, 'control_port'), 'utf8').catch(() => '');
      const port = CONTROL_PORT.exec(text)?.[1];
      // Tor tells its port a moment before it writes the cookie.
      const cookie = await readFile(cookieFile).catch(() => undefined);
      if (port !== undefined && cookie?.length === COOKIE_BYTES) {
        const endpoint = { host: '127.0.0.1', port: Number(port) };
        const options = { signal, timeoutMs: CONTROL_TIMEOUT_MS };
        this.#control = await ControlClient.connect(endpoint, { cookieFile }, options);
        return;
      }
      await sleep(25, undefined, { signal });
    }
  }

  async command(line: string): Promise<void> {
    await this.#opened().command(line);
  }

  /** The answer to GETINFO for one key; empty while tor has none. */
  async info(key: string): Promise<string> {
    const { lines } = await this.#opened().command(`GETINFO ${key}`);
    return lines[0]?.data ?? '';
  }

  /** It no longer ends with its owner, not even when it reads its torrc again. */
  async release(authority: AuthorityPlan): Promise<void> {
    const torrc = memberTorrc(this.plan, authority, undefined);
    await writeFile(join(this.plan.dir, 'torrc'), torrc, { mode: 0o600 });
    await this.command('RESETCONF __OwningControllerProcess');
  }

  #opened(): ControlClient {
    assert(this.#control !== undefined, 'a member is opened before it is told anything');
    return this.#control;
  }

  close(): void {
    this.#control?.close();
  }

  /** @throws {AegisError} `TOR_FAILED` with its last words, `PORT_IN_USE`. */
  assertRuns(): void {
    const { exitCode, signalCode } = this.#child;
    if (exitCode === null && signalCode === null) return;
    const how = signalCode ?? `exit status ${exitCode}`;
    throw whyEnded(lastLines(this.plan.dir), how);
  }
}

/** What a tor wrote last, for whoever has to find out why it does not work. */
export function lastLines(dir: string, count = 6): string[] {
  return ['output.log', 'notice.log'].flatMap((name) => {
    try {
      return readFileSync(join(dir, name), 'utf8').trim().split('\n').slice(-count);
    } catch {
      return [];
    }
  });
}
