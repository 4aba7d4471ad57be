/**
 * The way from words to an exit status. Knows how commands are found and how errors are shown, and
 * nothing of what commands do. It never calls `process.exit` after a command: what was written to a
 * pipe leaves with the process, and a handle that a command forgot shows up as a hang in its test.
 */
import { Config, type Interfaces } from '@oclif/core';
import { EXIT } from '../core/errors.ts';
import { type ErrorView, presentError } from './errors.ts';
import { flagWords, routeOf, topicsOf } from './route.ts';
import { VERSION } from './version.ts';

export interface MainOptions {
  /** Directory of the package. */
  readonly root: string;
  readonly argv: readonly string[];
  /** Where the commands are, other than package.json says: the sources, in development. */
  readonly commands?: string;
}

/** Runs the command that `argv` names and sets the exit status of the process. */
export async function main(options: MainOptions): Promise<void> {
  const view = viewOf(options.argv);
  process.once('uncaughtException', (error) => {
    const exit = show(error, view);
    // oxlint-disable-next-line unicorn/no-process-exit -- nothing can be trusted any more
    process.exit(exit === EXIT.ok ? EXIT.bug : exit);
  });
  // Whoever was to read this has gone; the exit status still tells.
  process.stderr.on('error', () => {});
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  const context: { command?: string; flags?: string[] } = {};
  try {
    await dispatch(options, context);
  } catch (error) {
    process.exitCode = show(error, { ...view, ...context });
  }
}

export const versionLine = (): string =>
  `aegis/${VERSION} ${process.platform}-${process.arch} node-${process.version}`;

async function dispatch(
  { root, argv, commands }: MainOptions,
  context: { command?: string; flags?: string[] },
): Promise<void> {
  const config = await loadConfig(root, commands);
  const route = routeOf(argv, { commands: config.commandIDs, topics: topicsOf(config.commandIDs) });
  if (route.type === 'version') {
    process.stdout.write(`${versionLine()}\n`);
    return;
  }
  if (route.type === 'help') {
    process.stdout.write(await helpText(config, route.id, argv));
    return;
  }
  const found = config.findCommand(route.id, { must: true });
  context.command = route.id.replaceAll(':', ' ');
  context.flags = Object.keys(found.flags);
  const command = await found.load();
  await command.run([...route.argv], config);
}

async function helpText(
  config: Config,
  id: string | undefined,
  argv: readonly string[],
): Promise<string> {
  const help = await import('./help.ts');
  const { coloursFor } = await import('./colour.ts');
  const paint = coloursFor(process.stdout, { off: viewOf(argv).noColour });
  const style = { paint, width: Math.min(process.stdout.columns ?? 80, 100) };
  const topics = topicsOf(config.commandIDs).map((name) => ({
    name,
    description: config.findTopic(name)?.description,
  }));
  if (id === undefined) {
    return help.rootHelp(config.commands, topics, config.pjson.description ?? '', style);
  }
  const command = config.findCommand(id);
  const topic = topics.find(({ name }) => name === id);
  const parts = [
    command === undefined ? '' : help.commandHelp(command, style),
    topic === undefined ? '' : help.topicHelp(topic, config.commands, style),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

async function loadConfig(root: string, commands: string | undefined): Promise<Config> {
  const common = { root, devPlugins: false, userPlugins: false };
  if (commands === undefined) return await Config.load(common);
  const { readFile } = await import('node:fs/promises');
  const pjson = JSON.parse(await readFile(`${root}/package.json`, 'utf8')) as Interfaces.PJSON;
  pjson.oclif = { ...pjson.oclif, commands };
  return await Config.load({ ...common, pjson, ignoreManifest: true });
}

/** How to show an error, read from the words alone, because the words may be what is wrong. */
function viewOf(argv: readonly string[]): ErrorView {
  const words = flagWords(argv);
  return {
    json: words.includes('--json'),
    noColour: words.includes('--no-color'),
    verbose: words.includes('--verbose') || words.includes('-v'),
  };
}

function show(error: unknown, view: ErrorView): number {
  const { stdout, stderr, exit } = presentError(error, view);
  if (stdout !== '') process.stdout.write(stdout);
  if (stderr !== '') process.stderr.write(stderr);
  return exit;
}
