/**
 * Goal: what tor says becomes a message with a hint, and stays one when tor changes its words.
 * Setup: lines as tor 0.4.9.11 wrote them, and the sentences in the tor of this machine.
 * Check: codes and messages.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import { problemIn, whyEnded } from '../../../../src/core/tor/daemon/diagnosis.ts';
import { findTor } from '../../../../src/core/tor/daemon/find-tor.ts';
import { needs } from '../../../helpers/needs.ts';

const at = (level: string, text: string): string => `Nov 21 23:14:29.690 [${level}] ${text}`;
const LAST = at('err', 'Reading config failed--see warnings above.');
const FAILED = 'Failed to parse/validate config:';

describe('why it ended', () => {
  it.each([
    [
      [at('warn', `${FAILED} Unknown option 'Foo'.  Failing.`)],
      'BAD_CONFIG',
      "tor refuses its configuration: Unknown option 'Foo'.  Failing.",
    ],
    [
      [
        at('warn', "Couldn't parse log levels in Log option 'Log banana'"),
        at('warn', `${FAILED} Failed to validate Log options. See logs for details.`),
      ],
      'BAD_CONFIG',
      "tor refuses its configuration: Couldn't parse log levels in Log option 'Log banana'",
    ],
    [
      [
        at('warn', 'Could not bind to 127.0.0.1:9050: Address already in use. Is Tor running?'),
        at('warn', `${FAILED} Failed to bind one of the listener ports.`),
      ],
      'PORT_IN_USE',
      '127.0.0.1:9050, which our own tor is to listen at, is taken',
    ],
    [
      [at('warn', 'Could not bind to 0.0.0.0:80: Permission denied')],
      'DENIED',
      'our own tor may not listen at 0.0.0.0:80',
    ],
    [
      [
        at('warn', '/d is not owned by this user (tor, 7) but by ann (1000). Perhaps you are ...'),
        at('warn', `${FAILED} Couldn't create private data directory "/d"`),
      ],
      'DENIED',
      '/d belongs to ann, and tor runs as tor',
    ],
    [
      [at('warn', 'Permissions on directory /run/x are too permissive.')],
      'DENIED',
      'others may enter /run/x, where the sockets of our own tor are to be',
    ],
    [
      [at('warn', `${FAILED} Couldn't create private data directory "/proc/x"`)],
      'DENIED',
      'our own tor can have no data directory /proc/x',
    ],
    [
      [at('warn', 'Error reading included configuration file or directory: "/nope".')],
      'BAD_CONFIG',
      'tor cannot read /nope',
    ],
    [
      [at('warn', 'Error writing "/d/state.tmp": No space left on device')],
      'DISK_FULL',
      'the disk is too full for our own tor',
    ],
  ])('%j', (lines, code, message) => {
    const error = whyEnded([at('notice', 'Tor 0.4.9.11 running'), ...lines, LAST], 'exit status 1');
    expect(error).toMatchObject({ code, message, details: { lastLines: expect.any(Array) } });
    expect(error.hint).toBeTypeOf('string');
  });

  it('is passed on as tor said it, when nobody knows the words', () => {
    const lines = [at('err', 'The sky has fallen.'), at('notice', 'Closing')];
    expect(whyEnded(lines, 'exit status 1').message).toBe(
      'our own tor ended with exit status 1: The sky has fallen.',
    );
    const loader = 'tor: error while loading shared libraries: libevent: cannot open';
    expect(whyEnded([loader], 'exit status 127').message).toContain('libevent: cannot open');
    expect(whyEnded([at('notice', 'Done')], 'signal SIGKILL').message).toBe(
      'our own tor ended with signal SIGKILL',
    );
  });

  it('shows no control characters of another program', () => {
    const { message } = whyEnded([at('err', 'a\u001b[2Jb')], 'exit status 1');
    expect(message).toContain('a [2Jb');
  });
});

describe('what is wrong while it runs', () => {
  it.each([
    [
      'Our clock is 3 days, 4 hours behind the time published in the consensus network status',
      'TOR_NOT_READY',
      'the clock of this machine is 3 days, 4 hours behind, says Tor',
    ],
    [
      'Received NETINFO cell with skewed time (OR:1.2.3.4:5): It seems that our clock is ahead ' +
        'by 2 days, 0 minutes, or that theirs is behind. Tor requires an accurate clock to work',
      'TOR_NOT_READY',
      'the clock of this machine is 2 days, 0 minutes ahead, says Tor',
    ],
    [
      "Managed proxy at '/usr/bin/obfs4proxy' died in state configured",
      'TOR_FAILED',
      'the plugin /usr/bin/obfs4proxy of tor died in state configured',
    ],
    [
      'Please upgrade! This version of Tor (0.4.8.1) is obsolete, according to the directory',
      'TOR_TOO_OLD',
      'Tor 0.4.8.1 is obsolete, say the directory authorities',
    ],
  ])('%s', (text, code, message) => {
    expect(problemIn(at('warn', text))).toMatchObject({ code, message });
  });

  it('is nothing, usually', () => {
    expect(problemIn(at('notice', 'Bootstrapped 100% (done): Done'))).toBeUndefined();
  });
});

test.skipIf(!needs('tor', 'the words of tor'))(
  'are the words of the tor of this machine',
  async () => {
    const { path } = await findTor();
    const program = readFileSync(path, 'latin1');
    for (const words of [
      'It looks like another Tor process is running with the same data directory.',
      'Could not bind to %s:%u: %s%s',
      '%s is not owned by this user (%s, %d) but by %s (%d).',
      'Permissions on directory %s are too permissive.',
      'private data directory "%s"',
      'Error reading included configuration file or directory: "%s".',
      'Failed to parse/validate config: %s',
      'Our clock is %s behind the time published',
      'It seems that our clock is %s by %s, or that theirs is',
      "Managed proxy at '%s' died in state %s",
      "Managed proxy at '%s' reported via standard error: %s",
      'Please upgrade! This version of Tor (%s) is %s, according to the directory authorities.',
    ]) {
      expect(program.includes(words), words).toBe(true);
    }
  },
);
