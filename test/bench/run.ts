/**
 * `npm run bench`: the goals of aegis in figures, measured from outside on real daemons. Ends with
 * 1 when one is missed. `npm run bench -- transfer monitor` runs these parts only. Never a part of
 * `npm test`: what other programs do at the same time shows in every figure but the ratios.
 */
import { build, isFresh } from '../../scripts/build.ts';
import { commands } from './commands.ts';
import { daemon, monitor } from './daemon.ts';
import { directory } from './directory.ts';
import { fifty } from './fifty.ts';
import { type Figure, isReached, machine, table } from './figures.ts';
import { flood } from './flood.ts';
import { failover, intents } from './intents.ts';
import { join } from './join.ts';
import { orbitdb } from './orbitdb.ts';
import { paths } from './paths.ts';
import { prune } from './prune.ts';
import { slo } from './slo.ts';
import { tor } from './tor.ts';
import { large, transfer } from './transfer.ts';

const PARTS: Readonly<Record<string, () => Promise<Figure[]>>> = {
  commands,
  transfer,
  large,
  directory,
  daemon,
  monitor,
  intents,
  failover,
  fifty,
  flood,
  prune,
  orbitdb,
  paths,
  join,
  slo,
  tor,
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => PARTS[name] === undefined);
if (unknown.length > 0) {
  console.error(`no part ${unknown.join(', ')}; there are ${Object.keys(PARTS).join(', ')}`);
  process.exitCode = 64;
} else {
  const figures: Figure[] = [];
  // A part that stands still must not stand for ever, nor take with it what was measured.
  setTimeout(() => {
    console.log(`${machine()}\n\n${table(figures)}`);
    console.error('the bench took more than an hour');
    process.exit(1);
  }, 3_600_000).unref();
  if (!isFresh()) await build({ types: false });
  for (const [name, part] of Object.entries(PARTS)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    console.error(`measuring: ${name}`);
    figures.push(...(await part()));
  }
  console.log(`${machine()}\n\n${table(figures)}`);
  if (!figures.every(isReached)) process.exitCode = 1;
}
