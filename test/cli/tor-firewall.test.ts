/** The rules of `tor firewall`: as text, and as the kernel takes them in a namespace of our own. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { firewallRules, userOf, usersOf } from '../../src/cli/tor-firewall.ts';
import TorFirewall from '../../src/commands/tor/firewall.ts';
import { torFirewallOutput } from '../../src/core/api/contract/outputs.ts';
import { hasCode } from '../../src/core/errors.ts';
import { needs } from '../helpers/needs.ts';
import { run } from './command.ts';
import { withoutAegisVariables } from './homes.ts';

beforeAll(withoutAegisVariables);

const AEGIS = { name: 'aegis', uid: 61_001 };
const TOR = { name: 'debian-tor', uid: 61_002 };

test('users are found by name and by number; a made-up name is refused', async () => {
  const users = await usersOf();
  expect(userOf('root', users)).toEqual({ name: 'root', uid: 0 });
  expect(userOf('0', users)).toEqual({ name: 'root', uid: 0 });
  expect(userOf('61001', users)).toEqual({ name: '61001', uid: 61_001 });
  for (const [wanted, code] of [
    ['nobody-here', 'NOT_FOUND'],
    ['4294967295', 'USAGE'],
    ['-1', 'NOT_FOUND'],
  ] as const) {
    expect(() => userOf(wanted, users)).toThrow(expect.objectContaining({ code }));
  }
});

test('a name that could end a comment is no user', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'aegis-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const file = join(dir, 'passwd');
  writeFileSync(file, 'a b:x:1:1::/:\nok:x:2:2::/:\nbad\rname:x:3:3::/:\nno:x:x:3::/:\n');
  expect(await usersOf(file)).toEqual([{ name: 'ok', uid: 2 }]);
  expect(await usersOf(join(dir, 'none'))).toEqual([]);
});

test('one user for both cannot be told apart', () => {
  expect(() => firewallRules({ aegis: AEGIS, tor: AEGIS })).toThrow(
    expect.objectContaining({ code: 'BAD_CONFIG' }),
  );
});

test('the command prints the rules, and needs --print', async () => {
  const users = ['--user', '61001', '--tor-user', '61002'];
  const { stdout } = await run(TorFirewall, ['--print', ...users]);
  expect(stdout).toContain('meta skuid != 61001 accept');
  const { result } = await run(TorFirewall, ['--print', '--json', ...users]);
  expect(v.is(torFirewallOutput, result)).toBe(true);
  expect(result).toMatchObject({ aegis: { uid: 61_001 }, tor: { uid: 61_002 } });
  const { error } = await run(TorFirewall, users);
  expect(String(error)).toContain('print');
  expect(
    hasCode((await run(TorFirewall, ['--print', '--user', 'no-such'])).error, 'NOT_FOUND'),
  ).toBe(true);
});

/**
 * Two namespaces joined by a cable; a server in the far one and one on loopback. Each user tries
 * both, and a resolver on loopback; what the server heard is the proof, not only what a dial said.
 */
const SCRIPT = String.raw`
set -e
mkdir -p "$DIR/heard"; chmod 777 "$DIR" "$DIR/heard"
ip link set lo up
unshare -n sleep 60 & FAR=$!
trap 'kill $FAR $SERVER $LOCAL $NAMES 2>/dev/null || true' EXIT
until [ "$(readlink /proc/$FAR/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do :; done
ip link add near type veth peer name far netns $FAR
ip addr add 192.0.2.1/24 dev near; ip link set near up
nsenter -t $FAR -n sh -c 'ip addr add 192.0.2.2/24 dev far; ip link set far up; ip link set lo up'
serve='const [,port,host,file]=process.argv;
const listening=()=>require("fs").writeFileSync(file,"");
const take=(s)=>{s.on("error",()=>{});s.end("hello")};
require("net").createServer(take).listen(+port,host,listening)'
nsenter -t $FAR -n "$NODE" -e "$serve" 80 192.0.2.2 "$DIR/far" & SERVER=$!
"$NODE" -e "$serve" 9050 127.0.0.1 "$DIR/near" & LOCAL=$!
"$NODE" -e "$serve" 53 127.0.0.1 "$DIR/names" & NAMES=$!
until [ -e "$DIR/far" ] && [ -e "$DIR/near" ] && [ -e "$DIR/names" ]; do :; done
nft -f "$DIR/rules"; nft -f "$DIR/rules"
dial() {
  dialled="exec 3<>/dev/tcp/$2/$3 && cat <&3"
  setpriv --reuid "$1" --clear-groups bash -c "$dialled" 2>/dev/null || printf refused
  printf ' %s\n' "$4"
}
dial 61001 192.0.2.2 80 'aegis far'
dial 61001 127.0.0.1 9050 'aegis near'
dial 61001 127.0.0.1 53 'aegis names'
dial 61002 192.0.2.2 80 'tor far'
dial 61002 127.0.0.1 53 'tor names'
dial 61003 192.0.2.2 80 'other far'
nft list counter inet aegis refused | grep -o 'packets [0-9]*'
`;

const programs = ['unshare', 'nft', 'ip', 'setpriv', 'nsenter'];
const there = programs.every((program) => needs(program, 'the firewall'));
// Another user's dials can be made by root only.
const isRoot = process.getuid?.() === 0;

test.skipIf(!needs('nft', 'the firewall') || !there || !isRoot)(
  'the kernel lets aegis reach loopback and nothing else, and Tor all',
  () => {
    const dir = mkdtempSync(join(tmpdir(), 'aegis-'));
    onTestFinished(() => rmSync(dir, { recursive: true }));
    writeFileSync(join(dir, 'rules'), firewallRules({ aegis: AEGIS, tor: TOR }));
    const output = execFileSync('unshare', ['-n', 'bash', '-c', SCRIPT], {
      env: { PATH: process.env['PATH'], DIR: dir, NODE: process.execPath },
      encoding: 'utf8',
    });
    const [counted, ...said] = output.trimEnd().split('\n').toReversed();
    expect(said.toReversed()).toEqual([
      'refused aegis far',
      'hello aegis near',
      'refused aegis names',
      'hello tor far',
      'hello tor names',
      'hello other far',
    ]);
    // Each of the two dials; a packet that the kernel sends again is counted again.
    expect(Number(/^packets (\d+)$/.exec(counted ?? '')?.[1])).toBeGreaterThanOrEqual(2);
  },
);
