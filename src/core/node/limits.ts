/** What the settings `limits.*` mean for the network and the API of a node. Decides nothing. */
import { SETTING_OF as API_SETTING_OF, type ServerLimits } from '../api/server/limits.ts';
import type { Settings } from '../config/settings.ts';
import { type HostLimits, SETTING_OF } from '../network/limits.ts';

/** What is undefined has its default by the profile of the host. */
export function hostLimitsOf(settings: Settings): Partial<HostLimits> {
  return limitsOf(SETTING_OF, settings);
}

export function serverLimitsOf(settings: Settings): Partial<ServerLimits> {
  return limitsOf(API_SETTING_OF, settings);
}

function limitsOf(
  names: Readonly<Record<string, keyof Settings>>,
  settings: Settings,
): Record<string, number> {
  const given = Object.entries(names).flatMap(([limit, key]): [string, number][] => {
    const value = settings[key];
    return typeof value === 'number' ? [[limit, value]] : [];
  });
  return Object.fromEntries(given);
}
