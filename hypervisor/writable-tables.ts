/**
 * VMASST_TYPE_writable_pagetables: a kernel stores into its L1 tables, which it has mapped read-only, and the store is done
 * for it as mmu_update would. Stores into higher tables stay faults.
 * @source xen/arch/x86/pv/ro-page-fault.c
 */
import { PF_PRESENT, PF_RESERVED, PF_WRITE, PTE_RW, pteFrame } from '../machine/pte.ts';
import { VMASST_TYPE_writable_pagetables } from '../protocol/xen.ts';
import { hasAssist } from './domain.ts';
import type { Hypervisor } from './hypervisor.ts';
import { settle } from './mmu-update.ts';
import { setL1Entry } from './page-entry.ts';
import { TYPE_L1 } from './page-types.ts';
import { flushDomain } from './tlb.ts';
import type { XenVcpu } from './xen-vcpu.ts';

const READ_ONLY = PF_PRESENT | PF_WRITE;
const ENTRY_BYTES = 8;

/** The fault at `va` was a store into an L1 table. @returns whether it has been done, and the guest goes on after it */
export const storeIntoTable = (
  xen: Hypervisor,
  vcpu: XenVcpu,
  error: number,
  va: number,
): boolean => {
  const { domain, processor } = vcpu;
  if ((error & (READ_ONLY | PF_RESERVED)) !== READ_ONLY || !vcpu.kernelMode) return false;
  if (!hasAssist(domain, VMASST_TYPE_writable_pagetables)) return false;
  const table = tableAt(xen, vcpu, va);
  if (table < 0 || !processor?.executeOffering) return false;

  const { causes, costs } = xen.machine;
  const cause = causes.id('page-table writes');
  xen.currentCause = cause;
  vcpu.arch.pcpu.charge(cause, costs.fault + costs.emulate);
  return processor.executeOffering((to, bytes, value) =>
    Math.floor(to / 4096) === Math.floor(va / 4096)
      ? store(xen, vcpu, table, to, bytes, value)
      : false,
  );
};

/** The L1 table of the domain's own that is mapped read-only at `va`, or -1. */
const tableAt = (xen: Hypervisor, vcpu: XenVcpu, va: number): number => {
  const { frames, machine } = xen;
  const at = machine.mmu.leaf(vcpu.kernelRoot, va);
  if (at < 0) return -1;
  const word = at >>> 2;
  const lo = machine.memory.u32[word]!;
  const mfn = pteFrame(lo, machine.memory.u32[word + 1]!);
  const isTable =
    (lo & PTE_RW) === 0 &&
    frames.belongs(mfn, vcpu.domain.id) &&
    frames.type[mfn] === TYPE_L1 &&
    frames.typeCount[mfn]! > 0;
  return isTable ? mfn : -1;
};

const store = (
  xen: Hypervisor,
  vcpu: XenVcpu,
  table: number,
  va: number,
  bytes: number,
  value: bigint,
): boolean => {
  const { frames } = xen;
  const { domain } = vcpu;
  const within = va & (ENTRY_BYTES - 1);
  if (within % bytes !== 0 || bytes > ENTRY_BYTES) return false;
  const at = frames.memory.frameAt(table) + (va & 0xff8);
  const old = frames.memory.view.getBigUint64(at, true);
  const shift = BigInt(within * 8);
  const mask = ((1n << BigInt(bytes * 8)) - 1n) << shift;
  const entry = (old & ~mask) | ((value << shift) & mask);
  const [lo, hi] = [Number(entry & 0xffffffffn), Number(entry >> 32n)];
  frames.stale = false;
  const result = setL1Entry(frames, at >>> 2, lo, hi, domain.id, domain.id, false);
  settle(xen, vcpu, 0);
  if (frames.stale) flushDomain(xen, vcpu, domain);
  if (result === 0) return true;
  xen.refuse(vcpu, 0, frames.rule, { table, slot: (va & 0xfff) >>> 3 });
  return false;
};
