/** A process of its own that takes the data folder named on its command line and keeps it until it is killed. */
import { lockDataDir } from '../../src/store/data-lock.ts';

lockDataDir(process.argv[2] ?? '');
process.stdout.write('locked\n');
setInterval(() => undefined, 60_000);
