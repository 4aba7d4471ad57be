/** Y5: a header that must be in the history, and how people write it. It says nothing of trust. */

export interface Checkpoint {
  readonly height: number;
  /** SHA-256 of the header, hex. */
  readonly digest: string;
}

/** HEIGHT:HASH. */
export const CHECKPOINT_FORM = /^([1-9]\d{0,14}):([0-9a-f]{64})$/;

/** Undefined: it is none. */
export function checkpointOfText(text: string): Checkpoint | undefined {
  const [, height, digest] = CHECKPOINT_FORM.exec(text) ?? [];
  if (height === undefined || digest === undefined) return undefined;
  return { height: Number(height), digest };
}

export const checkpointText = ({ height, digest }: Checkpoint): string => `${height}:${digest}`;
