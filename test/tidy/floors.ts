/** Who may import whom. The picture is in docs/architecture.md. */

/**
 * Rooms by floor, from the ground up. A room imports lower floors and the root files of core. The
 * ground floor has a step: the nouns of model/ hash and verify with crypto/.
 */
const FLOORS: readonly (readonly string[])[] = [
  ['crypto'],
  ['model'],
  ['consensus'],
  ['chain', 'kb', 'peers', 'proof', 'tasks'],
  ['network', 'tor', 'storage', 'keys', 'telemetry', 'config'],
  ['api'],
  ['node', 'sim', 'tui'],
  ['commands'],
];
/** Floors whose rooms are pure. */
export const PURE_FLOORS = 4;
/** Root files of core that touch the world; only floors that may do so import them. */
const IMPURE_ROOT_FILES: readonly string[] = ['src/core/files.ts', 'src/core/processes.ts'];

/** Rooms that only some commands may open, because they start nodes or load a great deal. */
const DOORS: Readonly<Record<string, RegExp>> = {
  node: new RegExp(
    '^src/(commands/(node/(re)?start|keys/serve|quickstart|bench/ramp|devnet/\\w+)|' +
      'cli/(bench|devnet|detach|history|quickstart|recovery))\\.ts$',
  ),
  sim: /^src\/commands\/sim\.ts$/,
  tui: /^src\/commands\/monitor\.ts$/,
};

/** `root` for the root files of core, `commands` for src/cli too, undefined outside src. */
export function roomOf(file: string): string | undefined {
  if (/^src\/(commands|cli)\//.test(file)) return 'commands';
  if (file.startsWith('src/tui/')) return 'tui';
  const core = /^src\/core\/(?:([^/]+)\/)?/.exec(file);
  return core === null ? undefined : (core[1] ?? 'root');
}

/** -1 for the root files, undefined for a room that no floor has. */
export function floorOf(room: string): number | undefined {
  if (room === 'root') return -1;
  const floor = FLOORS.findIndex((rooms) => rooms.includes(room));
  return floor === -1 ? undefined : floor;
}

/** What is wrong with `from` importing `to`, if anything. */
export function importFault(from: string, to: string): string | undefined {
  const [a, b] = [roomOf(from), roomOf(to)];
  if (a === undefined || b === undefined) return `${from} -> ${to}: outside src`;
  if (a === b) return undefined;
  const [above, below] = [floorOf(a), floorOf(b)];
  if (above === undefined || below === undefined) return `${from} -> ${to}: no floor has the room`;
  if (below >= above) return `${from} -> ${to}: floor ${above} imports floor ${below}`;
  if (a === 'proof' && b === 'consensus') return `${from} -> ${to}: it is a check on it`;
  if (above < PURE_FLOORS && IMPURE_ROOT_FILES.includes(to)) {
    return `${from} -> ${to}: a pure room touches files`;
  }
  const door = DOORS[b];
  if (door !== undefined && !door.test(from)) return `${from} -> ${to}: this door is not for it`;
  if (a === 'tui' && b !== 'api' && b !== 'root') return `${from} -> ${to}: tui sees the api only`;
  return undefined;
}
