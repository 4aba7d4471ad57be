/** A fake Tor, and a link to it, that end with the test. */
import { randomBytes } from 'node:crypto';
import { onTestFinished } from 'vitest';
import { systemClock } from '../../../../src/core/node/clock.ts';
import type { Log } from '../../../../src/core/ports.ts';
import { TorLink } from '../../../../src/core/tor/control/link.ts';
import { FakeTor } from '../../../helpers/fake-tor.ts';

export async function fakeTor(options: Parameters<typeof FakeTor.start>[0] = {}): Promise<FakeTor> {
  const tor = await FakeTor.start(options);
  onTestFinished(() => tor.stop());
  return tor;
}

/** What was logged, as `message {fields}`. */
export function memoryLog(): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const log: Log = {
    write: (_, message, fields = {}) => void lines.push(`${message} ${JSON.stringify(fields)}`),
    child: () => log,
  };
  return { log, lines };
}

type LinkOptions = ConstructorParameters<typeof TorLink>[0];

export function linkTo(
  tor: Pick<FakeTor, 'control'>,
  options: Partial<LinkOptions> = {},
  log = memoryLog().log,
) {
  const random = { bytes: (length: number) => new Uint8Array(randomBytes(length)) };
  const deps = { log, clock: systemClock(), random };
  const link = new TorLink({ endpoint: tor.control, auth: {}, ...options }, deps);
  onTestFinished(() => link.stop());
  return link;
}
