/**
 * The flags that commands share. Declarations only: nothing here reads a file or asks a question.
 */
import { Flags } from '@oclif/core';
import { parseDuration } from './format.ts';

const GLOBAL = { helpGroup: 'GLOBAL' } as const;

/** Every command takes these. */
export const globalFlags = {
  home: Flags.string({
    ...GLOBAL,
    char: 'H',
    env: 'AEGIS_HOME',
    helpValue: '<dir>',
    description: "Directory with this node's configuration, keys and data.",
  }),
  cluster: Flags.string({
    ...GLOBAL,
    env: 'AEGIS_CLUSTER',
    helpValue: '<name>',
    description: 'Which cluster of the home, if it has several. Default: the one without a name.',
  }),
  json: Flags.boolean({ ...GLOBAL, description: 'Print the result as JSON on standard output.' }),
  quiet: Flags.boolean({ ...GLOBAL, char: 'q', description: 'Print the result and errors only.' }),
  verbose: Flags.boolean({ ...GLOBAL, char: 'v', description: 'Tell more on standard error.' }),
  'no-color': Flags.boolean({ ...GLOBAL, description: 'Print without colours.' }),
  'no-input': Flags.boolean({ ...GLOBAL, description: 'Never ask; fail instead.' }),
  timeout: Flags.custom<number>({
    ...GLOBAL,
    helpValue: '<time>',
    description: 'Give up after this time: 500ms, 30s, 2m or a number of seconds.',
    parse: (text) => Promise.resolve(parseDuration(text)),
  })(),
};

/** For commands that open the keystore; a command opts in by spreading them into its flags. */
export const passphraseFlags = {
  'passphrase-file': Flags.string({
    helpValue: '<file>',
    description: 'Read the passphrase from this file; - reads standard input.',
  }),
  'passphrase-fd': Flags.integer({
    min: 0,
    helpValue: '<number>',
    description: 'Read the passphrase from this open file descriptor.',
  }),
};

/** For commands that destroy something. */
export const confirmFlags = {
  yes: Flags.boolean({ char: 'y', description: 'Do it without asking.' }),
};

/** For commands that write a proof of what they show. */
export const proofFlags = {
  proof: Flags.string({
    helpValue: '<file>',
    description: 'Also write a proof of it, for who has the genesis and no node.',
  }),
  checkpoint: Flags.string({
    helpValue: '<height>:<hash>',
    description: 'The proof is for who trusts this block.',
    dependsOn: ['proof'],
  }),
};
