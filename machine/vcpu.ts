/**
 * The architectural state of one virtual CPU, kept in its 4 KiB block of linear memory where an
 * engine's generated code can reach it. Names are the SDM's. 64-bit registers are read and written
 * here as signed numbers (exact to 2^53, and for every canonical address) or as u32 halves.
 */
import { type Memory, TLB_ARRAY_BYTES } from './memory.ts';
import type { Pcpu } from './pcpu.ts';

/** GPR numbers as instructions encode them. */
export const RAX = 0;
export const RCX = 1;
export const RDX = 2;
export const RBX = 3;
export const RSP = 4;
export const RBP = 5;
export const RSI = 6;
export const RDI = 7;
export const R8 = 8;
export const R9 = 9;
export const R10 = 10;
export const R11 = 11;
export const R12 = 12;
export const R13 = 13;
export const R14 = 14;
export const R15 = 15;

/** Byte offsets in the block of the 64-bit registers after the 16 GPRs (offset 8 * number). */
export const RIP = 128;
// 136..159: lazy flags {kind u32, width u32, result u64, operand u64}, for an engine.
export const RFLAGS = 160;
export const FS_BASE = 168;
export const GS_BASE = 176;
export const KERNEL_GS_BASE = 184;
export const CR0 = 192;
export const CR2 = 200;
export const CR3 = 208;
export const CR4 = 216;
export const EFER = 224;
export const MODE = 232; // u32: CPL in bits 0-1, 4 for code of 32 bits, 8 for code of 16 bits
const MODE_32 = 4;
const MODE_16 = 8;
export const BUDGET = 240;
export const ICOUNT = 248;
export const TLB_READ = 256; // u32 byte offset of the current read array; the write array follows it
const TLB_SELECTED = 260; // u32: 0 kernel set, 1 user set
/** Exit record: reason u32 at 264 and the instruction's length u32 (0 of TypeScript code), then four details (see exit.ts). */
export const EXIT_REASON = 264;
export const EXIT_A = 272;
export const EXIT_B = 280;
export const EXIT_C = 288;
export const EXIT_D = 296;
export const GDTR_BASE = 304;
export const GDTR_LIMIT = 312;
export const IDTR_BASE = 320;
export const IDTR_LIMIT = 328;
export const TR_BASE = 336;
export const STAR = 344;
export const LSTAR = 352;
export const CSTAR = 360;
export const FMASK = 368;
export const CS = 376; // selectors, as 64-bit fields
export const SS = 384;
export const DS = 392;
export const ES = 400;
export const FS = 408;
export const GS = 416;
export const DR0 = 424; // DR0..DR7, 8 bytes each, to 488
export const EPTP = 488; // MFN of the EPT root; 0 = no second dimension
/** Bit v set: exception v leaves the guest instead of going through its IDT (the VMCS field). */
export const EXCEPTION_BITMAP = 496;
/** VM-execution controls, CONTROL_* of exit.ts. */
export const CONTROLS = 504;
/** XMM0 to XMM15, 16 bytes each. */
export const XMM = 512;
/**
 * What FXSAVE writes, as it lies there (SDM vol. 1, 10.5.1): FCW, FSW, a bit for every register that is not empty, FOP, FIP, FDP,
 * MXCSR at 24; then the registers of the x87, 16 bytes for each, but by their physical numbers.
 */
export const FXSAVE = 768;
export const MXCSR = FXSAVE + 24;
/** After reset: all exceptions masked, round to nearest; FCW with 64 bits of precision. */
const RESET_MXCSR = 0x1f80;
const RESET_FCW = 0x37f;
// 1280..: the interpreter's.
export const TSC_AUX = 3968;
export const SYSENTER_CS = 3976;
export const SYSENTER_ESP = 3984;
export const SYSENTER_EIP = 3992;
/** Selectors of TR and LDTR. */
export const TR = 4000;
export const LDTR = 4008;

export const RFLAGS_IF = 0x200;
export const RFLAGS_FIXED = 0x2;

/** What the descriptor of CS says of code: 64-bit mode, or compatibility mode with CS.D set or clear. */
export type CodeMode = 64 | 32 | 16;

export class Vcpu {
  readonly index: number;
  readonly block: number;
  /** The physical CPU that it runs on, set by the scheduler. */
  pcpu: Pcpu;
  /** Set when this vCPU executes nothing more, ever: its domain died or the limit was reached. */
  stopped = false;
  readonly #memory: Memory;
  readonly #u32: Uint32Array;
  readonly #i32: Int32Array;
  readonly #word: number;

  constructor(memory: Memory, index: number, pcpu: Pcpu) {
    this.index = index;
    this.block = memory.vcpuBlock(index);
    this.pcpu = pcpu;
    this.#memory = memory;
    this.#u32 = memory.u32;
    this.#i32 = memory.i32;
    this.#word = this.block >>> 2;
    this.reset();
  }

  /** All registers zero, RFLAGS as after reset, the kernel TLB set selected. The TLB is not touched. */
  reset(): void {
    this.#u32.fill(0, this.#word, this.#word + 1024);
    this.set(RFLAGS, RFLAGS_FIXED);
    this.setLow(FXSAVE, RESET_FCW);
    this.setLow(MXCSR, RESET_MXCSR);
    this.selectTlb(0);
  }

  /** A 64-bit register as a signed number. */
  get(field: number): number {
    const w = this.#word + (field >>> 2);
    return this.#i32[w + 1]! * 4294967296 + this.#u32[w]!;
  }

  set(field: number, value: number): void {
    const w = this.#word + (field >>> 2);
    this.#u32[w] = value;
    this.#i32[w + 1] = Math.floor(value / 4294967296);
  }

  lo(field: number): number {
    return this.#u32[this.#word + (field >>> 2)]!;
  }

  hi(field: number): number {
    return this.#u32[this.#word + (field >>> 2) + 1]!;
  }

  setHalves(field: number, lo: number, hi: number): void {
    const w = this.#word + (field >>> 2);
    this.#u32[w] = lo;
    this.#u32[w + 1] = hi;
  }

  /** The lower half alone. */
  setLow(field: number, value: number): void {
    this.#u32[this.#word + (field >>> 2)] = value;
  }

  setBig(field: number, value: bigint): void {
    this.setHalves(field, Number(value & 0xffffffffn), Number((value >> 32n) & 0xffffffffn));
  }

  getBig(field: number): bigint {
    return (BigInt(this.hi(field)) << 32n) | BigInt(this.lo(field));
  }

  /** GPR `n` as a signed number; the halves are `lo(8 * n)` and `hi(8 * n)`. */
  gpr(n: number): number {
    return this.get(n << 3);
  }

  setGpr(n: number, value: number): void {
    this.set(n << 3, value);
  }

  /** Current privilege level, 0..3. */
  get cpl(): number {
    return this.#u32[this.#word + (MODE >>> 2)]! & 3;
  }

  set cpl(level: number) {
    const w = this.#word + (MODE >>> 2);
    this.#u32[w] = (this.#u32[w]! & ~3) | level;
  }

  get mode(): CodeMode {
    const bits = this.#u32[this.#word + (MODE >>> 2)]! & (MODE_32 | MODE_16);
    return bits === 0 ? 64 : bits === MODE_32 ? 32 : 16;
  }

  /** CS becomes `selector`, which names code of `mode`. */
  setCode(selector: number, mode: CodeMode = 64): void {
    const w = this.#word + (MODE >>> 2);
    const bits = mode === 64 ? 0 : mode === 32 ? MODE_32 : MODE_16;
    this.#u32[w] = (this.#u32[w]! & 3) | bits;
    this.set(CS, selector);
  }

  get rip(): number {
    return this.get(RIP);
  }

  set rip(va: number) {
    this.set(RIP, va);
  }

  /** What left the guest has been done for it: RIP goes past the instruction. */
  retire(): void {
    this.rip += this.hi(EXIT_REASON);
  }

  /** Make set 0 (kernel) or 1 (user) the one that accesses go through; flushes nothing. */
  selectTlb(set: 0 | 1): void {
    this.#u32[this.#word + (TLB_READ >>> 2)] = this.#memory.tlbSet(this.index, set);
    this.#u32[this.#word + (TLB_SELECTED >>> 2)] = set;
  }

  get tlbSelected(): 0 | 1 {
    return this.#u32[this.#word + (TLB_SELECTED >>> 2)] as 0 | 1;
  }

  /** Byte offset of the current read array. */
  get tlbRead(): number {
    return this.#u32[this.#word + (TLB_READ >>> 2)]!;
  }

  get tlbWrite(): number {
    return this.tlbRead + TLB_ARRAY_BYTES;
  }
}
