/**
 * Starts the files that take longest first, of whatever project they are, so that no core stands
 * idle while the last one runs. What is not named here comes as Vitest has it: by what it knows of
 * the last run, project by project.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** With all that take a minute or more; the longest first. */
const LONGEST = [
  ...['sim/consensus-first', 'sim/consensus-second', 'sim/byzantine', 'sim/twins', 'sim/zoo'],
  ...['quality', 'proof-check/agreement', 'core/node/history', 'core/keys/settle'],
  ...['transcripts/transcripts', 'e2e/files', 'e2e/input', 'e2e/members-change', 'e2e/upgrade'],
  ...['e2e/quickstart', 'e2e/damage', 'e2e/rotation', 'e2e/consensus', 'e2e/signer'],
  ...['e2e/consensus-doubt', 'e2e/membership', 'e2e/clusters', 'e2e/hostile', 'e2e/lifecycle'],
];

const placeOf = ({ moduleId }: TestSpecification): number => {
  const place = LONGEST.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
  return place < 0 ? LONGEST.length : place;
};

const groupOf = ({ project }: TestSpecification): number => project.config.sequence.groupOrder;

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => groupOf(a) - groupOf(b) || placeOf(a) - placeOf(b));
  }
}
