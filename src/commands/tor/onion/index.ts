/** `aegis tor onion` without a verb shows the service. */
export { default } from './show.ts';
