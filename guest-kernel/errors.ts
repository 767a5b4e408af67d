/** What goes wrong, as types that a kernel can catch. */
import { errnoName } from '../protocol/errno.ts';

/**
 * A hypercall returned an error. `errno` is positive; `call` names the hypercall and its sub-
 * operation.
 */
export class XenError extends Error {
  override readonly name = 'XenError';
  readonly call: string;
  readonly errno: number;

  constructor(call: string, errno: number) {
    super(`${call}: -${errnoName(errno)}`);
    this.call = call;
    this.errno = errno;
  }
}

/** A grant operation's own status was not GNTST_okay. */
export class GrantError extends Error {
  override readonly name = 'GrantError';
  readonly call: string;
  readonly status: number;

  constructor(call: string, status: number) {
    super(`${call}: status ${status}`);
    this.call = call;
    this.status = status;
  }
}

const NAMES: Readonly<Record<number, string>> = {
  0: '#DE',
  1: '#DB',
  3: '#BP',
  6: '#UD',
  7: '#NM',
  8: '#DF',
  10: '#TS',
  11: '#NP',
  12: '#SS',
  13: '#GP',
  14: '#PF',
  17: '#AC',
};

/** An exception that no fault handler took. */
export class KernelFault extends Error {
  override readonly name = 'KernelFault';
  readonly vector: number;
  readonly error: number;
  readonly address: number;

  constructor(fault: { vector: number; error: number; address: number }) {
    const where = fault.vector === 14 ? ` at ${hex(fault.address)}` : '';
    super(`${NAMES[fault.vector] ?? `vector ${fault.vector}`}(${fault.error})${where}`);
    this.vector = fault.vector;
    this.error = fault.error;
    this.address = fault.address;
  }
}

/** The frame allocator is empty. */
export class OutOfFrames extends Error {
  override readonly name = 'OutOfFrames';

  constructor() {
    super('out of frames');
  }
}

/** A canonical address as 16 hex digits. */
export const hex = (va: number): string => {
  const high = Math.floor(va / 4294967296) >>> 0;
  return `0x${high.toString(16).padStart(8, '0')}${(va >>> 0).toString(16).padStart(8, '0')}`;
};
