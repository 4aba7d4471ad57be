/**
 * The torrc files of a private network: what each kind of member is told. Every value was measured
 * (a network that starts all at once is incomplete in one of three starts); starts nothing itself.
 */
import { join } from 'node:path';
import { torrcLine } from '../daemon/torrc-text.ts';

export type Role = 'authority' | 'relay';

export interface MemberPlan {
  readonly name: string;
  readonly role: Role;
  readonly dir: string;
}

export interface AuthorityPlan {
  /** The DirAuthority line that all have to know. */
  readonly value: string;
  readonly orPort: number;
  readonly dirPort: number;
}

/**
 * Seconds between two votes, from the first one on: the time periods of onion services follow from
 * the interval, so one that changed after the first vote would part services from their clients.
 */
export const VOTING_INTERVAL_S = 300;
/** How long before the end of an interval the authority votes, in seconds. */
export const VOTING_LEAD_S = 4;
/** So long, in seconds, that nothing is voted before the interval is set by the boot. */
const NO_VOTE_YET_S = 1800;

type Lines = readonly (readonly [option: string, value: string | number])[];

/** What every tor has to be told that wants to use this network. */
export const clientTorrc = (authority: AuthorityPlan): string => text(common(authority));

/** @param owner the pid whose end is the end of this tor; undefined: none. */
export function memberTorrc(
  { name, role, dir }: MemberPlan,
  authority: AuthorityPlan,
  owner: number | undefined,
): string {
  const isAuthority = role === 'authority';
  return text([
    ...common(authority),
    ['DataDirectory', dir],
    ['Nickname', name],
    ['RunAsDaemon', 0],
    ['ShutdownWaitLength', 0],
    ['Log', `notice file ${join(dir, 'notice.log')}`],
    ...(owner === undefined ? [] : ([['__OwningControllerProcess', owner]] as const)),
    ['ControlPort', '127.0.0.1:auto'],
    ['ControlPortWriteToFile', join(dir, 'control_port')],
    ['CookieAuthentication', 1],
    ['CookieAuthFile', join(dir, 'control_auth_cookie')],
    ...relayLines(isAuthority ? String(authority.orPort) : 'auto'),
    ...(isAuthority ? authorityLines(authority) : []),
  ]);
}

const common = ({ value }: AuthorityPlan): Lines => [
  ['TestingTorNetwork', 1],
  ['DirAuthority', value],
  ['AssumeReachable', 1],
  ['PathsNeededToBuildCircuits', '0.67'],
  ['GeoIPFile', '/dev/null'],
  ['GeoIPv6File', '/dev/null'],
];

/** Everybody is an exit to everywhere; names are not resolved, for the tests need none. */
const relayLines = (orPort: string): Lines => [
  ['SocksPort', 0],
  ['Address', '127.0.0.1'],
  ['ORPort', `127.0.0.1:${orPort} IPv4Only`],
  ['ContactInfo', 'private@localhost.invalid'],
  ['ExitRelay', 1],
  ['ExitPolicy', 'accept 127.0.0.0/8:*'],
  ['ExitPolicy', 'accept *:*'],
  ['ServerDNSDetectHijacking', 0],
  ['ServerDNSResolvConfFile', '/dev/null'],
  ['ServerDNSAllowBrokenConfig', 1],
];

const authorityLines = ({ dirPort }: AuthorityPlan): Lines => [
  ['DirPort', `127.0.0.1:${dirPort}`],
  ['AuthoritativeDirectory', 1],
  ['V3AuthoritativeDirectory', 1],
  ['V3AuthNIntervalsValid', 3],
  // All count as up from the first vote on; those it had not connected to yet would be left out.
  ['AuthDirTestReachability', 0],
  ['TestingDirAuthVoteExit', '*'],
  ['TestingDirAuthVoteHSDir', '*'],
  ['TestingDirAuthVoteGuard', '*'],
  ['TestingMinExitFlagThreshold', 0],
  ['TestingV3AuthInitialVotingInterval', NO_VOTE_YET_S],
  ['TestingV3AuthInitialVoteDelay', VOTING_LEAD_S / 2],
  ['TestingV3AuthInitialDistDelay', VOTING_LEAD_S / 2],
  ['V3AuthVotingInterval', VOTING_INTERVAL_S],
  ['V3AuthVoteDelay', VOTING_LEAD_S / 2],
  ['V3AuthDistDelay', VOTING_LEAD_S / 2],
];

const text = (lines: Lines): string =>
  lines.map(([option, value]) => `${torrcLine(option, value)}\n`).join('');
