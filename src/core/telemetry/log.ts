/**
 * The node's log: one JSON object a line, into a rotated file. It implements the `Log` port and
 * tells listeners each line, for the event stream. It does not read logs back, and writes nothing
 * to the terminal unless it is asked to.
 */
import type { Log, LogLevel } from '../ports.ts';
import { redactFields, redactText } from './redact.ts';
import { RotatingFile } from './rotating-file.ts';

export interface LogOptions {
  /** Absent: lines go to the listeners and to `echo` only. */
  readonly path?: string;
  /** Least level that is written. @default 'info' */
  readonly level?: LogLevel;
  /** @default 10 MiB */
  readonly maxSizeBytes?: number;
  /** @default 5 */
  readonly files?: number;
  /** The newest lines that are kept in memory. @default 200 */
  readonly recentMax?: number;
  /** Also gets every line, e.g. standard error of a daemon in the foreground. */
  readonly echo?: (line: LoggedLine) => void;
}

/** One line as listeners get it; the file holds the same as JSON. */
export interface LoggedLine {
  /** RFC 3339, UTC. */
  readonly time: string;
  readonly level: LogLevel;
  readonly room: string;
  readonly message: string;
  readonly fields?: Record<string, unknown>;
}

export interface NodeLog extends Log {
  /** The newest lines, the newest last. */
  recent(): readonly LoggedLine[];
  /** Calls back on each line until the returned function is called. */
  onLine(listener: (line: LoggedLine) => void): () => void;
  /** Lines that the disk did not take. */
  dropped(): number;
  /** Call as the last thing before the process dies; loses no line, blocks until written. */
  flushSync(): void;
  close(): Promise<void>;
}

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];
const RECENT_MAX = 200;

/**
 * Opens the log. The writer library is loaded here, not before.
 *
 * @throws the error of the system when the file cannot be opened.
 */
export async function createLog(
  options: LogOptions,
  deps: { now: () => number },
): Promise<NodeLog> {
  const { pino } = await import('pino');
  const file =
    options.path === undefined ? undefined : new RotatingFile({ ...options, path: options.path });
  const writer = pino(
    {
      // No pid, no host name: a log that is shared must not say where it comes from.
      base: null,
      level: 'debug',
      timestamp: false,
      messageKey: 'message',
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => file?.write(line) },
  );
  const least = LEVELS.indexOf(options.level ?? 'info');
  const listeners = new Set<(line: LoggedLine) => void>();
  if (options.echo) listeners.add(options.echo);
  const recent: LoggedLine[] = [];

  const write = (line: LoggedLine): void => {
    writer[line.level](withoutLevel(line), line.message);
    recent.push(line);
    if (recent.length > (options.recentMax ?? RECENT_MAX)) recent.shift();
    for (const listener of listeners) listener(line);
  };
  const room = (name: string): Log => ({
    write(level, message, fields) {
      if (LEVELS.indexOf(level) < least) return;
      const time = new Date(deps.now()).toISOString();
      const safe = fields === undefined ? undefined : redactFields(fields);
      write({
        time,
        level,
        room: name,
        message: redactText(message),
        ...(safe !== undefined && Object.keys(safe).length > 0 && { fields: safe }),
      });
    },
    child: (inner) => room(inner),
  });
  return {
    ...room('node'),
    recent: () => [...recent],
    onLine(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    dropped: () => file?.dropped ?? 0,
    flushSync: () => file?.flushSync(),
    close: async () => await file?.close(),
  };
}

function withoutLevel({ time, room, fields }: LoggedLine): object {
  return fields === undefined ? { time, room } : { time, room, fields };
}
