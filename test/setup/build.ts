/** Builds the bundle before tests that run the real bin, if the sources have changed since. */
import { execFileSync } from 'node:child_process';

export default function setup(): void {
  execFileSync(process.execPath, ['scripts/build.ts', '--if-stale', '--no-types'], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}
