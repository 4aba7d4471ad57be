/** README and docs: what their console blocks show is what happens. */
import { runs } from './runner.ts';

runs(['README.md', 'docs/**/*.md']);
