/**
 * `npm run zoo`: hunts every bug, or those whose names begin with an argument, and prints who
 * caught it and how soon. A hunt of all of them writes the table into README.md.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { disappointment, hunt, type Result, readBugs, tableOf } from './zoo.ts';

const WORKERS = 2;
const README = new URL('README.md', import.meta.url);

const wanted = process.argv.slice(2);
const isWanted = (name: string): boolean =>
  wanted.length === 0 || wanted.some((start) => name.startsWith(start));
const bugs = readBugs().filter(({ name }) => isWanted(name));
const results = new Map<string, Result>();
const queue = [...bugs];

async function work(): Promise<void> {
  for (let bug = queue.shift(); bug !== undefined; bug = queue.shift()) {
    const result = await hunt(bug);
    results.set(bug.name, result);
    const { caught } = result;
    const fate = disappointment(result) ?? `${bug.name}: ${caught!.checker} after ${caught!.after}`;
    process.stderr.write(`${fate}\n`);
  }
}

await Promise.all(Array.from({ length: WORKERS }, work));
const inOrder = bugs.map(({ name }) => results.get(name)!);
process.stdout.write(tableOf(inOrder));
const failed = inOrder.filter((result) => disappointment(result) !== undefined);
process.stdout.write(`${inOrder.length - failed.length} of ${inOrder.length} caught\n`);
if (failed.length > 0) process.exitCode = 1;
else if (wanted.length === 0) {
  const [before] = readFileSync(README, 'utf8').split(/^\| bug +\|/m);
  writeFileSync(README, `${before}${tableOf(inOrder)}`);
}
