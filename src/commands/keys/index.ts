/** `aegis keys` without a verb lists them. */
export { default } from './list.ts';
