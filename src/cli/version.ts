/** The version of aegis. A test compares it with package.json, which no short command reads. */
export const VERSION = '0.1.0';
