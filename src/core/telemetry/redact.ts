/**
 * Makes the fields of a log line safe to keep: what looks like a secret is replaced, what is huge
 * is cut, what JSON cannot hold is put into words. The callers must not log secrets anyway; this
 * is the second door, not the first.
 */

export const REDACTED = '[redacted]';

const SECRET_NAME =
  /pass(?:word|phrase)|secret|token|seed|private|authori[sz]ation|cookie|credential|mnemonic/i;
/** An API token or a raw key in hex, a bearer header, a private key in PEM. */
const SECRET_TEXT = [
  /\b[0-9a-fA-F]{64}\b/g,
  /\bBearer\s+[!-~]+/gi,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
] as const;

const TEXT_LENGTH_MAX = 4096;
const ITEMS_MAX = 50;
const DEPTH_MAX = 5;

/** A text with everything replaced that looks like a secret. */
export function redactText(text: string): string {
  const short = text.length > TEXT_LENGTH_MAX ? `${text.slice(0, TEXT_LENGTH_MAX)}…` : text;
  return SECRET_TEXT.reduce((safe, pattern) => safe.replace(pattern, REDACTED), short);
}

/** A copy of `fields` that holds JSON values only. Never throws. */
export function redactFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return redactObject(fields, 0);
}

function redactObject(object: object, depth: number): Record<string, unknown> {
  const safe: Record<string, unknown> = {};
  for (const name of Object.keys(object).slice(0, ITEMS_MAX)) {
    const value = read(object, name);
    if (value === undefined) continue;
    safe[redactText(name)] = SECRET_NAME.test(name) ? REDACTED : redactValue(value, depth + 1);
  }
  return safe;
}

/** A getter may throw; a log line must not. */
function read(object: object, name: string): unknown {
  try {
    return (object as Record<string, unknown>)[name];
  } catch {
    return '[unreadable]';
  }
}

function redactValue(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
      return redactText(value);
    case 'number':
      return Number.isFinite(value) ? value : String(value);
    case 'boolean':
      return value;
    case 'object':
      return value === null ? null : redactNested(value, depth);
    case 'bigint':
      return value.toString();
    default:
      return `[${typeof value}]`;
  }
}

/** The contents of byte arrays never reach a log: they may be keys or documents. */
function redactNested(value: object, depth: number): unknown {
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Error) return redactError(value, depth);
  if (depth > DEPTH_MAX) return '[deep]';
  if (Array.isArray(value)) {
    return value.slice(0, ITEMS_MAX).map((item: unknown) => redactValue(item, depth + 1));
  }
  return redactObject(value, depth);
}

function redactError(error: Error, depth: number): Record<string, unknown> {
  const { code } = error as { code?: unknown };
  return {
    name: redactText(error.name),
    message: redactText(error.message),
    ...(typeof code === 'string' && { code: redactText(code) }),
    ...(error.stack !== undefined && { stack: redactText(error.stack) }),
    ...(error.cause !== undefined &&
      depth < DEPTH_MAX && { cause: redactValue(error.cause, depth + 1) }),
  };
}
