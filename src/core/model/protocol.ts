/**
 * The protocol versions (docs/history.md, V1 to V4) in which this program executes blocks. What a
 * version means is said where it is executed.
 */

/** 2 has anchors (R4) and erasure (N4). */
export const PROTOCOL = { min: 1, max: 2 } as const;
