/** `aegis peers` without a verb lists them. */
export { default } from './list.ts';
