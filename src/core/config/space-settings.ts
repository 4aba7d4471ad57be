/**
 * W28, W30: what is said of the room for content, and of how long content is kept. Sizes and spans
 * are texts, as people write them; here stands what they mean.
 */
import { DAY, GIB, HOUR, KIB, MIB, MINUTE } from '../units.ts';

export interface SpaceSettings {
  /** Room for content: `80%` of the file system, or a size such as `500GiB`. @default '80%' */
  readonly 'kb.quota': string;
  /** Free room of the disk that content leaves to the chain. By default 1 GiB, at most 5 %. */
  readonly 'kb.reserve': string | undefined;
  /** So many versions behind the heads keep their content. By default, with keepFor unset, all. */
  readonly 'kb.keepLast': number | undefined;
  /** So long a version keeps its content once it is followed: `30d`. By default, as keepLast. */
  readonly 'kb.keepFor': string | undefined;
}

export const DEFAULT_SPACE: SpaceSettings = {
  'kb.quota': '80%',
  'kb.reserve': undefined,
  'kb.keepLast': undefined,
  'kb.keepFor': undefined,
};

const SHARE = /^(\d{1,2}|100)%$/;
const SIZE = /^(\d{1,9})(KiB|MiB|GiB|TiB)$/;
const SPAN = /^(\d{1,6})(m|h|d|y)$/;
const SIZE_UNITS: Readonly<Record<string, number>> = {
  KiB: KIB,
  MiB: MIB,
  GiB: GIB,
  TiB: 1024 * GIB,
};
const SPAN_UNITS: Readonly<Record<string, number>> = { m: MINUTE, h: HOUR, d: DAY, y: 365 * DAY };
const RESERVE_SHARE = 0.05;

/** Undefined for a text that is no share and no size. */
export function parseRoom(text: string): { share: number } | { bytes: number } | undefined {
  const share = SHARE.exec(text)?.[1];
  if (share !== undefined) return { share: Number(share) / 100 };
  const size = SIZE.exec(text);
  return size === null ? undefined : { bytes: Number(size[1]) * SIZE_UNITS[size[2]!]! };
}

/** Milliseconds; undefined for a text that is no span of time. */
export function parseSpan(text: string): number | undefined {
  const span = SPAN.exec(text);
  return span === null ? undefined : Number(span[1]) * SPAN_UNITS[span[2]!]!;
}

const bytesOf = (text: string, diskBytes: number): number => {
  const room = parseRoom(text) ?? { bytes: 0 };
  return 'share' in room ? Math.floor(room.share * diskBytes) : room.bytes;
};

/** W28, in bytes of a disk. */
export function limitsOf(
  settings: Pick<SpaceSettings, 'kb.quota' | 'kb.reserve'>,
  diskBytes: number,
): { quotaBytes: number; reserveBytes: number } {
  const reserve = settings['kb.reserve'];
  return {
    quotaBytes: bytesOf(settings['kb.quota'], diskBytes),
    reserveBytes:
      reserve === undefined
        ? Math.min(GIB, Math.floor(RESERVE_SHARE * diskBytes))
        : bytesOf(reserve, diskBytes),
  };
}

/** W30 */
export function retentionOf(settings: Pick<SpaceSettings, 'kb.keepLast' | 'kb.keepFor'>): {
  keepLast: number | undefined;
  keepForMs: number | undefined;
} {
  const keepFor = settings['kb.keepFor'];
  return {
    keepLast: settings['kb.keepLast'],
    keepForMs: keepFor === undefined ? undefined : parseSpan(keepFor),
  };
}
