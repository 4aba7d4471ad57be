/** Questions to the person at the terminal. Loads the prompt library only when it must ask. */
import { AegisError } from '../core/errors.ts';
import { resolvePassphrase } from '../core/keys/passphrase.ts';

export interface PassphraseQuestion {
  /** Completes "Passphrase for ...". */
  readonly purpose: string;
  /** Where the variables of the contract are looked up. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly file: string | undefined;
  readonly fd: number | undefined;
  /** Ask twice, for a passphrase that is being chosen. */
  readonly confirm: boolean;
  readonly mayAsk: boolean;
  readonly note: (line: string) => void;
}

export async function askPassphrase(question: PassphraseQuestion): Promise<string> {
  const { file, fd, purpose } = question;
  return await resolvePassphrase({
    ...(file === undefined ? {} : { file }),
    ...(fd === undefined ? {} : { fd }),
    env: question.env,
    purpose,
    ...(question.mayAsk ? { prompt: () => prompt(question) } : {}),
    warn: question.note,
  });
}

async function prompt({ purpose, confirm }: PassphraseQuestion): Promise<string> {
  const { default: password } = await import('@inquirer/password');
  const ask = (message: string): Promise<string> =>
    password({ message, mask: '*' }, { output: process.stderr });
  const first = await ask(`Passphrase for ${purpose}`);
  if (confirm && (await ask('The same once more')) !== first) {
    throw new AegisError('USAGE', 'the two passphrases differ', { hint: 'Start again.' });
  }
  return first;
}

export async function askYes(question: string): Promise<boolean> {
  const { default: confirm } = await import('@inquirer/confirm');
  return await confirm({ message: question, default: false }, { output: process.stderr });
}
