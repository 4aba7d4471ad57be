/** Names under a fixed key, for tests that read or make intents without a genesis. */
import type { IntentContext } from '../../src/core/model/intent.ts';
import { Names } from '../../src/core/model/names.ts';

export const NAMES = new Names(new Uint8Array(32).fill(0x4e));

export const contextOf = (clusterId: string): IntentContext => ({ clusterId, names: NAMES });
