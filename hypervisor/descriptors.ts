/**
 * Descriptor pages (GDT, LDT): what a guest may put into them. Code and data segments get DPL 3,
 * call gates DPL 0 so that using one faults; other system descriptors are refused.
 * @source xen/arch/x86/pv/descriptor-tables.c, SDM vol. 3, 3.4.5
 */
import type { Memory } from '../machine/memory.ts';
import {
  FIRST_RESERVED_GDT_ENTRY,
  FLAT_RING3_CS32,
  FLAT_RING3_CS64,
  FLAT_RING3_SS64,
} from '../protocol/xen.ts';

const PRESENT = 0x8000;
const CODE_OR_DATA = 0x1000;
const DPL = 0x6000;
const TYPE = 0xf00;
const CALL_GATE = 0xc00;
/** Flat selectors that Xen has in its part of the GDT for guests. */
const FLAT_SELECTORS: readonly number[] = [FLAT_RING3_CS32, FLAT_RING3_SS64, FLAT_RING3_CS64];

/** The high half of a descriptor as Xen stores it, or -1 when it is forbidden. */
export const sanitizeDescriptor = (hi: number, lo: number): number => {
  if ((hi & PRESENT) === 0) return hi;
  if ((hi & CODE_OR_DATA) !== 0) return (hi | DPL) >>> 0;
  if ((hi & TYPE) === 0) return hi;
  return (hi & TYPE) === CALL_GATE && guestSelector(lo >>> 16) ? (hi & ~DPL) >>> 0 : -1;
};

/** Its low half: a call gate leads to CPL 3. */
export const descriptorLo = (lo: number, hi: number): number =>
  (hi & PRESENT) !== 0 && (hi & (CODE_OR_DATA | TYPE)) === CALL_GATE ? (lo | 0x30000) >>> 0 : lo;

/** Not one of Xen's own segments; the flat ones that Xen has for guests are fine. */
const guestSelector = (selector: number): boolean =>
  (selector & 4) !== 0 ||
  selector >>> 3 < FIRST_RESERVED_GDT_ENTRY ||
  FLAT_SELECTORS.includes(selector | 3);

/** Rewrite all 512 descriptors of a frame. @returns false at the first that is forbidden. */
export const sanitizeDescriptors = (memory: Memory, mfn: number): boolean => {
  const { u32 } = memory;
  const base = memory.frameAt(mfn) >>> 2;
  for (let word = base + 1; word < base + 1024; word += 2) {
    const lo = u32[word - 1]!;
    const hi = sanitizeDescriptor(u32[word]!, lo);
    if (hi < 0) return false;
    u32[word - 1] = descriptorLo(lo, hi);
    u32[word] = hi;
  }
  return true;
};
