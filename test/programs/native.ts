/** A program run by the host's processor and kernel: what its run on the engine is compared with. */
import { spawnSync } from 'node:child_process';
import { constants } from 'node:os';

export interface Command {
  /** Of the executable, at the host. */
  readonly program: string;
  /** The first is the name that it goes by. */
  readonly args: readonly string[];
  /** Its working directory, and all that it may touch. */
  readonly directory: string;
  readonly input?: Uint8Array;
}

export interface Result {
  readonly status: number;
  readonly output: string;
  readonly errors: string;
}

/** What programs see as their environment, on the engine, too. */
export const ENVIRONMENT: Readonly<Record<string, string>> = {
  LC_ALL: 'C',
  TZ: 'UTC',
  LINES: '24',
  COLUMNS: '80',
};

/** `env`: besides. */
export const runNative = (
  { program, args, directory, input }: Command,
  env: Readonly<Record<string, string>> = {},
): Result => {
  const ended = spawnSync(program, args.slice(1), {
    argv0: args[0]!,
    cwd: directory,
    input: input ?? '',
    env: { ...ENVIRONMENT, ...env },
    encoding: 'latin1',
    maxBuffer: 64 << 20,
  });
  // Who does not read what it is given is no failure.
  if (ended.error && !('code' in ended.error && ended.error.code === 'EPIPE')) throw ended.error;
  const status = ended.signal === null ? ended.status! : 128 + constants.signals[ended.signal];
  return { status, output: ended.stdout, errors: ended.stderr };
};
