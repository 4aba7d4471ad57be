/** How members of a cluster are shown. */
import type { MemberView } from '../core/api/contract/membership.ts';
import { shortId } from '../core/model/identity.ts';
import { table } from './format.ts';

export const membersTable = (
  members: readonly MemberView[],
  heading: (text: string) => string,
): string =>
  table(
    members,
    [
      { title: 'NAME', cell: ({ name, self }) => (self ? `${name} (this node)` : name) },
      { title: 'NODE', cell: ({ nodeId }) => shortId(nodeId) },
      { title: 'ROLE', cell: ({ role }) => role },
      { title: 'ZONE', cell: ({ zone }) => zone },
      { title: 'SINCE', cell: ({ since }) => (since === 0 ? 'genesis' : String(since)) },
      { title: 'KEYS', cell: ({ number }) => String(number) },
      { title: 'READY', cell: ({ readyFor }) => (readyFor === null ? '-' : String(readyFor)) },
      { title: 'STATE', cell: stateOf },
    ],
    { heading },
  );

function stateOf({ status, frozen, banned, connected, self }: MemberView): string {
  if (status === 'left') return 'left';
  if (frozen) return 'frozen';
  if (banned) return 'banned here';
  return connected || self ? 'connected' : '-';
}
