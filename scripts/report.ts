/**
 * Reads the JSON report of vitest and ends with one line, `N passed, N failed`; a skipped test is a
 * failure. Used by .ci/run: `report.ts REPORT STATUS`, where STATUS is that of the commands before.
 */
import { readFileSync } from 'node:fs';

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

const [file = '', before = '0'] = process.argv.slice(2);
const report = JSON.parse(readFileSync(file, 'utf8')) as Report;
const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults);
const skipped = tests.filter(({ status }) => status !== 'passed' && status !== 'failed');
// A file that could not even be loaded has no tests that could have failed.
const broken = report.testResults.filter(
  ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
);
for (const { fullName } of skipped) console.log(`skipped: ${fullName}`);
for (const { name, message } of broken) console.log(`not loaded: ${name}: ${message}`);
for (const { fullName, status } of tests)
  if (status === 'failed') console.log(`failed: ${fullName}`);
const failed = report.numFailedTests + skipped.length + broken.length;
if (before !== '0') console.log(`a command before ended with ${before}`);
console.log(`${report.numPassedTests} passed, ${failed} failed`);
process.exitCode = failed > 0 || before !== '0' ? 1 : 0;
