/**
 * The descriptor tables that a PV vCPU has loaded: its own frames up to entry 7167, then Xen's page with the flat segments; and
 * an LDT in its memory. Xen has them in its part of the address space.
 *
 *     selector  e008 e010   e023      e02b      e033      e040  e050  e060
 *               Xen's       code 32   data      code 64   TSS   LDT   the CPU's number as limit
 *
 * @source xen/xen-x86_64.h:42; xen/arch/x86/desc.c
 */
import type { Descriptor } from '../machine/descriptor.ts';
import { GDTR_BASE, GDTR_LIMIT, IDTR_BASE, IDTR_LIMIT, LDTR, TR } from '../machine/vcpu.ts';
import { FIRST_RESERVED_GDT_ENTRY } from '../protocol/xen.ts';
import { descriptorLo, sanitizeDescriptor } from './descriptors.ts';
import type { Hypervisor } from './hypervisor.ts';
import type { XenVcpu } from './xen-vcpu.ts';

const ENTRIES_PER_FRAME = 512;
const FIRST_RESERVED = FIRST_RESERVED_GDT_ENTRY * 8;
const TSS_SELECTOR = FIRST_RESERVED + 0x40;
const LDT_SELECTOR = FIRST_RESERVED + 0x50;
const PER_CPU_SELECTOR = FIRST_RESERVED + 0x60;
const RPL = 3;
const TABLE_INDICATOR = 4;

/** Slot 260 of the root: 128 KiB for each vCPU. */
const PER_DOMAIN_START = -0x7e0000000000;
const PER_VCPU_SHIFT = 17;
const GDT_LIMIT = 0xefff;
/** Where Xen's own data lies; a PV kernel only sees that it has no say there. */
const XEN_IDT = -0x7d2fbf000000;
const IDT_LIMIT = 0xfff;

/** Xen's flat segments, by selector without RPL. */
const RESERVED: ReadonlyMap<number, Descriptor> = new Map([
  [FIRST_RESERVED + 0x08, { lo: 0x0000ffff, hi: 0x00af9b00 }],
  [FIRST_RESERVED + 0x10, { lo: 0x0000ffff, hi: 0x00cf9300 }],
  [FIRST_RESERVED + 0x20, { lo: 0x0000ffff, hi: 0x00cffb00 }],
  [FIRST_RESERVED + 0x28, { lo: 0x0000ffff, hi: 0x00cff300 }],
  [FIRST_RESERVED + 0x30, { lo: 0x0000ffff, hi: 0x00affb00 }],
  [TSS_SELECTOR, { lo: 0x00000067, hi: 0x00008b00 }],
]);

const bytes = new Uint8Array(8);
const view = new DataView(bytes.buffer);

/** What SGDT, SIDT and STR show a PV vCPU. */
export const showTables = ({ arch, id }: XenVcpu): void => {
  arch.set(GDTR_BASE, PER_DOMAIN_START + id * 2 ** PER_VCPU_SHIFT);
  arch.set(GDTR_LIMIT, GDT_LIMIT);
  arch.set(IDTR_BASE, XEN_IDT);
  arch.set(IDTR_LIMIT, IDT_LIMIT);
  arch.set(TR, TSS_SELECTOR);
};

/** Load an LDT of `entries` at `va`; 0 unloads it. */
export const loadLdt = (vcpu: XenVcpu, va: number, entries: number): void => {
  vcpu.ldt = va;
  vcpu.ldtEntries = entries;
  vcpu.arch.set(LDTR, entries === 0 ? 0 : LDT_SELECTOR);
};

/** What `selector` names, or undefined. */
export const descriptorOf = (
  xen: Hypervisor,
  vcpu: XenVcpu,
  selector: number,
): Descriptor | undefined => {
  const at = selector & ~(RPL | TABLE_INDICATOR);
  if ((selector & TABLE_INDICATOR) !== 0) return inLdt(xen, vcpu, at);
  if (at === PER_CPU_SELECTOR) return { lo: vcpu.arch.pcpu.index, hi: 0x0000f100 };
  if (at >= FIRST_RESERVED) return RESERVED.get(at);
  const mfn = vcpu.domain.memory.gdtFrames(vcpu)[Math.floor(at / 8 / ENTRIES_PER_FRAME)];
  if (mfn === undefined) return undefined;
  const { memory } = xen.machine;
  const word = (memory.frameAt(mfn) + (at & 0xfff)) >>> 2;
  return { lo: memory.u32[word]!, hi: memory.u32[word + 1]! };
};

/** The pages of an LDT are the guest's to write, so each descriptor is made harmless when it is used. */
const inLdt = (xen: Hypervisor, vcpu: XenVcpu, at: number): Descriptor | undefined => {
  if (at >= vcpu.ldtEntries * 8 || !xen.copyFromGuest(vcpu, vcpu.ldt + at, bytes)) return undefined;
  const lo = view.getUint32(0, true);
  const hi = sanitizeDescriptor(view.getUint32(4, true), lo);
  return hi < 0 ? undefined : { lo: descriptorLo(lo, hi), hi };
};
