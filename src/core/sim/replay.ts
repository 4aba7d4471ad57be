/** The name of a run: its seed and all options that are not drawn from it, in one word. */
import { AegisError } from '../errors.ts';
import { SECOND } from '../units.ts';
import { BEHAVIOURS } from './byzantine/catalogue.ts';
import type { RunOptions } from './consensus-run.ts';
import { CONSENSUS_FAULTS, type FaultKind } from './faults.ts';
import { LATENCIES, type LatencyName } from './latency.ts';

export type Replay = Omit<RunOptions, 'wrap' | 'checkers'>;

/** For example `17:nodes=4:latency=tor:duration=60:faults=crash+loss:byzantine=all:real`. */
export function replayText(run: Replay): string {
  const { seed, custodians, agents, latency, durationMs, faults, byzantine, fanout } = run;
  const parts = [
    custodians === undefined ? [] : `nodes=${custodians}`,
    agents === undefined ? [] : `agents=${agents}`,
    latency === undefined ? [] : `latency=${latency}`,
    durationMs === undefined ? [] : `duration=${durationMs / SECOND}`,
    faults === undefined ? [] : `faults=${faults.length === 0 ? 'none' : faults.join('+')}`,
    fanout === undefined ? [] : `fanout=${fanout}`,
    byzantine === undefined ? [] : `byzantine=${byzantine}`,
    run.isReal === true ? 'real' : [],
  ].flat();
  return [seed, ...parts].join(':');
}

const bad = (what: string): AegisError =>
  new AegisError('USAGE', `no run is called ${JSON.stringify(what)}`);

/** @throws {AegisError} `USAGE`. */
export function readReplay(text: string): Replay {
  const [seed, ...parts] = text.split(':');
  if (seed === undefined || seed === '') throw bad(text);
  return parts.reduce<Replay>((run, part) => ({ ...run, ...readPart(part) }), { seed });
}

function readPart(part: string): Partial<Replay> {
  const [name, value = ''] = part.split('=');
  switch (name) {
    case 'nodes':
      return { custodians: readNumber(part, value) };
    case 'agents':
      return { agents: readNumber(part, value) };
    case 'latency':
      return { latency: oneOf<LatencyName>(LATENCIES, value) };
    case 'duration':
      return { durationMs: readNumber(part, value) * SECOND };
    case 'faults':
      return { faults: readFaults(value) };
    case 'fanout':
      return { fanout: oneOf(['all', 'leader'] as const, value) };
    case 'byzantine':
      return { byzantine: readBehaviour(value) };
    case 'real':
      return { isReal: true };
    default:
      throw bad(part);
  }
}

/** Names of faults with `+` or `,` between them; `none`; `all`. */
export function readFaults(text: string): readonly FaultKind[] {
  if (text === 'none') return [];
  if (text === 'all') return CONSENSUS_FAULTS;
  return text.split(/[+,]/).map((name) => oneOf<FaultKind>(CONSENSUS_FAULTS, name));
}

/** The name of a way not to follow the rules, or `all`. */
export const readBehaviour = (text: string): string =>
  oneOf(['all', ...BEHAVIOURS.map(({ name }) => name)], text);

function oneOf<T extends string>(words: readonly T[], text: string): T {
  const word = words.find((known) => known === text);
  if (word !== undefined) return word;
  throw new AegisError('USAGE', `expected one of ${words.join(', ')}, found ${text}`);
}

function readNumber(part: string, text: string): number {
  const number = Number(text);
  if (text === '' || !Number.isFinite(number) || number < 0) throw bad(part);
  return number;
}
