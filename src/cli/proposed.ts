/** Proposals on the command line: from flags to the changes that they mean. */
import type { WantedChange } from '../core/api/contract/governance.ts';
import { AegisError } from '../core/errors.ts';
import { parseDuration } from './format.ts';
import { safeText } from './text.ts';

/** What the flags of `cluster propose` say, each as often as it was given. */
export interface ProposedFlags {
  readonly add?: readonly string[] | undefined;
  readonly remove?: readonly string[] | undefined;
  readonly expel?: readonly string[] | undefined;
  readonly zone?: readonly string[] | undefined;
  readonly weight?: readonly string[] | undefined;
  readonly parameter?: readonly string[] | undefined;
  readonly quota?: readonly string[] | undefined;
  readonly namespace?: readonly string[] | undefined;
  readonly protocol?: number | undefined;
}

const QUOTAS = { changes: 'changesPerHour', bytes: 'bytesPerHour', paths: 'paths' } as const;
const DAY_MS = 24 * 60 * 60 * 1000;
const LIFETIME_MAX_MS = 30 * DAY_MS;

/** In a fixed order, whatever that of the flags: all of them are made together, or none. */
export function changesOf(flags: ProposedFlags): WantedChange[] {
  const each = <T>(values: readonly string[] | undefined, read: (text: string) => T): T[] =>
    (values ?? []).map(read);
  const of = (op: 'add' | 'remove' | 'expel') => (nodeId: string) => ({ op, nodeId });
  return [
    ...each(flags.add, of('add')),
    ...each(flags.remove, of('remove')),
    ...each(flags.expel, of('expel')),
    ...each(flags.zone, (text) => {
      const [nodeId, zone] = pairOf('--zone', text);
      return { op: 'zone' as const, nodeId, zone };
    }),
    ...each(flags.weight, (text) => {
      const [nodeId, weight] = pairOf('--weight', text);
      return { op: 'weight' as const, nodeId, storageWeight: numberOf('--weight', weight) };
    }),
    ...each(flags.parameter, (text) => {
      const [name, value] = pairOf('--parameter', text);
      return { op: 'parameter' as const, name, value: numberOf('--parameter', value) };
    }),
    ...each(flags.quota, quotaOf),
    ...each(flags.namespace, (text) => {
      const [path, owners] = pairOf('--namespace', text);
      const names = owners.split(',');
      if (names.includes('')) throw usage('--namespace', `${text} names an owner without a name`);
      return { op: 'namespace' as const, path, owners: names };
    }),
    ...(flags.protocol === undefined ? [] : [{ op: 'protocol' as const, version: flags.protocol }]),
  ];
}

/** Like other lengths of time, and `7d`; 30 days at most, as the daemon takes. @throws USAGE */
export function parseLifetime(text: string): number {
  const days = /^(\d{1,3})d$/.exec(text.trim());
  const ms = days === null ? parseDuration(text) : Number(days[1]) * DAY_MS;
  if (ms >= 1 && ms <= LIFETIME_MAX_MS) return ms;
  throw usage('--expires', `${text} is not between 1s and 30d`);
}

function quotaOf(text: string): WantedChange {
  const [nodeId, rest] = pairOf('--quota', text);
  const amounts: { changesPerHour?: number; bytesPerHour?: number; paths?: number } = {};
  for (const part of rest.split(',')) {
    const [name = '', value = ''] = part.split(':');
    if (!Object.hasOwn(QUOTAS, name)) {
      throw usage('--quota', `${name} is no quota: there are changes, bytes and paths`);
    }
    if (value !== 'default')
      amounts[QUOTAS[name as keyof typeof QUOTAS]] = numberOf('--quota', value);
  }
  return { op: 'quota', nodeId, ...amounts };
}

/** Split at the last `=`: names and paths may have one. */
function pairOf(flag: string, text: string): [string, string] {
  const at = text.lastIndexOf('=');
  if (at > 0 && at < text.length - 1) return [text.slice(0, at), text.slice(at + 1)];
  throw usage(flag, `${text} is not of the form NAME=VALUE`);
}

function numberOf(flag: string, text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw usage(flag, `${text} is not a number from 0`);
}

const usage = (flag: string, what: string): AegisError =>
  new AegisError('USAGE', `${flag}: ${safeText(what)}`, {
    hint: 'See: aegis cluster propose --help',
  });
