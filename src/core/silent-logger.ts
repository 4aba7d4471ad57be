/**
 * libp2p's own logging is switched off: it would write to stderr under an environment variable,
 * and building its scopes costs time on every stream. What matters is logged through `Log`.
 */
import type { ComponentLogger, Logger } from '@libp2p/interface';

export function silentLogger(): ComponentLogger {
  const quiet = (): void => undefined;
  const logger: Logger = Object.assign(() => undefined, {
    enabled: false,
    error: quiet,
    trace: quiet,
    newScope: () => logger,
  });
  return { forComponent: () => logger };
}
