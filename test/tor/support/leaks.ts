/** Tells a process that has loaded `leak.ts` to leak, and reads what `detector.ts` wrote down. */
import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Seen } from './detector.ts';
import type { Leak } from './leak.ts';

const FILES = import.meta.dirname;

export interface Watched {
  /** Short: the path of a socket holds about 100 characters. */
  readonly leakSocket: string;
  readonly detectorFile: string;
}

/** The environment of a Node process that is watched, and leaks when it is told to. */
export function watchedEnv({ leakSocket, detectorFile }: Watched): NodeJS.ProcessEnv {
  const load = ['detector.ts', 'leak.ts'].map((file) => `--import=${join(FILES, file)}`);
  return {
    NODE_OPTIONS: load.join(' '),
    AEGIS_LEAK_SOCKET: leakSocket,
    AEGIS_DETECTOR_FILE: detectorFile,
  };
}

/** Resolves when the process has done it. */
export const leak = ({ leakSocket }: Watched, what: Leak): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = connect(leakSocket, () => void socket.write(what));
    let answer = '';
    socket.setEncoding('utf8').on('data', (text: string) => (answer += text));
    socket.once('error', reject).once('close', () => {
      if (answer === 'done') resolve();
      else reject(new Error(`it did not leak: ${answer}`));
    });
  });

export function seen({ detectorFile }: Watched): Seen[] {
  if (!existsSync(detectorFile)) return [];
  const lines = readFileSync(detectorFile, 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line) as Seen);
}

/** What is no socket with a path: everything else can leave the machine, or be heard on it. */
export const outward = (all: readonly Seen[], allowed: readonly string[] = []): Seen[] =>
  all.filter(({ to }) => !to.startsWith('/') && !allowed.includes(to));
