import { expect, test } from 'vitest';
import { presentError } from '../../src/cli/errors.ts';
import { AegisError, ERRORS, type ErrorCode } from '../../src/core/errors.ts';

const plain = { json: false, noColour: true, verbose: false };
const json = { ...plain, json: true };

test.each(Object.entries(ERRORS))('%s has its exit status and one voice', (code, kind) => {
  const error = new AegisError(code as ErrorCode, 'it did not work');
  const text = presentError(error, plain);
  expect(text.exit).toBe(kind.exit);
  expect(text.stdout).toBe('');
  expect(text.stderr).toMatch(/^aegis: error: it did not work\n(aegis: hint: .*\n)?$/);
  const body = JSON.parse(presentError(error, json).stdout) as unknown;
  expect(body).toMatchObject({
    schema: 'aegis.error/1',
    error: { code, message: 'it did not work', exit: kind.exit, retryable: kind.retryable },
  });
  expect(presentError(error, json).stderr).toBe('');
});

test('names of strangers within a message do no harm', () => {
  const { stderr } = presentError(new AegisError('NOT_FOUND', 'no file \u001b[2J\u202e'), plain);
  expect(stderr).toBe('aegis: error: no file \\u001b[2J\\u202e\n');
});

test('a plain Error is a bug, and its stack is shown on request', () => {
  const bug = new TypeError('x is not a function');
  expect(presentError(bug, plain)).toMatchObject({ exit: 70 });
  expect(presentError(bug, plain).stderr).not.toContain('errors.test');
  expect(presentError(bug, { ...plain, verbose: true }).stderr).toContain('errors.test');
  expect(presentError('text', plain).exit).toBe(70);
  expect(presentError(undefined, plain).exit).toBe(70);
});

test('a full disk and a forbidden file are no bugs', () => {
  const full = Object.assign(new Error('write'), { code: 'ENOSPC' });
  const denied = Object.assign(new Error('open'), { code: 'EACCES' });
  expect(presentError(full, plain).exit).toBe(75);
  expect(presentError(denied, plain).exit).toBe(77);
});

test.each(['ExitPromptError', 'AbortError'])('%s is an interruption', (name) => {
  const error = Object.assign(new Error('User force closed the prompt'), { name });
  expect(presentError(error, plain)).toMatchObject({
    exit: 130,
    stderr: 'aegis: error: interrupted\n',
  });
});

test('a signal keeps its exit status; a reader that left is no failure', () => {
  const by = (cause: string) =>
    new AegisError('INTERRUPTED', 'interrupted', { details: { cause } });
  expect(presentError(by('SIGINT'), plain).exit).toBe(130);
  expect(presentError(by('SIGTERM'), plain).exit).toBe(143);
  expect(presentError(by('SIGPIPE'), json)).toEqual({ stdout: '', stderr: '', exit: 0 });
});

const parseError = (message: string, more: object = {}): Error =>
  Object.assign(new Error(message), { oclif: { exit: 2 } }, more);

test('complaints of the parser get the same voice', () => {
  const view = { ...plain, command: 'kb put', flags: ['json', 'home', 'path'] };
  const of = (error: Error) => presentError(error, view).stderr.split('\n');
  expect(of(parseError('Nonexistent flag: --jsno', { flags: ['--jsno'] }))).toEqual([
    'aegis: error: unknown flag --jsno',
    'aegis: hint: Did you mean --json? See: aegis kb put --help',
    '',
  ]);
  expect(of(parseError('Unexpected argument: x', { args: ['x', 'y'] }))[0]).toBe(
    'aegis: error: unexpected argument x y',
  );
  expect(of(parseError('Missing 1 required arg', { args: [{ name: 'file' }] }))[0]).toBe(
    'aegis: error: missing argument FILE',
  );
  const failed = 'The following error occurred:\n  \u001b[2mMissing required flag name\u001b[22m';
  expect(of(parseError(`${failed}\nSee more help with --help`))[0]).toBe(
    'aegis: error: missing flag --name',
  );
  expect(presentError(parseError('x'), view).exit).toBe(2);
  const own = 'Parsing --timeout \n\tsoon is not a length of time\nSee more help with --help';
  expect(of(new AegisError('USAGE', own, { hint: 'Write it as 30s.' }))).toEqual([
    'aegis: error: --timeout: soon is not a length of time',
    'aegis: hint: Write it as 30s.',
    '',
  ]);
});

test('colour is for terminals, unless it is forced', () => {
  const error = new AegisError('NOT_FOUND', 'gone');
  expect(presentError(error, { ...plain, noColour: false }).stderr).toBe('aegis: error: gone\n');
});
