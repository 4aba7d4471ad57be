/**
 * Network namespaces of a test's own, in which daemons show that they need no way but Tor's: one
 * with nothing but `lo`, and one with a way out whose packets are counted and dropped. Nothing is
 * made in the namespace of the machine, and the kernel takes all away when this process ends.
 * Sockets with a path cross namespaces, so that a daemon inside reaches a Tor outside by them.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

const run = promisify(execFile);
const FILES = import.meta.dirname;
const isRoot = process.getuid?.() === 0;

/** Where names are looked up inside: nobody is there. */
export const NAME_SERVER = '198.51.100.53';
/** What the counted jail may reach: one port of one machine. */
export const HUB = { host: '10.99.0.1', port: 9050 } as const;

export type Command = readonly [program: string, ...args: string[]];

/** Packets that wanted out of the counted jail. */
export interface Counts {
  /** To the one allowed port. */
  readonly allowed: number;
  readonly dns: number;
  readonly mdns: number;
  readonly tcp: number;
  readonly udp: number;
  readonly icmp: number;
  /** IGMP among others: somebody has joined a group. */
  readonly other: number;
  /** Name look-ups at a server that would be on the own machine; they never leave by a veth. */
  readonly ownDns: number;
  /** `address protocol port`, sorted. */
  readonly destinations: readonly string[];
}

/** Everything that is not allowed; what a test wants to be 0. */
export const leaked = ({ dns, mdns, tcp, udp, icmp, other, ownDns }: Counts): number =>
  dns + mdns + tcp + udp + icmp + other + ownDns;

/** Why this machine makes no namespaces, if it does not. */
export async function withoutNamespaces(): Promise<string | undefined> {
  try {
    for (const [program, ...args] of [
      ['ip', '-V'],
      ['nft', '--version'],
      ['nsenter', '-V'],
    ]) {
      await run(program!, args);
    }
    const jail = await CountedJail.make();
    await jail.stop();
    return undefined;
  } catch (error) {
    return (error as Error).message.split('\n')[0];
  }
}

/** A process that holds namespaces open, and ends when we do: its standard input ends then. */
class Holder {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start([program, ...args]: Command, script: string): Promise<Holder> {
    const child = spawn(program, [...args, 'sh', '-ec', `${script}\necho ready\nexec cat`], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let words = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (words += text));
    await new Promise<void>((resolve, reject) => {
      createInterface({ input: child.stdout }).once('line', () => resolve());
      child.once('error', reject);
      child.once('close', (code) => reject(new Error(`${program}: exit ${code}: ${words.trim()}`)));
    });
    return new Holder(child);
  }

  /** How a command gets inside. */
  get door(): Command {
    const user = isRoot ? [] : ['--user', '--preserve-credentials'];
    return ['nsenter', `--target=${this.#child.pid}`, ...user, '--net', '--mount', '--'];
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin?.end();
    await gone;
  }
}

const unshare: Command = ['unshare', ...(isRoot ? [] : ['--map-root-user']), '--net', '--mount'];

/** No name service and no agent of the machine inside: their sockets would cross. */
const MOUNTS = `
ip link set lo up
mount -t tmpfs none /run
mkdir -p "$(dirname "$(readlink -f /etc/resolv.conf)")"
[ -e /etc/resolv.conf ] || touch "$(readlink -f /etc/resolv.conf)"
mount --bind '${join(FILES, 'resolv.conf')}' /etc/resolv.conf`;

/** Nothing but `lo`: whatever wants out, fails. */
export class LoneJail {
  readonly #holder: Holder;

  private constructor(holder: Holder) {
    this.#holder = holder;
  }

  static async make(): Promise<LoneJail> {
    return new LoneJail(await Holder.start(unshare, MOUNTS));
  }

  /** Before a program and its arguments. */
  get door(): Command {
    return this.#holder.door;
  }

  async stop(): Promise<void> {
    await this.#holder.stop();
  }
}

/** A way out, on which everything is counted, and dropped but for what goes to `HUB`. */
export class CountedJail {
  readonly #jail: Holder;
  readonly #hub: Holder;

  private constructor(jail: Holder, hub: Holder) {
    this.#jail = jail;
    this.#hub = hub;
  }

  static async make(): Promise<CountedJail> {
    const hub = await Holder.start(unshare, 'ip link set lo up');
    try {
      // Made from inside the hub: without root both must have the same user namespace.
      const jail = await Holder.start(
        [...hub.door, 'unshare', '--net', '--mount'],
        `${MOUNTS}\nip link add vj type veth peer name vh\n${NOT_NOISY}`,
      );
      const made = new CountedJail(jail, hub);
      try {
        await made.#connect();
        return made;
      } catch (error) {
        await made.stop();
        throw error;
      }
    } catch (error) {
      await hub.stop();
      throw error;
    }
  }

  async #connect(): Promise<void> {
    const hubPid = this.#hub.door[1]!.split('=')[1];
    await this.#inside(this.#jail, ['ip', 'link', 'set', 'vh', 'netns', hubPid!]);
    await this.#inside(this.#hub, ['sh', '-ec', HUB_SIDE]);
    await this.#inside(this.#jail, ['sh', '-ec', JAIL_SIDE]);
    await this.#inside(this.#hub, ['nft', '-f', join(FILES, 'leak.nft')]);
    await this.#inside(this.#jail, ['nft', '-f', join(FILES, 'own.nft')]);
    await this.reset();
  }

  async #inside({ door: [program, ...args] }: Holder, command: Command): Promise<string> {
    const { stdout } = await run(program, [...args, ...command]);
    return stdout;
  }

  get door(): Command {
    return this.#jail.door;
  }

  /** Where whoever serves the allowed port runs. */
  get hubDoor(): Command {
    return this.#hub.door;
  }

  async counts(): Promise<Counts> {
    const [hub, own] = await Promise.all(
      [this.#hub, this.#jail].map(
        async (holder) =>
          JSON.parse(await this.#inside(holder, ['nft', '-j', 'list', 'ruleset'])) as Ruleset,
      ),
    );
    const packets = new Map(
      [...hub!.nftables, ...own!.nftables].flatMap(({ counter }) =>
        counter === undefined ? [] : [[counter.name, counter.packets]],
      ),
    );
    const of = (name: string): number => packets.get(name) ?? Number.NaN;
    const destinations = hub!.nftables.flatMap(({ set }) => (set?.elem ?? []).map(nameOf));
    return {
      allowed: of('c_allowed'),
      dns: of('c_dns'),
      mdns: of('c_mdns'),
      tcp: of('c_tcp'),
      udp: of('c_udp'),
      icmp: of('c_icmp'),
      other: of('c_other'),
      ownDns: of('own_dns'),
      destinations: destinations.toSorted(),
    };
  }

  async reset(): Promise<void> {
    await this.#inside(this.#hub, ['nft', '-f', join(FILES, 'leak.nft')]);
    await this.#inside(this.#jail, ['nft', '-f', join(FILES, 'own.nft')]);
  }

  async stop(): Promise<void> {
    await this.#jail.stop();
    await this.#hub.stop();
  }
}

interface Ruleset {
  readonly nftables: readonly {
    readonly counter?: { readonly name: string; readonly packets: number };
    readonly set?: { readonly elem?: readonly Element[] };
  }[];
}

type Concatenated = { readonly concat: readonly (string | number)[] };
type Element = Concatenated | { readonly elem: { readonly val: Concatenated } };

const nameOf = (element: Element): string =>
  ('elem' in element ? element.elem.val : element).concat.join(' ');

/** What the kernel itself says when an interface comes up; it would be counted. */
const NOT_NOISY = `
for conf in all default vj; do
  for name in accept_dad router_solicitations; do
    [ ! -e /proc/sys/net/ipv6/conf/$conf/$name ] || echo 0 > /proc/sys/net/ipv6/conf/$conf/$name
  done
done`;
const HUB_SIDE = `
ip addr add ${HUB.host}/24 dev vh
ip -6 addr add fd99::1/64 dev vh nodad || true
ip link set vh up`;
/**
 * Addresses without a network: a dial to a neighbour would otherwise be an ARP that nobody answers,
 * and that nobody counts. With a default route, for the kernel refuses without one.
 */
const JAIL_SIDE = `
ip addr add 10.99.0.2/32 dev vj
ip -6 addr add fd99::2/128 dev vj nodad || true
ip link set vj up
ip route add ${HUB.host} dev vj
ip route add default via ${HUB.host}
ip -6 route add fd99::1 dev vj || true
ip -6 route add default via fd99::1 || true`;
