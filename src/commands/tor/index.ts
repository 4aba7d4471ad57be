/** `aegis tor` without a verb shows the status. */
export { default } from './status.ts';
