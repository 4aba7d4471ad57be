/**
 * The security log: one JSON object a line, in a file of its own, about who was turned away and
 * what was seen of keys. Nodes are named by their ids, addresses by a keyed hash: the same address
 * has the same name in one home, and nobody without the key of the home can tell which it is. It
 * decides nothing, and a flood of events does not become a flood of lines.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { statIfPresent, writeFileAtomic } from '../files.ts';
import type { Security } from '../ports.ts';
import { redactText } from './redact.ts';
import { RotatingFile } from './rotating-file.ts';

export interface SecurityLogOptions {
  readonly path: string;
  /** Where the key of the hashes is; made when it is not there. */
  readonly keyPath: string;
  readonly maxSizeBytes?: number;
  readonly files?: number;
}

export interface SecurityLog extends Security {
  flushSync(): void;
  close(): Promise<void>;
}

const KEY_BYTES = 32;
const NAME_CHARS = 16;
/** Of one type and limit: a flood of one must not hide what is rare. */
const LINES_PER_SECOND = 5;
const LINES_BURST = 50;
const REASON_CHARS_MAX = 300;

interface Quota {
  left: number;
  at: number;
  unsaid: number;
}

/** @throws the error of the system when a file cannot be opened. */
export async function openSecurityLog(
  options: SecurityLogOptions,
  deps: { now: () => number },
): Promise<SecurityLog> {
  const key = await keyOf(options.keyPath);
  const file = new RotatingFile(options);
  /** Few: types and settings are fixed. */
  const quotas = new Map<string, Quota>();
  const nameOf = (address: string): string => addressName(key, address);

  return {
    nameOf,
    tell({ type, nodeId, address, knob, reason, count, durationMs }) {
      const now = deps.now();
      const kind = `${type} ${knob ?? ''}`;
      const quota = quotas.get(kind) ?? { left: LINES_BURST, at: now, unsaid: 0 };
      quotas.set(kind, quota);
      if (!mayWrite(quota, now)) return;
      const line = {
        time: new Date(now).toISOString(),
        event: type,
        ...(nodeId !== undefined && { nodeId: textOf(nodeId) }),
        ...(address !== undefined && { address: nameOf(address) }),
        ...(knob !== undefined && { knob }),
        ...(reason !== undefined && { reason: textOf(reason) }),
        ...(count !== undefined && { count }),
        ...(durationMs !== undefined && { durationMs: Math.round(durationMs) }),
        ...(quota.unsaid > 0 && { unsaid: quota.unsaid }),
      };
      quota.unsaid = 0;
      file.write(`${JSON.stringify(line)}\n`);
    },
    flushSync: () => file.flushSync(),
    close: () => file.close(),
  };
}

function mayWrite(quota: Quota, now: number): boolean {
  const earned = (Math.max(0, now - quota.at) / 1000) * LINES_PER_SECOND;
  quota.left = Math.min(LINES_BURST, quota.left + earned);
  quota.at = now;
  if (quota.left >= 1) {
    quota.left -= 1;
    return true;
  }
  quota.unsaid += 1;
  return false;
}

/**
 * The name of an address in the security log of a home, for who asks what one of them did.
 * Undefined: this home has named nothing yet.
 */
export async function addressNameIn(keyPath: string, address: string): Promise<string | undefined> {
  const key = await readKey(keyPath);
  return key === undefined ? undefined : addressName(key, address);
}

/** The key of a home, or a new one. One that is damaged is replaced: old names end with it. */
async function keyOf(path: string): Promise<Buffer> {
  const known = await readKey(path);
  if (known !== undefined) return known;
  const key = randomBytes(KEY_BYTES);
  await writeFileAtomic(path, `${key.toString('hex')}\n`, { mode: 0o600 });
  return key;
}

async function readKey(path: string): Promise<Buffer | undefined> {
  if ((await statIfPresent(path)) === undefined) return undefined;
  const key = Buffer.from((await readFile(path, 'utf8')).trim(), 'hex');
  return key.length === KEY_BYTES ? key : undefined;
}

/** The name of an address under the key of a home, e.g. `addr-0123456789abcdef`. */
function addressName(key: Uint8Array, address: string): string {
  // What comes in through Tor has no address (docs/tor.md, O20): this is the name of the class.
  if (address === 'onion') return address;
  const digest = createHmac('sha256', key).update(`aegis/address/1\0${address}`).digest('hex');
  return `addr-${digest.slice(0, NAME_CHARS)}`;
}

const ADDRESSES = [
  /\b\d{1,3}(?:\.\d{1,3}){3}\b/g,
  /\/(?:ip4|ip6|dns[46]?|onion3?)\/[^/\s]+/g,
  /\b[a-z2-7]{56}\.onion\b/gi,
  /(?<![\w:])(?:[0-9a-f]{0,4}:){2,8}[0-9a-f]{0,4}(?![\w:])/gi,
] as const;

/** A text without addresses and without what looks like a secret. */
export function withoutAddresses(text: string): string {
  return ADDRESSES.reduce((safe, pattern) => safe.replace(pattern, '[address]'), text);
}

const textOf = (text: string): string =>
  withoutAddresses(redactText(text.slice(0, REASON_CHARS_MAX)));
