/** A Tor of our own for tests: the real program, off the network unless a test says otherwise. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock, Log } from '../../../../src/core/ports.ts';
import { isAlive, type ProcessName, startTicksOf } from '../../../../src/core/processes.ts';
import { OwnTor, type OwnTorOptions } from '../../../../src/core/tor/daemon/own-tor.ts';
import { instant } from '../../../../src/core/units.ts';

/** Alarms ring when the test says so, and time stands still but for that. */
class HandClock implements Clock {
  nowMs = 1_000_000;
  readonly waits: number[] = [];
  #wake: (() => void) | undefined;

  now = () => instant(this.nowMs);

  wakeAt(at: number, wake: () => void): () => void {
    this.waits.push(at - this.nowMs);
    this.#wake = wake;
    return () => {
      this.#wake = undefined;
    };
  }

  get isSet(): boolean {
    return this.#wake !== undefined;
  }

  ring(): void {
    this.nowMs += this.waits.at(-1)!;
    const wake = this.#wake;
    this.#wake = undefined;
    wake!();
  }
}

export interface Rig {
  /** Of the test, with a blank, a quote and a number sign in its name. */
  readonly dir: string;
  readonly clock: Pick<HandClock, 'nowMs' | 'waits' | 'isSet' | 'ring'>;
  readonly lines: string[];
  readonly logged: string[];
  make(options?: Partial<OwnTorOptions>, output?: { write(line: string): void }): OwnTor;
  /** Writes the operator's file and returns its path. */
  extra(text: string): string;
  /** Stops all that were made, and removes the directory. */
  end(): Promise<void>;
}

export const OFF = 'DisableNetwork 1\nGeoIPFile /dev/null\nGeoIPv6File /dev/null\n';

export function makeRig(): Rig {
  const dir = mkdtempSync(join(tmpdir(), 'aegis-own "tor" #'));
  const [clock, lines, logged, made] = [new HandClock(), [], [], []] as [
    HandClock,
    string[],
    string[],
    OwnTor[],
  ];
  const log: Log = {
    write: (level, message) => void logged.push(`${level}: ${message}`),
    child: () => log,
  };
  const extra = (text: string): string => {
    const file = join(dir, 'extra torrc');
    writeFileSync(file, text);
    return file;
  };
  return {
    ...{ dir, clock, lines, logged, extra },
    make(options = {}, output = { write: (line: string) => void lines.push(line) }) {
      const random = { bytes: (length: number) => randomBytes(length) };
      const places = { dataDir: join(dir, 'data'), runDir: join(dir, 'run') };
      const plain = {
        exits: false,
        bridges: [],
        transports: [],
        torrc: options.torrc ?? extra(OFF),
      };
      const own = new OwnTor({ ...places, ...plain, ...options }, { log, clock, random, output });
      made.push(own);
      return own;
    },
    async end() {
      await Promise.all(made.map((own) => own.stop()));
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

export const named = (pid: number): ProcessName => ({ pid, startTicks: startTicksOf(pid) });

/** Resolves when it comes true; the time limit is that of the test. */
export async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 10));
}

export const isGone = (process: ProcessName): Promise<void> => until(() => !isAlive(process));
