/** Holds the documentation to the sources: files, commands, flags, errors and settings in it. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { SERVER_LIMITS } from '../src/core/api/server/limits.ts';
import { LIMITS as CHAIN_LIMITS } from '../src/core/chain/limits.ts';
import { HEADS_MAX } from '../src/core/chain/ref.ts';
import { TABLES as CHAIN_TABLES, META } from '../src/core/chain/rows.ts';
import { SETTING_KEYS } from '../src/core/config/settings.ts';
import { EVIDENCE_TABLE, REPLICA_TABLE } from '../src/core/consensus/journal.ts';
import { LIMITS as CONSENSUS_LIMITS } from '../src/core/consensus/limits.ts';
import { CUSTODIANS_MAX, HEIGHT_MAX, VIEW_MAX } from '../src/core/consensus/types.ts';
import { ERRORS } from '../src/core/errors.ts';
import { FIND_LIMITS } from '../src/core/kb/find/limits.ts';
import { LIMITS } from '../src/core/kb/limits.ts';
import { MERGE_LIMITS } from '../src/core/kb/merge/limits.ts';
import { TABLES as KB_TABLES } from '../src/core/kb/store.ts';
import {
  AUDIT_FAULT_BYTES_MAX,
  AUDIT_REPORT_BYTES_MAX,
  AUDIT_REQUEST_BYTES_MAX,
} from '../src/core/model/audit.ts';
import { BLOCK_BYTES_MAX, HEADER_BYTES_MAX, INTENTS_MAX } from '../src/core/model/block.ts';
import {
  ADDRESS_BYTES_MAX,
  ADDRESSES_MAX,
  BUNDLE_BYTES_MAX,
  BUNDLE_ENTRIES_MAX,
} from '../src/core/model/bundle.ts';
import { CBOR_DEPTH_MAX } from '../src/core/model/cbor-reader.ts';
import { GENESIS_BYTES_MAX } from '../src/core/model/genesis.ts';
import { INCEPTION_BYTES_MAX, LABEL_BYTES_MAX } from '../src/core/model/identity.ts';
import { CHANGES_MAX, INTENT_BYTES_MAX } from '../src/core/model/intent.ts';
import {
  INVITATION_ENTRIES_MAX,
  INVITATION_ENTRY_BYTES_MAX,
  INVITATION_FILE_BYTES_MAX,
  INVITATION_MEMBERS_MAX,
} from '../src/core/model/invitation-file.ts';
import {
  ADMISSION_BYTES_MAX,
  DEPARTURE_BYTES_MAX,
  INVITATION_BYTES_MAX,
} from '../src/core/model/membership.ts';
import { CONFLICTS_BYTES_MAX, CONFLICTS_MAX, MERGE_BYTES_MAX } from '../src/core/model/merge.ts';
import { SEALED_NAME_BYTES_MAX } from '../src/core/model/names.ts';
import { PATH_BYTES_MAX } from '../src/core/model/path.ts';
import {
  APPROVAL_BYTES_MAX,
  PROPOSAL_BYTES_MAX,
  PROPOSAL_LIFETIME_MAX_MS,
  PROPOSED_CHANGES_MAX,
  READINESS_BYTES_MAX,
} from '../src/core/model/proposals.ts';
import { NAMESPACE_OWNERS_MAX, NAMESPACE_WRITERS_MAX } from '../src/core/model/proposed-change.ts';
import { SESSION_BYTES_MAX, SESSION_LIFETIME_MAX_MS } from '../src/core/model/session.ts';
import { DUPLICITY_BYTES_MAX } from '../src/core/model/statement.ts';
import {
  GRACE_MAX_MS,
  HELLO_ENTRIES_MAX,
  SUCCESSION_BYTES_MAX,
} from '../src/core/model/succession.ts';
import { MESSAGE_BYTES_MAX, PARENTS_MAX, VERSION_BYTES_MAX } from '../src/core/model/version.ts';
import { limitsOf } from '../src/core/network/limits.ts';
import { BANS_TABLE } from '../src/core/node/bans.ts';
import { DUPLICITIES_TABLE } from '../src/core/node/duplicities.ts';
import { MERGE_FAULTS_TABLE } from '../src/core/node/merge/merge-faults.ts';
import {
  ONION_INVITATIONS_MAX,
  ONION_INVITATIONS_TABLE,
} from '../src/core/node/onion-invitations.ts';
import { PEERS_TABLE } from '../src/core/peers/record.ts';
import { PROOF_LIMITS } from '../src/core/proof/codec.ts';
import { TOR_LIMITS } from '../src/core/tor/limits.ts';
import { parseTranscript } from './transcripts/markdown.ts';
import { matches } from './transcripts/match.ts';

interface Manifest {
  readonly commands: Readonly<Record<string, Command>>;
}
interface Command {
  readonly id: string;
  readonly flags: Readonly<Record<string, Flag>>;
  readonly examples: readonly (string | { readonly command: string })[];
}
interface Flag {
  readonly char?: string;
  /** `--no-name` turns it off. */
  readonly allowNo?: boolean;
}

/** Limits of single things, in the order of the book of formats. */
const MODEL_LIMITS = {
  ...{ CBOR_DEPTH_MAX, PATH_BYTES_MAX, LABEL_BYTES_MAX, INCEPTION_BYTES_MAX },
  ...{ ADDRESSES_MAX, ADDRESS_BYTES_MAX, BUNDLE_BYTES_MAX, BUNDLE_ENTRIES_MAX, GENESIS_BYTES_MAX },
  ...{ SUCCESSION_BYTES_MAX, HELLO_ENTRIES_MAX, GRACE_MAX_MS, DUPLICITY_BYTES_MAX },
  ...{ SESSION_BYTES_MAX, SESSION_LIFETIME_MAX_MS },
  ...{ INVITATION_BYTES_MAX, ADMISSION_BYTES_MAX, DEPARTURE_BYTES_MAX },
  ...{ INVITATION_FILE_BYTES_MAX, INVITATION_MEMBERS_MAX, INVITATION_ENTRIES_MAX },
  ...{ INVITATION_ENTRY_BYTES_MAX },
  ...{ VERSION_BYTES_MAX, MERGE_BYTES_MAX, CONFLICTS_MAX, CONFLICTS_BYTES_MAX },
  ...{ MESSAGE_BYTES_MAX, PARENTS_MAX },
  ...{ SEALED_NAME_BYTES_MAX, INTENT_BYTES_MAX, CHANGES_MAX, HEADS_MAX, INTENTS_MAX },
  ...{ BLOCK_BYTES_MAX, HEADER_BYTES_MAX },
  ...{ PROPOSAL_BYTES_MAX, PROPOSED_CHANGES_MAX, PROPOSAL_LIFETIME_MAX_MS },
  ...{ NAMESPACE_OWNERS_MAX, NAMESPACE_WRITERS_MAX, APPROVAL_BYTES_MAX, READINESS_BYTES_MAX },
  ...{ AUDIT_REQUEST_BYTES_MAX, AUDIT_REPORT_BYTES_MAX, AUDIT_FAULT_BYTES_MAX },
  ...{ CUSTODIANS_MAX, HEIGHT_MAX, VIEW_MAX, ONION_INVITATIONS_MAX },
};

const PAGES = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', ...globSync('docs/*.md')].toSorted();
const read = (file: string): string => readFileSync(file, 'utf8');
const pages = PAGES.map((file) => ({ file, text: read(file) }));
const { commands } = JSON.parse(read('oclif.manifest.json')) as Manifest;

/** Cells of the rows of the tables of a page whose first cell is code. */
const rowsOf = (file: string): string[][] =>
  read(file)
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );

/** Code between backticks, and lines of code blocks from `aegis` on. */
function commandLines(text: string): string[] {
  const found: string[] = [];
  let block: string | undefined;
  for (const line of text.split('\n')) {
    const fence = /^ *```(\w*)/.exec(line);
    if (fence !== null) block = block === undefined ? fence[1] : undefined;
    else if (block === undefined) {
      for (const [, code] of line.matchAll(/`([^`]+)`/g)) {
        if (/^aegis( |$)/.test(code!)) found.push(code!);
      }
    } else if (block !== 'console' || line.startsWith('$ ')) {
      for (const [, code] of line.matchAll(/(?:^|\$ |[|;&(] *)(aegis .*?)(?=[|;&)#]|$)/g)) {
        found.push(code!.trim());
      }
    }
  }
  return found;
}

/** What is wrong with a command line, if anything. */
function commandFault(line: string): string | undefined {
  const words = line
    .split(/ [|;&] ?/)[0]!
    .split(/\s+/)
    .slice(1);
  const id: string[] = [];
  const flags: string[] = [];
  const isTopic = (name: string): boolean =>
    Object.keys(commands).some((command) => command === name || command.startsWith(`${name}:`));
  for (let i = 0; i < words.length; i += 1) {
    const word = words[i]!;
    if (word.startsWith('-') && word !== '-') {
      flags.push(word);
      // The only flag with a value that stands before the command.
      if (id.length === 0 && /^(--home|-H)$/.test(word)) i += 1;
    } else if (isTopic([...id, word].join(':'))) id.push(word);
    else break;
  }
  flags.push(...words.filter((word) => word.startsWith('-') && word !== '-'));
  const [first = ''] = words;
  if (/^(help|--version|--help)$/.test(first)) return undefined;
  if (id.length === 0) return first === '' ? undefined : 'no such command';
  const command = commands[id.join(':')];
  if (command === undefined) {
    const rest = words.filter((word) => !id.includes(word) && word !== '--help');
    return rest.length === 0 ? undefined : 'no such command';
  }
  const known = Object.entries(command.flags).flatMap(([name, { char, allowNo }]) => [
    `--${name}`,
    ...(allowNo === true ? [`--no-${name}`] : []),
    ...(char === undefined ? [] : [`-${char}`]),
  ]);
  const unknown = flags.find((flag) => flag !== '--help' && !known.includes(flag.split('=')[0]!));
  return unknown === undefined ? undefined : `no flag ${unknown}`;
}

describe('what the documentation names', () => {
  test.each(pages)('exists: files in $file', ({ file, text }) => {
    const named = text.matchAll(/`((?:test|src|docs|deploy|scripts|bin|man)\/[\w./-]+)`/g);
    const paths = [...named].map(([, path]) => path!);
    const links = text.matchAll(/\]\((?!https?:)([^)#]+)\)/g);
    const targets = [...links].map(([, target]) => join(dirname(file), target!));
    expect([...paths, ...targets].filter((path) => !existsSync(path))).toEqual([]);
  });

  test.each(pages)('exists: scripts of npm and projects of vitest in $file', ({ text }) => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const projects = [...read('vitest.config.ts').matchAll(/name: '(\w+)'/g)].map(
      ([, name]) => name,
    );
    const wanted = [...text.matchAll(/(?:`|&& |^) *npm run ([\w:]+)/gm)].map(([, name]) => name!);
    const named = [...text.matchAll(/--project (\w+)/g)].map(([, name]) => name);
    expect(wanted.filter((name) => scripts[name] === undefined)).toEqual([]);
    expect(named.filter((name) => !projects.includes(name))).toEqual([]);
  });

  test.each(pages)('exists: commands in $file', ({ text }) => {
    const faults = commandLines(text).map((line) => [line, commandFault(line)]);
    expect(faults.filter(([, fault]) => fault !== undefined)).toEqual([]);
  });

  test('exists: commands in the examples of commands', () => {
    const lines = Object.values(commands).flatMap(({ id, examples }) =>
      examples.flatMap((example) => {
        const text = typeof example === 'string' ? example : example.command;
        const command = text
          .replaceAll('<%= config.bin %>', 'aegis')
          .replaceAll('<%= command.id %>', id.replaceAll(':', ' '));
        return commandLines(`\`\`\`sh\n${command}\n\`\`\``);
      }),
    );
    expect(lines.length).toBeGreaterThan(Object.keys(commands).length);
    const faults = lines.map((line) => [line, commandFault(line)]);
    expect(faults.filter(([, fault]) => fault !== undefined)).toEqual([]);
  });

  test('exists: commands in hints and notes of the sources', () => {
    const topics = new Set(Object.keys(commands).map((id) => id.split(':')[0]!));
    const pattern = /\baegis ([a-z]+)((?: (?:--)?[a-z][a-z-]*| [A-Z]+)*)/g;
    const lines = globSync('src/**/*.{ts,tsx}').flatMap((file) =>
      [...read(file).matchAll(pattern)]
        .filter(([, first]) => topics.has(first!))
        .map(([line]) => line),
    );
    expect(lines.length).toBeGreaterThan(50);
    const faults = [...new Set(lines)].map((line) => [line, commandFault(line)]);
    expect(faults.filter(([, fault]) => fault !== undefined)).toEqual([]);
  });

  test('the check of commands finds what is wrong', () => {
    expect(commandLines('`aegis kb` ```\n```sh\nx=1; aegis kb ls | head\n```')).toEqual([
      'aegis kb',
      'aegis kb ls',
    ]);
    expect(commandFault('aegis kb put notes.md --wait local -m why')).toBeUndefined();
    expect(commandFault('aegis --home a kb put notes.md --moon')).toBe('no flag --moon');
    expect(commandFault('aegis kb moon')).toBe('no such command');
    expect(commandFault('aegis moon')).toBe('no such command');
  });
});

test('docs/errors.md is the table of errors', () => {
  const unquoted = (cell: string | undefined): string => (cell ?? '').replaceAll('`', '');
  const rows = rowsOf('docs/errors.md').map(([code, exit, http, retry, meaning, hint]) => {
    expect(meaning, code).toMatch(/\w/);
    return [unquoted(code), Number(exit), Number(http), retry === 'yes', hint];
  });
  const table = Object.entries(ERRORS).map(([code, kind]) => [
    code,
    kind.exit,
    kind.http,
    kind.retryable,
    'hint' in kind ? kind.hint : '',
  ]);
  expect(rows).toEqual(table);
});

test('docs/formats.md names every setting', () => {
  const text = read('docs/formats.md');
  expect(SETTING_KEYS.filter((key) => !text.includes(`\`${key}\``))).toEqual([]);
});

test('docs/formats.md has every table of chain.db, and what the chain keeps in its own', () => {
  const rows = rowsOf('docs/formats.md').map(([table, key]) => `${table} ${key}`);
  const tables = [
    ...Object.values(KB_TABLES),
    ...Object.values(CHAIN_TABLES),
    ...[PEERS_TABLE, REPLICA_TABLE, EVIDENCE_TABLE, BANS_TABLE, DUPLICITIES_TABLE],
    ...[ONION_INVITATIONS_TABLE, MERGE_FAULTS_TABLE],
  ];
  const wanted = [
    ...tables.map((table) => `\`${table}\``),
    ...Object.values(META).map((key) => `\`${CHAIN_TABLES.meta}\` \`${key}\``),
  ];
  expect(wanted.filter((start) => !rows.some((row) => row.startsWith(start)))).toEqual([]);
});

test('docs/formats.md has every limit of the tables in the sources', () => {
  const [, section] = read('docs/formats.md').split('## Every limit');
  const shown = section!.split('\n').filter((line) => line.startsWith('| `'));
  const inKb = [LIMITS, MERGE_LIMITS, FIND_LIMITS];
  const inRooms = [...inKb, CHAIN_LIMITS, CONSENSUS_LIMITS, limitsOf('network'), SERVER_LIMITS];
  const tables = [MODEL_LIMITS, ...inRooms, PROOF_LIMITS, TOR_LIMITS];
  const wanted = tables.flatMap((table) =>
    Object.entries(table).map(
      ([name, value]) => `| \`${name}\` | ${Number(value).toLocaleString('en-GB')} |`,
    ),
  );
  expect(shown).toEqual(wanted);
});

test('every promise of docs/guarantees.md names a test', () => {
  const [promised] = read('docs/guarantees.md').split('## Not promised');
  const rows = promised!.split('\n').filter((line) => /^\| (?!promise|---)/.test(line));
  expect(rows.length).toBeGreaterThan(20);
  expect(rows.filter((row) => !/`test\/[^`]+` \|$|`test\/[^`]+`,? .*\|$/.test(row))).toEqual([]);
});

test('the account of the quickstart in the README is that of its transcript', () => {
  const shown = /```text\n(Making keys[\s\S]*?)\n```/.exec(read('README.md'))?.[1]?.split('\n');
  const { steps } = parseTranscript(read('test/transcripts/quickstart.md'));
  const step = steps.find(({ command }) => command === 'aegis quickstart');
  expect(matches(step!.output, shown!, new Map())).toBe(true);
});
