/**
 * Trace files: a msgpack stream, first a header that says what ran, then the records of the trace in order.
 * The same run gives the same bytes, since a record holds nothing but virtual time and what happened.
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { Packr, Unpackr } from 'msgpackr';
import type { TraceRecord } from '../machine/trace.ts';
import { UsageError } from './usage-error.ts';

const FORMAT = 'hospes trace 1';
const CHUNK_BYTES = 1 << 16;

export interface TraceHeader {
  readonly format: string;
  readonly kernel: string;
  readonly preset: string;
  readonly mode: string;
}

export class TraceWriter {
  readonly #fd: number;
  readonly #packr = new Packr({ sequential: true });
  #chunks: Uint8Array[] = [];
  #bytes = 0;

  /** @throws UsageError when the file cannot be written. */
  constructor(file: string, header: Omit<TraceHeader, 'format'>) {
    try {
      this.#fd = openSync(file, 'w');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new UsageError(
        `trace ${file} cannot be written (${code}): give --trace a writable path`,
      );
    }
    this.#pack({ format: FORMAT, ...header });
  }

  write(record: TraceRecord): void {
    this.#pack(record);
  }

  close(): void {
    this.#drain();
    closeSync(this.#fd);
  }

  #pack(value: object): void {
    const packed = this.#packr.pack(value);
    this.#chunks.push(packed);
    this.#bytes += packed.length;
    if (this.#bytes >= CHUNK_BYTES) this.#drain();
  }

  #drain(): void {
    writeSync(this.#fd, Buffer.concat(this.#chunks));
    this.#chunks = [];
    this.#bytes = 0;
  }
}

/**
 * Calls `take` with each record of a trace file, after its header.
 * @throws UsageError when the file is missing, is no trace, or ends in the middle of a record.
 */
export const readTrace = (file: string, take: (record: TraceRecord) => void): void => {
  const bytes = readOrRefuse(file);
  let header: TraceHeader | undefined;
  const each = (value: unknown): void => {
    if (header) {
      take(value as TraceRecord);
      return;
    }
    header = value as TraceHeader;
    if (header?.format !== FORMAT) throw new UsageError(notATrace(file));
  };
  try {
    new Unpackr({ sequential: true }).unpackMultiple(bytes, each);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    if (!header) throw new UsageError(notATrace(file));
    throw new UsageError(`trace ${file} is cut short: record it again with hospes run --trace`);
  }
  if (!header) throw new UsageError(notATrace(file));
};

const notATrace = (file: string): string =>
  `${file} is not a trace: give a file that hospes run --trace wrote`;

const readOrRefuse = (file: string): Buffer => {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const what = code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`;
    throw new UsageError(`trace ${file} ${what}: give a file that hospes run --trace wrote`);
  }
};

/** One record as one line: time, who, kind, then its details in the order they were recorded. */
export const traceLine = (record: TraceRecord): string => {
  const { time, who, kind, ...details } = record;
  const words = Object.entries(details)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${ADDRESSES.has(name) ? hexOf(value) : textOf(value)}`);
  return [String(time).padStart(14), who.padEnd(6), kind.padEnd(12), ...words].join(' ').trimEnd();
};

/** Details that are addresses, shown as the 64 bits they are. */
const ADDRESSES = new Set(['rip', 'va', 'address', 'gpa']);

const hexOf = (value: unknown): string =>
  typeof value === 'number'
    ? `0x${BigInt.asUintN(64, BigInt(Math.trunc(value))).toString(16)}`
    : textOf(value);

/** One record as JSON; a 64-bit value beyond 2^53 becomes a decimal string. */
export const traceJson = (record: TraceRecord): string =>
  JSON.stringify(record, (_name, value: unknown) =>
    typeof value !== 'bigint'
      ? value
      : Number.isSafeInteger(Number(value))
        ? Number(value)
        : String(value),
  );

const textOf = (value: unknown): string =>
  typeof value === 'string' && /[\s="]/.test(value) ? JSON.stringify(value) : String(value);
