/**
 * Assertions state what the programmer holds to be true. They stay on in production: a node that
 * has lost its own invariants must stop, not guess. Anything that input can cause is an
 * `AegisError` instead.
 */
class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/** @throws {AssertionError} when `condition` is false; the process is meant to end. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Marks a branch that the types already exclude. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`);
}
