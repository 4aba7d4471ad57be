/**
 * What the words of a tor mean: why it ended, and what is wrong while it runs. Tor has no codes for
 * that, so these are its sentences (0.4.8, 0.4.9); one that is not known is passed on as it is.
 */
import { AegisError, type ErrorCode } from '../../errors.ts';
import { shown } from '../control/text.ts';

interface TorLine {
  readonly level: string;
  readonly text: string;
}

interface Meaning {
  readonly pattern: RegExp;
  readonly code: ErrorCode;
  readonly message: (...found: string[]) => string;
  readonly hint?: string;
}

/** `Nov 21 23:14:29.690 [warn] words`; anything else is words alone. */
function parseLine(line: string): TorLine {
  const found = /^\w{3} \d\d \d\d:\d\d:\d\d\.\d{3} \[(\w+)\] (.*)$/.exec(line);
  return found === null ? { level: '', text: line } : { level: found[1]!, text: found[2]! };
}

/** The first that applies to any line counts: what comes first is the cause of what follows. */
const OF_AN_END: readonly Meaning[] = [
  {
    pattern: /another Tor process is running with the same data directory/,
    code: 'TOR_FAILED',
    message: () => 'another tor uses the data directory of our own one',
    hint: 'End that one; one home has one tor.',
  },
  {
    pattern: /Could not bind to (.+?): Address already in use/,
    code: 'PORT_IN_USE',
    message: (place) => `${place}, which our own tor is to listen at, is taken`,
    hint: 'Another tor may run there. The file of tor.torrc names the port.',
  },
  {
    pattern: /Could not bind to (.+?): Permission denied/,
    code: 'DENIED',
    message: (place) => `our own tor may not listen at ${place}`,
    hint: 'The file of tor.torrc names the port; those below 1024 are for root.',
  },
  {
    pattern: /^(.+) is not owned by this user \((.+?), \d+\) but by (.+?) \(/,
    code: 'DENIED',
    message: (path, us, them) => `${path} belongs to ${them}, and tor runs as ${us}`,
    hint: 'Give the directory to the user of aegis: chown -R.',
  },
  {
    pattern: /Permissions on directory (.+) are too permissive/,
    code: 'DENIED',
    message: (path) => `others may enter ${path}, where the sockets of our own tor are to be`,
    hint: 'Close it: chmod 700. Also: aegis doctor --fix.',
  },
  {
    pattern: /No space left on device|Disk quota exceeded/,
    code: 'DISK_FULL',
    message: () => 'the disk is too full for our own tor',
  },
  {
    pattern: /Couldn't (?:create|access) private data directory "(.+)"/,
    code: 'DENIED',
    message: (path) => `our own tor can have no data directory ${path}`,
    hint: 'See who owns it and the directories above it.',
  },
  {
    pattern: /Error reading included configuration file or directory: "(.+)"/,
    code: 'BAD_CONFIG',
    message: (path) => `tor cannot read ${path}`,
    hint: 'That is the file of the setting tor.torrc, or one that it includes.',
  },
];

/** Says only that something is wrong; what it is stands before. */
const REFUSED = /^Failed to parse\/validate config: (.+)$/;
const SEE_BEFORE = /See logs for details|Failed to bind one of the listener/;

/** @param how such as `exit status 1`. */
export function whyEnded(lines: readonly string[], how: string): AegisError {
  const parsed = lines.map(parseLine);
  const details = { lastLines: lines.slice(-6).map(shown) };
  for (const meaning of OF_AN_END) {
    const error = firstIn(parsed, meaning, details);
    if (error !== undefined) return error;
  }
  const at = parsed.findIndex(({ text }) => REFUSED.test(text));
  if (at >= 0) {
    const said = REFUSED.exec(parsed[at]!.text)![1]!;
    const before = parsed[at - 1];
    const why = SEE_BEFORE.test(said) && before?.level === 'warn' ? before.text : said;
    return new AegisError('BAD_CONFIG', `tor refuses its configuration: ${shown(why)}`, {
      hint: 'See the settings tor.bridges and tor.plugins and the file of tor.torrc.',
      details,
    });
  }
  // A line without a level is none of tor's: the loader's of programs, say.
  const last = parsed.findLast(({ level }) => level === 'err' || level === '');
  const words = last === undefined ? '' : `: ${shown(last.text)}`;
  return new AegisError('TOR_FAILED', `our own tor ended with ${how}${words}`, { details });
}

const OF_A_RUN: readonly Meaning[] = [
  {
    pattern: /Our clock is (.+?) behind the time published/,
    code: 'TOR_NOT_READY',
    message: (howFar) => `the clock of this machine is ${howFar} behind, says Tor`,
    hint: 'Set the clock (timedatectl set-ntp true); Tor cannot work with a wrong one.',
  },
  {
    pattern: /with skewed time .*our clock is (ahead|behind) by (.+?), or/,
    code: 'TOR_NOT_READY',
    message: (where, howFar) => `the clock of this machine is ${howFar} ${where}, says Tor`,
    hint: 'Set the clock (timedatectl set-ntp true); Tor cannot work with a wrong one.',
  },
  {
    pattern: /Managed proxy at '(.+?)' (died in state|reported via standard error:) (.+)$/,
    code: 'TOR_FAILED',
    message: (path, how, what) => `the plugin ${path} of tor ${how} ${what}`,
    hint: 'See tor.plugins and tor.bridges.',
  },
  {
    pattern: /Please upgrade! This version of Tor \((.+?)\) is (.+?), according to/,
    code: 'TOR_TOO_OLD',
    message: (version, what) => `Tor ${version} is ${what}, say the directory authorities`,
  },
];

/** What is wrong with a tor that goes on, if this line tells. */
export function problemIn(line: string): AegisError | undefined {
  const parsed = [parseLine(line)];
  for (const meaning of OF_A_RUN) {
    const error = firstIn(parsed, meaning, {});
    if (error !== undefined) return error;
  }
  return undefined;
}

function firstIn(
  lines: readonly TorLine[],
  { pattern, code, message, hint }: Meaning,
  details: Readonly<Record<string, unknown>>,
): AegisError | undefined {
  for (const { text } of lines) {
    const found = pattern.exec(text);
    if (found === null) continue;
    const words = message(...found.slice(1).map(shown));
    return new AegisError(code, words, { details, ...(hint === undefined ? {} : { hint }) });
  }
  return undefined;
}
