/**
 * The page walk: four levels of real tables in memory, accessed and dirty bits set as it goes, and under
 * EPT a second walk for every guest-physical address, the tables' own included (SDM vol. 3, 4.5 and 29.3).
 */
import { VECTOR_GP, VECTOR_PF } from './exit.ts';
import type { Memory } from './memory.ts';
import {
  EPT_EXECUTE,
  EPT_READ,
  EPT_WRITE,
  isCanonical,
  PF_FETCH,
  PF_PRESENT,
  PF_RESERVED,
  PF_USER,
  PF_WRITE,
  PTE_A,
  PTE_D,
  PTE_NX_HI,
  PTE_P,
  PTE_PS,
  PTE_RW,
  PTE_US,
  pteFrame,
  tableIndex,
} from './pte.ts';
import { CR0, CR3, EFER, EPTP, type Vcpu } from './vcpu.ts';

export const ACCESS_READ = 0;
export const ACCESS_WRITE = 1;
export const ACCESS_FETCH = 2;

/** `faultVector` of a walk that failed in the second dimension. */
export const FAULT_EPT = 256;

export const CR0_WP = 0x10000;
export const EFER_NXE = 0x800;
/** Bits of an EPT violation's qualification: the guest address is valid; it was the access itself, not a table's. */
const QUALIFICATION_LINEAR = 0x80;
const QUALIFICATION_FINAL = 0x100;

export class PageWalk {
  /** Memory references of the last walk. */
  references = 0;
  /** Of a failed walk: #PF, #GP (non-canonical) or FAULT_EPT; error code or EPT qualification; guest-physical address. */
  faultVector = 0;
  faultCode = 0;
  faultGpa = 0;
  /** Of a successful walk: a write through this mapping needs no further check. */
  writable = false;
  readonly #memory: Memory;
  #eptp = 0;
  #final = 0;
  #canWrite = false;

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** Host byte offset that `va` maps to for `access` at the vCPU's CPL, or -1 (see the fault fields). */
  walk(vcpu: Vcpu, va: number, access: number): number {
    this.references = 0;
    if (!isCanonical(va)) return this.#fault(VECTOR_GP, 0);
    const { u32 } = this.#memory;
    const user = vcpu.cpl === 3;
    const nxe = (vcpu.lo(EFER) & EFER_NXE) !== 0;
    const code =
      (access === ACCESS_WRITE ? PF_WRITE : 0) |
      (user ? PF_USER : 0) |
      (access === ACCESS_FETCH && nxe ? PF_FETCH : 0);
    this.#eptp = vcpu.get(EPTP);
    let frame = pteFrame(vcpu.lo(CR3), vcpu.hi(CR3));
    let rights = PTE_RW | PTE_US;
    let noExecute = false;
    for (let level = 4; ; level--) {
      const host = this.#table(frame, tableIndex(va, level) * 8, access);
      if (host < 0)
        return host === -2 ? -1 : this.#fault(VECTOR_PF, code | PF_PRESENT | PF_RESERVED);
      this.references++;
      const word = host >>> 2;
      const lo = u32[word]!;
      const hi = u32[word + 1]!;
      if ((lo & PTE_P) === 0) return this.#fault(VECTOR_PF, code);
      const large = (lo & PTE_PS) !== 0 && level > 1;
      if ((large && level === 4) || (hi & PTE_NX_HI && !nxe)) {
        return this.#fault(VECTOR_PF, code | PF_PRESENT | PF_RESERVED);
      }
      rights &= lo;
      if (hi & PTE_NX_HI) noExecute = true;
      frame = pteFrame(lo, hi);
      if (level > 1 && !large) {
        if ((lo & PTE_A) === 0) u32[word] = lo | PTE_A;
        continue;
      }

      const denied =
        (user && (rights & PTE_US) === 0) ||
        (access === ACCESS_FETCH && noExecute) ||
        (access === ACCESS_WRITE &&
          (rights & PTE_RW) === 0 &&
          (user || (vcpu.lo(CR0) & CR0_WP) !== 0));
      if (denied) return this.#fault(VECTOR_PF, code | PF_PRESENT);
      if (large) {
        const pages = level === 2 ? 512 : 0x40000;
        frame = Math.floor(frame / pages) * pages + (Math.floor(va / 4096) & (pages - 1));
      }
      const page = this.#resolve(frame, va, access);
      if (page < 0)
        return page === -2 ? -1 : this.#fault(VECTOR_PF, code | PF_PRESENT | PF_RESERVED);
      const dirty = access === ACCESS_WRITE ? PTE_D : 0;
      const bits = lo | PTE_A | dirty;
      if (bits !== lo) u32[word] = bits;
      const mayWrite = (rights & PTE_RW) !== 0 || (!user && (vcpu.lo(CR0) & CR0_WP) === 0);
      this.writable = mayWrite && (bits & PTE_D) !== 0 && this.#canWrite;
      return page + (va & 4095);
    }
  }

  /** Host offset of an entry of the table in (guest) frame `frame`; -1: no such frame; -2: EPT fault noted. */
  #table(frame: number, offset: number, access: number): number {
    if (this.#eptp === 0) {
      return frame < this.#memory.frames ? this.#memory.frameAt(frame) + offset : -1;
    }
    // The walk writes accessed bits, so the table must be writable in the second dimension.
    this.#final = 0;
    const host = this.#nested(frame, ACCESS_WRITE);
    if (host < 0) this.#noteEpt(frame * 4096 + offset, access);
    return host < 0 ? -2 : host + offset;
  }

  /** Host offset of the page that the access itself goes to; results as #table. */
  #resolve(frame: number, va: number, access: number): number {
    if (this.#eptp === 0) {
      this.#canWrite = true;
      return frame < this.#memory.frames ? this.#memory.frameAt(frame) : -1;
    }
    this.#final = QUALIFICATION_FINAL;
    const host = this.#nested(frame, access);
    if (host < 0) this.#noteEpt(frame * 4096 + (va & 4095), access);
    return host < 0 ? -2 : host;
  }

  /** Walk the EPT for guest frame `gfn`: host offset of its page, or -1 with the allowed rights in faultCode. */
  #nested(gfn: number, access: number): number {
    const { u32 } = this.#memory;
    const need =
      access === ACCESS_WRITE ? EPT_WRITE : access === ACCESS_FETCH ? EPT_EXECUTE : EPT_READ;
    let table = this.#eptp;
    let rights = EPT_READ | EPT_WRITE | EPT_EXECUTE;
    this.faultCode = 0;
    if (gfn >= 0x1000000000) return -1;
    for (let level = 4; ; level--) {
      this.references++;
      const word = (this.#memory.frameAt(table) >>> 2) + 2 * tableIndex(gfn * 4096, level);
      const lo = u32[word]!;
      rights &= lo;
      const large = level > 1 && (lo & PTE_PS) !== 0;
      const frame = pteFrame(lo, u32[word + 1]!);
      if (level > 1 && !large && (lo & 7) !== 0) {
        table = frame;
        continue;
      }
      this.faultCode = rights;
      if ((rights & need) === 0) return -1;
      this.#canWrite = (rights & EPT_WRITE) !== 0;
      const pages = level === 2 ? 512 : level === 3 ? 0x40000 : 1;
      return this.#memory.frameAt(large ? frame + (gfn % pages) : frame);
    }
  }

  #noteEpt(gpa: number, access: number): void {
    this.faultVector = FAULT_EPT;
    this.faultGpa = gpa;
    this.faultCode = (1 << access) | (this.faultCode << 3) | QUALIFICATION_LINEAR | this.#final;
  }

  #fault(vector: number, code: number): number {
    this.faultVector = vector;
    this.faultCode = code;
    return -1;
  }
}
