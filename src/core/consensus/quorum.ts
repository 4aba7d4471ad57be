/** How many are enough. Nothing here may be changed without the argument in the specification. */

/** f: how many of `custodians` may be faulty in any way. */
export const faultyMax = (custodians: number): number => Math.floor((custodians - 1) / 3);

/** n - f: any two quorums share at least one custodian that follows the rules. */
export const quorumOf = (custodians: number): number => custodians - faultyMax(custodians);
