/**
 * Small guests, each for one behaviour: a kernel's main function is booted in a mode and comes to one of four verdicts.
 * `success`: it ended as it should; `skip`: it found that its mode cannot have the behaviour; `failure`: an expectation in
 * it did not hold; `error`: anything else, such as a crash that nobody expected.
 */
import { expect, it } from 'vitest';
import { runMode } from '../../cli/host.ts';
import { MODES, type Mode, type ModeResult, type Outcome } from '../../cli/result.ts';
import { Witness } from '../../cli/witness.ts';
import { defineKernel, type Machine as Kernel } from '../../drivers/index.ts';
import type { BlockStore } from '../../machine/block-store.ts';
import type { Guest } from '../../machine/cpu.ts';
import { DEFAULT_PRESET } from '../../machine/presets.ts';
import type { TraceRecord } from '../../machine/trace.ts';

export type { Kernel, Mode };
export { MODES };

/** The modes in which a kernel owns its (perhaps virtual) processor. */
export const BARE = ['native', 'hvm'] as const;
export const PV = ['pv'] as const;

export const MILLISECOND = 1_000_000; // ns
/** The processor that guests run on. */
export const PRESET = DEFAULT_PRESET;
/** Five seconds of virtual time: no guest here needs as much. */
const LIMIT = 5 * PRESET.mhz * 1_000_000;
const MEMORY = 4 << 20;

export type Main = (k: Kernel) => Promise<void>;
export type Verdict = 'success' | 'skip' | 'error' | 'failure';

export interface GuestOptions {
  /** A guest without the kernel library, in place of a main function. */
  readonly guest?: Guest;
  /** New drives for every run, xvda first. */
  readonly disks?: () => BlockStore[];
  readonly memoryBytes?: number;
  /** Cycles that it may take. */
  readonly limit?: number;
}

export interface GuestRun extends ModeResult {
  readonly verdict: Verdict;
  /** Why it was skipped. */
  readonly note: string;
  /** What was thrown in its main function. */
  readonly error: unknown;
  /** Its console's very bytes. */
  readonly bytes: Uint8Array;
  readonly trace: readonly TraceRecord[];
}

/** Ends a guest's test: its mode cannot have what it tries. */
export class Skip extends Error {
  override readonly name = 'Skip';
}

/** Boots `main` in `mode`; `ends` is the outcome that it should come to. */
export const bootGuest = async (
  mode: Mode,
  main: Main,
  options: GuestOptions = {},
  ends: Outcome = 'poweroff',
): Promise<GuestRun> => {
  let error: unknown;
  const kernel = defineKernel(async (k) => {
    try {
      await main(k);
    } catch (thrown) {
      error = thrown;
      if (!(thrown instanceof Skip)) throw thrown;
    }
  });
  const witness = new Witness(options.guest ?? kernel);
  const trace: TraceRecord[] = [];
  const said: Uint8Array[] = [];
  const request = {
    guest: witness.guest,
    preset: PRESET,
    memoryBytes: options.memoryBytes ?? MEMORY,
    vcpus: 1,
    disks: options.disks?.() ?? [],
    limit: options.limit ?? LIMIT,
    trace: (record: TraceRecord) => void trace.push(record),
    onConsole: (speaker: string, bytes: Uint8Array) => {
      if (speaker === 'guest') said.push(bytes.slice());
    },
  };
  const result = witness.correct(await runMode(mode, request), 'guest.ts');
  const bytes = Uint8Array.from(Buffer.concat(said));
  const note = error instanceof Skip ? error.message : '';
  return { ...result, verdict: verdictOf(error, result, ends), note, error, bytes, trace };
};

/** Expectations that failed, inside a guest or out. */
export const isFailure = (error: unknown): boolean =>
  error instanceof Error && error.name === 'AssertionError';

const verdictOf = (error: unknown, { outcome }: ModeResult, ends: Outcome): Verdict => {
  if (error instanceof Skip) return 'skip';
  if (isFailure(error)) return 'failure';
  return outcome === ends ? 'success' : 'error';
};

export interface GuestTest extends GuestOptions {
  readonly ends?: Outcome;
  /** What must hold of the run besides. */
  readonly check?: (run: GuestRun) => void;
}

/** A test of one guest in each of `modes`. */
export const guestTest = (
  title: string,
  modes: readonly Mode[],
  main: Main,
  { ends = 'poweroff', check, ...options }: GuestTest = {},
): void => {
  it.for(modes)(`${title} (%s)`, async (mode, { skip }) => {
    const run = await bootGuest(mode, main, options, ends);
    if (run.verdict === 'skip') skip(run.note);
    if (run.verdict === 'failure') throw run.error;
    if (run.verdict === 'error') expect.fail(`${run.outcome}, not ${ends}: ${run.why}`);
    check?.(run);
  });
};

const nothing: Main = async () => {};

/** The same for a guest that has no main function. */
export const rawTest = (
  title: string,
  modes: readonly Mode[],
  guest: Guest,
  options: GuestTest = {},
): void => guestTest(title, modes, nothing, { ...options, guest });

/** Bytes of `sectors` sectors, no two sectors alike. */
export const pattern = (sectors: number): Uint8Array =>
  Uint8Array.from({ length: sectors * 512 }, (_, i) => (i >> 9) * 7 + (i >> 3) + i);
