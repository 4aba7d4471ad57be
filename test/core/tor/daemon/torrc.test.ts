import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  pluginPrograms,
  type TorrcPlan,
  torrcText,
  valueOf,
} from '../../../../src/core/tor/daemon/torrc.ts';
import { torrcLine, unixAddress } from '../../../../src/core/tor/daemon/torrc-text.ts';

const plan: TorrcPlan = {
  dataDir: '/home/a/tor',
  controlSocket: '/run/a/tor/control',
  socksSocket: '/run/a/tor/socks',
  cookieFile: '/home/a/tor/control_auth_cookie',
  exits: false,
  bridges: [],
  transports: [],
  extra: undefined,
};

/** A quoted string of C, as tor reads it. */
const read = (quoted: string): string => quoted.slice(1, -1).replace(/\\(.)/g, '$1');

describe('a line of a torrc', () => {
  it('holds any value without control characters, and nothing more', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (value) => {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are refused, see below.
        fc.pre(!/[\u0000-\u001f\u007f]/.test(value));
        const line = torrcLine('Bridge', value);
        expect(line).not.toContain('\n');
        const quoted = line.slice('Bridge '.length);
        expect(quoted).toMatch(/^"(?:[^"\\]|\\["\\])*"$/s);
        expect(read(quoted)).toBe(value);
      }),
    );
  });

  it('refuses every control character, wherever it stands', () => {
    const control = fc.integer({ min: 0, max: 0x20 }).map((code) => (code === 0x20 ? 0x7f : code));
    fc.assert(
      fc.property(fc.string(), control, fc.string(), (before, code, after) => {
        const value = `${before}${String.fromCharCode(code)}${after}`;
        expect(() => torrcLine('Bridge', value)).toThrow(/control character/);
      }),
    );
  });

  it.each(['', 'Socks Port', 'SocksPort\n', '#', 'A"'])('has no option %j', (option) => {
    expect(() => torrcLine(option, '1')).toThrow(/is no option/);
  });

  it('quotes the path of a socket once more', () => {
    const line = torrcLine('SocksPort', `${unixAddress('/a "b"/s')} ExtendedErrors`);
    expect(read(line.slice('SocksPort '.length))).toBe('unix:"/a \\"b\\"/s" ExtendedErrors');
  });
});

describe('the torrc of a Tor of our own', () => {
  it('lets nothing but onion services through, unless exits are wanted', () => {
    expect(torrcText(plan)).toMatch(/^SocksPort .* OnionTrafficOnly"$/m);
    expect(torrcText({ ...plan, exits: true })).not.toContain('OnionTrafficOnly');
  });

  it('uses bridges when there are some, and includes the file of the operator last', () => {
    const bridges = ['10.0.0.1:443 ABC', '[2001:db8::1]:443'];
    const text = torrcText({ ...plan, bridges, extra: '/etc/a torrc' });
    expect(text).toContain(
      'UseBridges "1"\nBridge "10.0.0.1:443 ABC"\nBridge "[2001:db8::1]:443"\n',
    );
    expect(text).toMatch(/%include "\/etc\/a torrc"\n$/);
    expect(torrcText(plan)).not.toMatch(/Bridge|%include/);
  });

  it('misses the plugin of a bridge before tor waits for it', () => {
    const bridges = ['obfs4 10.0.0.1:443 ABC cert=x'];
    const message = /needs the plugin obfs4/;
    expect(() => torrcText({ ...plan, bridges })).toThrow(message);
    const meek = ['meek,webtunnel exec /usr/bin/x'];
    expect(() => torrcText({ ...plan, bridges, transports: meek })).toThrow(message);
    const both = ['meek,obfs4 exec /usr/bin/x'];
    expect(torrcText({ ...plan, bridges, transports: both })).toContain('ClientTransportPlugin');
    // The operator's file may have it.
    expect(torrcText({ ...plan, bridges, extra: '/etc/extra' })).toContain('UseBridges');
  });

  it('takes a line that was copied with its option', () => {
    expect(valueOf('Bridge', ' bridge  10.0.0.1:443 ABC ')).toBe('10.0.0.1:443 ABC');
    expect(valueOf('Bridge', 'bridges 10.0.0.1:443')).toBe('bridges 10.0.0.1:443');
    // What is refused later stays as it is.
    expect(valueOf('Bridge', '10.0.0.1:443\nFoo 1')).toBe('10.0.0.1:443\nFoo 1');
  });

  it('knows which programs plugins start', () => {
    expect(
      pluginPrograms(['a exec /bin/a --flag', 'b socks5 127.0.0.1:1', ' c,d  exec /bin/c']),
    ).toEqual(['/bin/a', '/bin/c']);
  });
});
