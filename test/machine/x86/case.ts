/** One random test: what goes in and what comes out, laid out as the C program has it. */
import type { CodeMode } from '../../../machine/vcpu.ts';

export const CASE_BYTES = 1216;
export const GPR = 0;
export const RIP = 128;
export const FLAGS = 136;
export const VECTOR = 144;
export const ERROR = 152;
export const CR2 = 160;
/** Of a case: what mode its code is of, 64 or 0, 32, 16. Of a result, not the processor's: the flags that the architecture leaves undefined, or that the result is. */
export const MODE = 168;
export const UNDEFINED = MODE;
export const RESULT_UNDEFINED = 1n << 63n;
export const CODE_BYTES = 176;
export const WINDOW = 192;
/** The FXSAVE image, as far as anything is in it; MXCSR_MASK is zero. */
export const FPU = 800;
export const FPU_BYTES = 416;
export const FCW = FPU;
export const MXCSR = FPU + 24;
/** XMM0 to XMM15. */
export const VECTORS = FPU + 160;
export const WINDOW_LOW = 64;
export const WINDOW_HIGH = 544;

/** A page of code, nothing after it. */
export const CODE = 0x10000000;
/** A page to read and write, a page to read, nothing around them. Of the first its ends are the window. */
export const DATA = 0x10010000;
/** So that 16 bits reach the data, too. */
export const GS_BASE = DATA - 0x8000;
export const PAGE = 4096;
/** Bytes of code beside the case's own. */
export const FILL = 0xcc;
export const readOnlyByte = (i: number): number => (i * 7 + 3) & 0xff;
/** The vector of a case that completed: the single-step trap. */
export const COMPLETED = 1;

export class Case {
  readonly view: DataView;
  readonly bytes: Uint8Array;
  readonly gpr: BigUint64Array;
  /** ST(0) to ST(7), 16 bytes each. */
  readonly stackWords: BigUint64Array;

  constructor(buffer: ArrayBuffer, index: number) {
    this.view = new DataView(buffer, index * CASE_BYTES, CASE_BYTES);
    this.bytes = new Uint8Array(buffer, index * CASE_BYTES, CASE_BYTES);
    this.stackWords = new BigUint64Array(buffer, index * CASE_BYTES + FPU + 32, 16);
    this.gpr = new BigUint64Array(buffer, index * CASE_BYTES + GPR, 16);
  }

  get(field: number): bigint {
    return this.view.getBigUint64(field, true);
  }

  set(field: number, value: bigint): void {
    this.view.setBigUint64(field, value, true);
  }

  get mode(): CodeMode {
    const bits = this.view.getUint32(MODE, true);
    return bits === 32 || bits === 16 ? bits : 64;
  }

  get mxcsr(): number {
    return this.view.getUint32(MXCSR, true);
  }

  set mxcsr(value: number) {
    this.view.setUint32(MXCSR, value, true);
  }

  vector(i: number): bigint {
    const at = VECTORS + 16 * i;
    return this.get(at) | (this.get(at + 8) << 64n);
  }

  stack(i: number): bigint {
    return this.stackWords[2 * i]! | (this.stackWords[2 * i + 1]! << 64n);
  }

  setStack(i: number, value: bigint): void {
    this.stackWords[2 * i] = value;
    this.stackWords[2 * i + 1] = value >> 64n;
  }

  setVector(i: number, value: bigint): void {
    const at = VECTORS + 16 * i;
    this.set(at, value & 0xffff_ffff_ffff_ffffn);
    this.set(at + 8, value >> 64n);
  }

  get code(): Uint8Array {
    return this.bytes.subarray(CODE_BYTES, CODE_BYTES + 15);
  }

  get window(): Uint8Array {
    return this.bytes.subarray(WINDOW, WINDOW + WINDOW_LOW + WINDOW_HIGH);
  }
}
