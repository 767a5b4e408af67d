/**
 * memory_op(cmd, arg): how much memory there is and where the machine-to-physical table lies. What
 * changes a reservation is in memory-reservation.ts.
 * @source xen/memory.h
 */
import { EFAULT, ENOSYS, EPERM, ESRCH } from '../protocol/errno.ts';
import * as abi from '../protocol/memory.ts';
import { ArchSharedInfo, SharedInfo } from '../protocol/shared-info.ts';
import { Mfn, Va } from '../protocol/units.ts';
import { MACH2PHYS_NR_ENTRIES, MACH2PHYS_VIRT_END, MACH2PHYS_VIRT_START } from '../protocol/xen.ts';
import type { Domain } from './domain.ts';
import type { Hypervisor } from './hypervisor.ts';
import { decreaseReservation, increaseReservation, populatePhysmap } from './memory-reservation.ts';
import { type Handler, op, type SubOp } from './op.ts';
import type { XenVcpu } from './xen-vcpu.ts';

/** Bits of `cmd` above the operation: the extent to go on with. */
const COMMAND_BITS = 6;

/** @errors -ENOSYS for an operation that is not offered; those of each */
export const memoryOp: Handler = (xen, caller) => {
  const word = caller.argLo(0);
  const cmd = word & ((1 << COMMAND_BITS) - 1);
  const va = caller.arg(1);
  switch (cmd) {
    case abi.XENMEM_increase_reservation:
      return increaseReservation(xen, caller, va, word >>> COMMAND_BITS);
    case abi.XENMEM_decrease_reservation:
      return decreaseReservation(xen, caller, va, word >>> COMMAND_BITS);
    case abi.XENMEM_populate_physmap:
      return populatePhysmap(xen, caller, va, word >>> COMMAND_BITS);
  }
  const act = SUB_OPS.get(cmd);
  return act ? act(xen, caller, va) : xen.refuse(caller, ENOSYS, 'no such memory_op', { cmd });
};

/** The domain that a request is about, or the errno. @errors -ESRCH -EPERM */
const subject = (xen: Hypervisor, caller: XenVcpu, domid: number): Domain | number => {
  const domain = xen.resolve(caller, domid);
  if (!domain) return xen.refuse(caller, ESRCH, 'no such domain', { domid });
  if (domain !== caller.domain && !caller.domain.privileged) {
    return xen.refuse(caller, EPERM, 'the memory of another domain', { domid });
  }
  return domain;
};

const ask = (answer: (xen: Hypervisor, domain: Domain) => number): SubOp =>
  op(abi.XenMemoryDomain, (xen, caller, arg) => {
    const domain = subject(xen, caller, arg.domid);
    return typeof domain === 'number' ? domain : answer(xen, domain);
  });

const currentReservation = ask((_xen, domain) => domain.memory.pages);
const maximumReservation = ask((_xen, domain) => domain.memory.maxPages);

/** PV: what the domain itself says in its shared_info. */
const maximumGpfn = ask((xen, domain) => {
  if (domain.kind === 'hvm') return domain.memory.maxPages - 1;
  const { memory } = xen.machine;
  const at = domain.events.sharedInfo + SharedInfo.offset.arch + ArchSharedInfo.offset.maxPfn;
  return memory.u32[at >>> 2]! - 1;
});

const machphysMapping = op(abi.XenMachphysMapping, (_xen, _caller, arg) => {
  arg.vStart = Va(MACH2PHYS_VIRT_START);
  arg.vEnd = Va(MACH2PHYS_VIRT_END);
  arg.maxMfn = MACH2PHYS_NR_ENTRIES - 1;
  return 0;
});

const mfnBytes = new Uint8Array(8);
const mfnView = new DataView(mfnBytes.buffer);

/** The first frame of each 2 MiB of the table. @errors -EFAULT */
const machphysMfnList = op(abi.XenMachphysMfnList, (xen, caller, arg) => {
  const { frames } = xen;
  const extents = Math.min(arg.maxExtents, Math.ceil(frames.count / (512 * 512)));
  for (let i = 0; i < extents; i++) {
    Mfn.write(mfnView, 0, Mfn(frames.m2pBase + 512 * i));
    if (!xen.copyToGuest(caller, arg.extentStart + 8 * i, mfnBytes)) {
      return xen.refuse(caller, EFAULT, 'the frame list is not writable', { index: i });
    }
  }
  arg.nrExtents = extents;
  return 0;
});

const e820 = new Uint8Array(abi.E820Entry.size);
const e820View = new DataView(e820.buffer);

/** One RAM entry, from 0 to the most that the domain may have. @errors -EFAULT */
const memoryMap = op(abi.XenMemoryMap, (xen, caller, arg) => {
  const count = Math.min(arg.nrEntries, 1);
  if (count === 1) {
    const size = caller.domain.memory.maxPages * 4096;
    abi.E820Entry.set(e820View, 0, { addr: 0, size, type: abi.E820_RAM });
    if (!xen.copyToGuest(caller, arg.buffer, e820)) {
      return xen.refuse(caller, EFAULT, 'the memory map buffer is not writable', {
        va: arg.buffer,
      });
    }
  }
  arg.nrEntries = count;
  return 0;
});

const SUB_OPS: ReadonlyMap<number, SubOp> = new Map([
  [abi.XENMEM_maximum_ram_page, (xen: Hypervisor) => xen.frames.count - 1],
  [abi.XENMEM_current_reservation, currentReservation],
  [abi.XENMEM_maximum_reservation, maximumReservation],
  [abi.XENMEM_maximum_gpfn, maximumGpfn],
  [abi.XENMEM_machphys_mapping, machphysMapping],
  [abi.XENMEM_machphys_mfn_list, machphysMfnList],
  [abi.XENMEM_memory_map, memoryMap],
]);
