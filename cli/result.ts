/**
 * What one run of a kernel came to: the object behind the table and behind `--json`
 * (its schema is docs/report.schema.json).
 */
export const MODES = ['native', 'pv', 'hvm'] as const;
export type Mode = (typeof MODES)[number];

/** How a guest ended. `limit`: it used up `--limit`; `hang`: it waits for something that can never happen. */
export const OUTCOMES = [
  'poweroff',
  'reboot',
  'suspend',
  'crash',
  'watchdog',
  'destroyed',
  'limit',
  'hang',
] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** Cycles spent on one thing, and how often. */
export interface CauseLine {
  readonly cause: string;
  readonly count: number;
  readonly cycles: number;
}

export interface ModeResult {
  readonly mode: Mode;
  readonly outcome: Outcome;
  /** One sentence, for every outcome but a power-off. */
  readonly why?: string;
  /** Virtual cycles from the guest's first instruction to its end: the exact sum of `causes`. */
  readonly cycles: number;
  readonly causes: readonly CauseLine[];
  /** What the guest wrote to its console. */
  readonly console: string;
}

/** One kernel on one processor in one or more modes. */
export interface Comparison {
  readonly kernel: string;
  readonly preset: string;
  readonly modes: readonly ModeResult[];
}

/** Prefix of the causes that domain 0's cycles are listed under. */
export const DOMAIN0 = 'domain 0: ';
