/** Starts a daemon behind a door: the command that comes before it takes it into a namespace. */
import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { BIN, type Cluster } from '../../e2e/support/cluster.ts';

/**
 * Resolves when the daemon is ready. It ends with `node stop`, or is killed by `Cluster.stop`.
 *
 * @throws {Error} with what it said, when it is not.
 */
export async function startInside(
  cluster: Cluster,
  node: number,
  { door, env }: { door: readonly string[]; env: NodeJS.ProcessEnv },
): Promise<ChildProcess> {
  const args = ['node', 'start', '--json', '--passphrase-file', cluster.passphraseFile];
  const command = [...door, process.execPath, BIN, ...args, '--home', cluster.node(node).home];
  const child = spawn(command[0]!, command.slice(1), {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  const { logs } = cluster.home(node);
  mkdirSync(logs, { recursive: true, mode: 0o700 });
  child.stderr.on('data', (text: Buffer) => appendFileSync(join(logs, 'console.log'), text));
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('error', reject);
    child.once('close', (code) => reject(new Error(`node ${node} ended with ${code}`)));
  });
  if (!line.includes('"aegis.node.start/')) throw new Error(`node ${node} said ${line}`);
  return child;
}
