/**
 * What a check of a whole driver stands on: the machine around the two guests, and how a check says what it found.
 * The one idea: a check is a guest like any other; only what no guest could do or see (another processor's store
 * between two instructions, what a domain has mapped) comes from the bench.
 */

/** Called before an access to a watched frame: byte offset in it, length, whether it writes. */
export type Look = (frame: number, offset: number, length: number, write: boolean) => void;

/** What the driver domain holds of others. */
export interface Held {
  readonly mappings: number;
  readonly ports: number;
}

export interface Bench {
  /** A number below `n`; the same seed gives the same ones. */
  below(n: number): number;
  /** Cycles that the subject's domain has executed. */
  cycles(): number;
  /** What the driver domain holds now. */
  held(): Held;
  /** The sectors of disk xvda (0) or xvdb (1) as they are read. */
  stored(disk: number, sector: number, count: number): Uint8Array;
  /** The sectors of disk xvda (0) or xvdb (1) as they would be found after a power failure. */
  durable(disk: number, sector: number, count: number): Uint8Array;
  /** Tells `look` of the subject's accesses to machine frames `frames`. @returns a function that ends it */
  onAccess(frames: readonly number[], look: Look): () => void;
  /** The machine frame behind an address of the driver domain. */
  frameAt(va: number): number;
  /** Stores a word into machine frame `frame`, as another processor of the judge's would. */
  poke(frame: number, offset: number, value: number): void;
  peek(frame: number, offset: number): number;
  /** The guest, whichever end it is, does not run for the next `ns`. */
  stopGuest(ns: number): void;
  /** Starts an honest domain with a disk of its own. @returns how often it has read and written since */
  neighbour(): () => number;
}

/** Ends a check: it found something, or could not be made. */
export class Finding extends Error {
  override readonly name = 'Finding';
  readonly outcome: 'fail' | 'warn' | 'skip';

  constructor(outcome: Finding['outcome'], why: string) {
    super(why);
    this.outcome = outcome;
  }
}

/** Fails the check with `why`, a sentence, unless `holds`. */
export function must(holds: unknown, why: string): asserts holds {
  if (!holds) throw new Finding('fail', why);
}

/** The check cannot be made of this subject. */
export function skip(why: string): never {
  throw new Finding('skip', why);
}

/** Legal, but wasteful or trusting. */
export function warn(why: string): never {
  throw new Finding('warn', why);
}

export const US = 1_000; // nanoseconds
export const MS = 1_000_000;
/** How long a subject may take for anything that it must do. */
export const PATIENCE = 100 * MS;

/** Sectors that no two disks, places or seeds have in common. */
export function pattern(seed: number, count: number): Uint8Array {
  const bytes = new Uint8Array(count * 512);
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  for (let i = 0; i < bytes.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state >>> 8;
  }
  return bytes;
}

export function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** FNV-1a of the bytes, as eight hexadecimal digits. */
export function digest(bytes: Uint8Array): string {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, '0');
}
