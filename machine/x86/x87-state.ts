/**
 * The registers of the x87, which are those of MMX, too. An interface, so that it can be a view of the bytes where a vCPU keeps them.
 * @source SDM vol. 1, 8.1
 */
export interface X87State {
  /** FCW. */
  control: number;
  /** FSW, TOP in it. */
  status: number;
  /** Bit i: physical register i is not empty. What else the tag word says follows from the registers. */
  valid: number;
  /** Of the last instruction that was no control instruction: FOP, FIP, FDP. */
  opcode: number;
  ip: bigint;
  dp: bigint;
  /** The 80 bits of physical register `i`. */
  register(i: number): bigint;
  setRegister(i: number, value: bigint): void;
}

/** Bits of the status word behind the exceptions. */
export const STACK_FAULT = 0x40;
export const SUMMARY = 0x80;
export const C0 = 0x100;
export const C1 = 0x200;
export const C2 = 0x400;
export const TOP = 0x3800;
export const C3 = 0x4000;
const BUSY = 0x8000;
export const EXCEPTIONS = 0x3f;

/** Bits of the control word that there are; one of them is always set. */
const CONTROL = 0x1f3f;
const CONTROL_SET = 0x40;
export const INITIAL_CONTROL = 0x37f;

export const top = ({ status }: X87State): number => (status & TOP) >> 11;

/** The number of the physical register that is ST(i). */
export const physical = (state: X87State, i: number): number => (top(state) + i) & 7;

/** Both words, with what follows from them: the error summary. */
export const setWords = (state: X87State, control: number, status: number): void => {
  state.control = (control & CONTROL) | CONTROL_SET;
  const pending = (status & EXCEPTIONS & ~control) !== 0;
  state.status = (status & ~(SUMMARY | BUSY)) | (pending ? SUMMARY | BUSY : 0);
};

/** The two bits that a full tag word has for each register: valid, zero, special, empty. */
export const tagOf = (state: X87State, i: number): number => {
  if (((state.valid >> i) & 1) === 0) return 3;
  const value = state.register(i);
  const exponent = (value >> 64n) & 0x7fffn;
  const significand = BigInt.asUintN(64, value);
  if (exponent === 0n && significand === 0n) return 1;
  return exponent === 0n || exponent === 0x7fffn || significand >> 63n === 0n ? 2 : 0;
};

export class X87Registers implements X87State {
  control = INITIAL_CONTROL;
  status = 0;
  valid = 0;
  opcode = 0;
  ip = 0n;
  dp = 0n;
  /** Significand, then sign and exponent, of each physical register. */
  readonly words = new BigUint64Array(16);

  register(i: number): bigint {
    return this.words[2 * i]! | (this.words[2 * i + 1]! << 64n);
  }

  setRegister(i: number, value: bigint): void {
    this.words[2 * i] = value;
    this.words[2 * i + 1] = value >> 64n;
  }
}
