/**
 * The torrc of a Tor of our own, from settings (O8). Every value is quoted, nothing that comes from
 * outside begins a line; the extra file of the operator comes last. Reads and writes no file.
 */
import { AegisError } from '../../errors.ts';
import { torrcLine, unixAddress } from './torrc-text.ts';

export interface TorrcPlan {
  readonly dataDir: string;
  readonly controlSocket: string;
  readonly socksSocket: string;
  readonly cookieFile: string;
  readonly exits: boolean;
  /** Values of `Bridge`, as bridges are handed out. */
  readonly bridges: readonly string[];
  /** Values of `ClientTransportPlugin`. */
  readonly transports: readonly string[];
  /** A file with further lines. */
  readonly extra: string | undefined;
}

type Lines = readonly (readonly [option: string, value: string])[];

/** What nobody else may change; checked after the start, for the extra file comes last (O10). */
export function ownLines(plan: TorrcPlan): Lines {
  const flags = 'IsolateSOCKSAuth KeepAliveIsolateSOCKSAuth ExtendedErrors';
  const only = plan.exits ? '' : ' OnionTrafficOnly';
  return [
    ['DataDirectory', plan.dataDir],
    ['ControlPort', unixAddress(plan.controlSocket)],
    // O5, O11: set here and not later, since Tor keeps the flags of a port that is open.
    ['SocksPort', `${unixAddress(plan.socksSocket)} ${flags}${only}`],
    ['CookieAuthFile', plan.cookieFile],
    // It may have gone to sleep before it was stopped, and would not publish a service then.
    ['DormantCanceledByStartup', '1'],
    // Addresses of peers are numbers: with exits that is meant, and no name is looked up for it.
    ['SafeSocks', '0'],
    ['TestSocks', '0'],
  ];
}

/** What the extra file may add to. */
export const addedLines = ({ bridges, transports }: TorrcPlan): Lines => [
  ...bridges.map((bridge) => ['Bridge', bridge] as const),
  ...transports.map((plugin) => ['ClientTransportPlugin', plugin] as const),
];

/** @throws {AegisError} `BAD_CONFIG` for a value that is no value of one line. */
export function torrcText(plan: TorrcPlan): string {
  checkBridges(plan);
  const lines = [
    ...ownLines(plan),
    ['Log', 'notice stdout'] as const,
    ['ClientOnly', '1'] as const,
    ...(plan.bridges.length > 0 ? [['UseBridges', '1'] as const] : []),
    ...addedLines(plan),
    ...(plan.extra === undefined ? [] : [['%include', plan.extra] as const]),
  ];
  const head = '# Written by aegis at every start; your own lines go into the file of tor.torrc.\n';
  return head + lines.map(([option, value]) => `${torrcLine(option, value)}\n`).join('');
}

/** The value of a line that was copied with its option, as bridges often are. */
export const valueOf = (option: string, line: string): string => {
  const [first = ''] = line.trimStart().split(' ', 1);
  const isOption = first.toLowerCase() === option.toLowerCase();
  return (isOption ? line.trimStart().slice(first.length) : line).trim();
};

/** Tor takes a bridge whose plugin is missing, and then waits for ever. */
function checkBridges({ bridges, transports, extra }: TorrcPlan): void {
  if (extra !== undefined) return;
  const known = new Set(transports.flatMap((line) => line.trim().split(/\s+/)[0]!.split(',')));
  for (const bridge of bridges) {
    const [first = ''] = bridge.trim().split(/\s+/);
    const isName = /^[A-Za-z_][A-Za-z0-9_]*$/.test(first);
    if (!isName || known.has(first)) continue;
    throw new AegisError('BAD_CONFIG', `a bridge in tor.bridges needs the plugin ${first}`, {
      hint: `Name it: aegis config set tor.plugins '${first} exec /usr/bin/PROGRAM'`,
    });
  }
}

/** The programs that the plugins start; a plugin that is reached by `socks5` starts none. */
export const pluginPrograms = (transports: readonly string[]): string[] =>
  transports.flatMap((line) => {
    const [, method, program] = line.trim().split(/\s+/);
    return method === 'exec' && program !== undefined ? [program] : [];
  });
