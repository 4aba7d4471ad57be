/**
 * The sockets of this process as the kernel has them: which descriptors are sockets, and what the
 * tables of the network namespace say of each (proc(5)). It judges none of them.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';

export interface KernelSocket {
  readonly inode: string;
  readonly kind: 'tcp' | 'udp' | 'unix' | 'unknown';
  /** `host:port`, or the path of a unix socket, where it has one. */
  readonly local?: string;
  /** Of one that is connected. */
  readonly remote?: string;
  readonly isListening: boolean;
}

const TCP_LISTEN = '0A';
const UNIX_ACCEPTS = 0x10000;

/** @returns undefined where the kernel tells nothing, e.g. on another system. */
export async function kernelSockets(proc = '/proc/self'): Promise<KernelSocket[] | undefined> {
  const first = await look(proc);
  if (first === undefined) return undefined;
  // One that was closed between the two looks is in no table.
  const isSettled = first.every(({ kind }) => kind !== 'unknown');
  return isSettled ? first : await look(proc);
}

async function look(proc: string): Promise<KernelSocket[] | undefined> {
  try {
    const inodes = await socketInodes(`${proc}/fd`);
    const known = new Map<string, KernelSocket>();
    for (const [name, parse] of TABLES) {
      const text = await readFile(`${proc}/net/${name}`, 'utf8').catch(missing);
      for (const socket of parse(text)) known.set(socket.inode, socket);
    }
    return inodes.map(
      (inode) => known.get(inode) ?? { inode, kind: 'unknown', isListening: false },
    );
  } catch {
    return undefined;
  }
}

/** A kernel without IPv6 has no table of it. */
function missing(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return '';
  throw error;
}

async function socketInodes(dir: string): Promise<string[]> {
  const names = await readdir(dir);
  const links = await Promise.all(
    names.map((name) => readlink(`${dir}/${name}`).catch(() => undefined)),
  );
  const inodes = links.map((link) => /^socket:\[(\d+)\]$/.exec(link ?? '')?.[1]);
  return [...new Set(inodes.filter((inode) => inode !== undefined))];
}

/** `sl local_address rem_address st ... inode`, addresses in hexadecimal. */
const internet =
  (kind: 'tcp' | 'udp') =>
  (table: string): KernelSocket[] =>
    table
      .split('\n')
      .slice(1)
      .flatMap((line) => {
        const [, local, remote, state, , , , , , inode] = line.trim().split(/\s+/);
        if (local === undefined || remote === undefined || inode === undefined) return [];
        const to = addressOf(remote);
        const isConnected = !to.endsWith(':0');
        return [
          {
            ...{ inode, kind, local: addressOf(local) },
            ...(isConnected ? { remote: to } : {}),
            isListening: kind === 'tcp' && state === TCP_LISTEN,
          },
        ];
      });

/** `Num RefCount Protocol Flags Type St Inode Path`. */
const unix = (table: string): KernelSocket[] =>
  table
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const found = /^\S+ \S+ \S+ ([0-9A-Fa-f]+) \S+ \S+\s+(\d+)(?: (.*))?$/.exec(line.trim());
      if (found === null) return [];
      const [, flags = '0', inode = '', path] = found;
      const isListening = (Number.parseInt(flags, 16) & UNIX_ACCEPTS) !== 0;
      return [{ inode, kind: 'unix' as const, isListening, ...(path ? { local: path } : {}) }];
    });

const TABLES = [
  ['tcp', internet('tcp')],
  ['tcp6', internet('tcp')],
  ['udp', internet('udp')],
  ['udp6', internet('udp')],
  ['unix', unix],
] as const;

/** `0100007F:0FA1`: words of 32 bits in the order of this machine, then the port. */
function addressOf(text: string): string {
  const [hex = '', port = ''] = text.split(':');
  const bytes = Buffer.from(hex, 'hex');
  // Linux writes each word as a number: on a little-endian machine its bytes are turned around.
  for (let at = 0; at + 4 <= bytes.length; at += 4) bytes.subarray(at, at + 4).reverse();
  const number = Number.parseInt(port, 16);
  if (bytes.length === 4) return `${[...bytes].join('.')}:${number}`;
  const isMapped = bytes.subarray(0, 12).equals(MAPPED);
  if (isMapped) return `${[...bytes.subarray(12)].join('.')}:${number}`;
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(at * 2).toString(16));
  const zeros = groups.join(':').replace(/(^|:)0(:0)+(:|$)/, '::');
  return `[${zeros}]:${number}`;
}

const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');

/** Of `addressOf`, or of an endpoint. */
export const isLoopbackAddress = (address: string): boolean =>
  /^127\.|^\[::1\]:|^localhost:/.test(address);
