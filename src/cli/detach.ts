/** Puts the daemon of a home into the background: for `node start --detach` and `node restart`. */
import { join } from 'node:path';
import type { NodeStartResult } from '../core/api/contract/daemons.ts';
import type { HomePaths } from '../core/config/home.ts';

export interface DetachOptions {
  /** The value of `--home`, if it was given; the environment is passed on. */
  readonly home: string | undefined;
  readonly listen: readonly string[];
  /** Instead of those of the settings. */
  readonly route?: string | undefined;
  readonly torDaemon?: string | undefined;
  /** The operator has confirmed it. @default false */
  readonly vouch?: boolean;
  readonly timeoutMs: number;
}

/** Resolves when the daemon is ready. @throws what it reported when it could not start. */
export async function startDetached(
  paths: HomePaths,
  passphrase: string,
  { home, listen, route, torDaemon, vouch = false, timeoutMs }: DetachOptions,
): Promise<NodeStartResult> {
  const { spawnDaemon } = await import('../core/node/spawn.ts');
  const { ready } = await spawnDaemon({
    bin: process.argv[1]!,
    args: [
      ...(home === undefined ? [] : ['--home', home]),
      ...(paths.cluster === undefined ? [] : ['--cluster', paths.cluster]),
      ...listen.flatMap((address) => ['--listen', address]),
      ...(route === undefined ? [] : ['--route', route]),
      ...(torDaemon === undefined ? [] : ['--tor-daemon', torDaemon]),
      ...(vouch ? ['--vouch', '--yes'] : []),
    ],
    passphrase,
    consoleFile: join(paths.logs, 'console.log'),
    timeoutMs,
  });
  return ready as unknown as NodeStartResult;
}
