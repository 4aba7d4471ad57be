/**
 * The knock (docs/keys.md, H3): what a dialer says to a network key that it does not know. Only who
 * has the genesis can make or check one, and one made for a connection fits no other: both network
 * keys, which Noise has proved, are under the MAC. It does not say who knocks.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

const DOMAIN = 'aegis/knock/1\0';
const MAC_BYTES = 32;

/** The two ends of a connection, by their network keys. */
export interface KnockKeys {
  readonly dialer: Uint8Array;
  readonly listener: Uint8Array;
}

/** HMAC-SHA-256 with the cluster id (utf8) as the key; 32 bytes. */
export function knockOf(clusterId: string, { dialer, listener }: KnockKeys): Uint8Array {
  const mac = createHmac('sha256', clusterId).update(DOMAIN).update(dialer).update(listener);
  return new Uint8Array(mac.digest());
}

/** Whether a MAC is the one for these keys; says nothing by the time that it takes. */
export function isKnock(mac: Uint8Array, clusterId: string, keys: KnockKeys): boolean {
  const proper = mac.byteLength === MAC_BYTES;
  return (
    timingSafeEqual(proper ? mac : new Uint8Array(MAC_BYTES), knockOf(clusterId, keys)) && proper
  );
}
