/** Runs a command class in this process and catches what it prints. */
import { Config } from '@oclif/core';
import { captureOutput } from '@oclif/test';

interface Runnable {
  run(argv: string[], config: Config): Promise<unknown>;
}

export interface CommandOutcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly result: unknown;
  /** What the command threw; `run.ts` would have presented it. */
  readonly error: unknown;
}

/** `run(Status, ['--home', dir, '--json'])`: as the bin does, without its start. */
export async function run(command: Runnable, argv: readonly string[]): Promise<CommandOutcome> {
  const config = await Config.load({
    root: process.cwd(),
    devPlugins: false,
    userPlugins: false,
  });
  const outcome = await captureOutput(() => command.run([...argv], config), { print: false });
  const { stdout, stderr, result, error } = outcome;
  return { stdout, stderr, result, error };
}
