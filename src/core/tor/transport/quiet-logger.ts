/** libp2p's own logging is off: it would write addresses of peers where nobody guards them. */
import type { Logger } from '@libp2p/interface';

const quiet = (): void => undefined;

export const quietLogger: Logger = Object.assign(quiet, {
  enabled: false,
  error: quiet,
  trace: quiet,
  newScope: (): Logger => quietLogger,
});
