/** What people see of the room that content takes. */
import type { Reply } from '../../core/api/contract/endpoints.ts';
import { ago, bytes, facts } from '../format.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

type Space = Reply<'kb.space'>;

export function spaceText(space: Space, warn: (text: string) => string): string {
  const share = Math.round((100 * space.usedBytes) / Math.max(1, space.quotaBytes));
  const used = `${bytes(space.usedBytes)} of ${bytes(space.quotaBytes)} (${share} %)`;
  const free = `${bytes(space.diskFreeBytes)} of ${bytes(space.diskBytes)}`;
  const { lastCollection: last } = space;
  return facts([
    ['paths', String(space.paths)],
    ['versions', String(space.versions)],
    ['contents here', String(space.roots)],
    ['objects', `${space.objects}, ${bytes(space.sizeBytes)}`],
    ['pins', String(space.pins)],
    ['used', space.isOverQuota ? warn(`${used}: nothing more is taken in`) : used],
    ['on disk', `${bytes(space.fileBytes)}, ${bytes(space.freeBytes)} of it without use`],
    ['disk free', space.isBelowReserve ? warn(`${free}: nothing more is taken in`) : free],
    ['reserve', bytes(space.reserveBytes)],
    ['retention', retentionText(space)],
    ['collecting', space.isCollecting ? 'now' : undefined],
    [
      'collected',
      last === null
        ? undefined
        : `${bytes(last.sizeBytes)} in ${last.roots} contents, ${ago(last.time)}`,
    ],
  ]);
}

function retentionText({ keepLast, keepForMs }: Space): string {
  if (keepLast === null && keepForMs === null) return 'all versions keep their content';
  const rules = [
    ...(keepLast === null ? [] : [`the last ${keepLast} behind the heads`]),
    ...(keepForMs === null ? [] : [`${Math.round(keepForMs / DAY_MS)} days once followed`]),
  ];
  return rules.join(', and ');
}
