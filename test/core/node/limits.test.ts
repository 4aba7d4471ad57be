import { expect, test } from 'vitest';
import {
  SETTING_OF as API_SETTING_OF,
  SERVER_LIMITS,
} from '../../../src/core/api/server/limits.ts';
import { LIMIT_KEYS } from '../../../src/core/config/limit-settings.ts';
import { DEFAULT_SETTINGS } from '../../../src/core/config/settings.ts';
import { limitsOf, SETTING_OF } from '../../../src/core/network/limits.ts';
import { hostLimitsOf, serverLimitsOf } from '../../../src/core/node/limits.ts';

test('each setting of limits changes exactly one limit, and the other way round', () => {
  const named = [...Object.values(SETTING_OF), ...Object.values(API_SETTING_OF)];
  expect(named.toSorted()).toEqual(LIMIT_KEYS.toSorted());
});

test('the defaults of the settings are those of the limits', () => {
  const limits = hostLimitsOf(DEFAULT_SETTINGS);
  expect(limitsOf('network', limits)).toEqual(limitsOf('network'));
  expect(limitsOf('loopback', limits)).toEqual(limitsOf('loopback'));
  expect({ ...SERVER_LIMITS, ...serverLimitsOf(DEFAULT_SETTINGS) }).toEqual(SERVER_LIMITS);
});

test('a setting that is given wins over the profile', () => {
  const settings = { ...DEFAULT_SETTINGS, 'limits.inboundPerSecondPerAddress': 3 };
  expect(limitsOf('loopback', hostLimitsOf(settings)).inboundPerSecondPerAddress).toBe(3);
});
