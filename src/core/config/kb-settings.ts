/** The settings `kb.*` about copies: how they are watched, repaired and looked through. */
import { DAY, GIB, HOUR, KIB, MIB, MINUTE, SECOND } from '../units.ts';

export interface KbSettings {
  /** W20: a custodian without a connection for so long is absent. @default 300,000 */
  readonly 'kb.graceMs': number;
  /** W22: on average; 0 asks for none. @default 60 */
  readonly 'kb.auditsPerHour': number;
  /** W24: what repair fetches at most. @default 16 MiB */
  readonly 'kb.repairBytesPerSecond': number;
  /** W27: within so many days everything is hashed again; 0 never does. @default 30 */
  readonly 'kb.scrubDays': number;
}

export type KbKey = keyof KbSettings;

export const DEFAULT_KB: KbSettings = {
  'kb.graceMs': 5 * MINUTE,
  'kb.auditsPerHour': 60,
  'kb.repairBytesPerSecond': 16 * MIB,
  'kb.scrubDays': 30,
};

export const KB_KEYS = Object.keys(DEFAULT_KB) as readonly KbKey[];

export const KB_RANGES: Readonly<Record<KbKey, { readonly min: number; readonly max: number }>> = {
  'kb.graceMs': { min: SECOND, max: 30 * DAY },
  'kb.auditsPerHour': { min: 0, max: HOUR / SECOND },
  'kb.repairBytesPerSecond': { min: 64 * KIB, max: GIB },
  'kb.scrubDays': { min: 0, max: 3650 },
};
