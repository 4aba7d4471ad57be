/**
 * O22: the second wall, as nftables rules. They tell users apart, so aegis and Tor must be two.
 * Pure but for the list of users; nothing is loaded here.
 */
import { readFile } from 'node:fs/promises';
import { AegisError } from '../core/errors.ts';

export interface Walled {
  readonly name: string;
  readonly uid: number;
}

/** The largest is what setuid takes for "no change". */
const UID_MAX = 2 ** 32 - 2;
/** What distributions call the user of Tor. */
export const TOR_USERS: readonly string[] = ['debian-tor', 'tor', '_tor', 'toranon'];

/** A user by name or number. @throws {AegisError} `NOT_FOUND`, `USAGE`. */
export function userOf(wanted: string, users: readonly Walled[]): Walled {
  const known = users.find(({ name }) => name === wanted);
  if (known !== undefined) return known;
  if (!/^\d+$/.test(wanted)) {
    throw new AegisError('NOT_FOUND', `this machine has no user ${JSON.stringify(wanted)}`, {
      hint: 'Name one that it has, or give its number.',
    });
  }
  const uid = Number(wanted);
  if (uid > UID_MAX) throw new AegisError('USAGE', `${wanted} is the number of no user`);
  return users.find((user) => user.uid === uid) ?? { name: wanted, uid };
}

/** The users of this machine that its passwd names. */
export async function usersOf(file = '/etc/passwd'): Promise<Walled[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => {
    const [name = '', , uid = ''] = line.split(':');
    return /^\d+$/.test(uid) && isPlain(name) ? [{ name, uid: Number(uid) }] : [];
  });
}

/** A name goes into a comment of the rules: one word of letters that end no line. */
const isPlain = (name: string): boolean => /^[A-Za-z0-9_.-]{1,64}$/.test(name);

/** @throws {AegisError} `BAD_CONFIG` when rules by user cannot tell aegis from Tor. */
export function firewallRules({ aegis, tor }: { aegis: Walled; tor: Walled }): string {
  if (aegis.uid === tor.uid) {
    throw new AegisError('BAD_CONFIG', `aegis and Tor both run as ${tor.name} (${tor.uid})`, {
      hint: 'Rules tell users apart: let Tor run as another one (tor.daemon system, --tor-user).',
    });
  }
  return RULES.replaceAll('@aegis@', String(aegis.uid))
    .replaceAll('@tor@', String(tor.uid))
    .replaceAll('@aegis name@', aegis.name)
    .replaceAll('@tor name@', tor.name);
}

/**
 * Loaded twice they are the same as loaded once. A resolver that listens on loopback would carry
 * names out, so loopback has no port 53 for aegis. A TCP dial is refused at once, not dropped:
 * whatever dials past Tor shows in the log of that moment, and in the counter.
 */
const RULES = `#!/usr/sbin/nft -f
# aegis (@aegis name@, @aegis@) reaches loopback only; Tor (@tor name@, @tor@) reaches all.
# Load: nft -f FILE. At each start of the machine: include FILE in /etc/nftables.conf.
# See what was refused: nft list counter inet aegis refused. Undo: nft delete table inet aegis
table inet aegis
delete table inet aegis
table inet aegis {
  counter refused { }
  chain output {
    type filter hook output priority filter; policy accept;
    meta skuid @tor@ accept
    meta skuid != @aegis@ accept
    oifname "lo" meta l4proto { tcp, udp } th dport { 53, 853 } goto refuse
    oifname "lo" accept
    goto refuse
  }
  chain refuse {
    counter name "refused"
    meta l4proto tcp reject with tcp reset
    reject with icmpx type admin-prohibited
  }
}
`;
