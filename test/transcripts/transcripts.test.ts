/** The transcripts of the commands: what they show is what happens. */
import { runs } from './runner.ts';

runs(['test/transcripts/*.md']);
