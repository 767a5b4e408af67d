/**
 * physdev_op: what a driver domain needs of the hardware: I/O privilege, a bitmap of ports for its
 * user mode, and its physical interrupts.
 * @source xen/physdev.h
 */
import { EINVAL, ENOSYS, EPERM, ESRCH } from '../protocol/errno.ts';
import {
  MAP_PIRQ_TYPE_GSI,
  PHYSDEVOP_eoi,
  PHYSDEVOP_irq_status_query,
  PHYSDEVOP_map_pirq,
  PHYSDEVOP_set_iobitmap,
  PHYSDEVOP_set_iopl,
  PHYSDEVOP_unmap_pirq,
  PhysdevEoi,
  PhysdevIrqStatusQuery,
  PhysdevMapPirq,
  PhysdevSetIobitmap,
  PhysdevSetIopl,
  PhysdevUnmapPirq,
  XENIRQSTAT_needs_eoi,
} from '../protocol/physdev.ts';
import { GUEST_PIRQS } from './event-ops.ts';
import { guestRange } from './guest-range.ts';
import type { Hypervisor } from './hypervisor.ts';
import { type Handler, op, type SubOp } from './op.ts';
import type { XenVcpu } from './xen-vcpu.ts';

const noPirq = (xen: Hypervisor, caller: XenVcpu, pirq: number): number =>
  xen.refuse(caller, EINVAL, 'no such physical interrupt', { pirq });

/**
 * The level at which the kernel counts for IN, OUT, CLI and STI; which ports are behind them is
 * another matter. @errors -EINVAL
 */
const setIopl = op(PhysdevSetIopl, (xen, caller, arg) => {
  if (arg.iopl > 3)
    return xen.refuse(caller, EINVAL, 'no such I/O privilege level', { iopl: arg.iopl });

  caller.domain.iopl = arg.iopl;
  return 0;
});

/** @errors -EINVAL for more than 65,536 ports, or an address that cannot be the guest's */
const setIobitmap = op(PhysdevSetIobitmap, (xen, caller, arg) => {
  if (arg.nrPorts > 65536 || (arg.bitmap !== 0 && !guestRange(arg.bitmap, 1)))
    return xen.refuse(caller, EINVAL, 'more ports than there are, or no bitmap of the guest', {
      nr: arg.nrPorts,
    });

  caller.ioBitmap = arg.bitmap;
  caller.ioBitmapPorts = arg.nrPorts;
  return 0;
});

/** The guest has served the interrupt: its line may rise again. @errors -EINVAL */
const eoi = op(PhysdevEoi, (xen, caller, arg) => {
  if (!xen.interrupts?.ownedBy(arg.irq, caller.domain)) return noPirq(xen, caller, arg.irq);

  xen.interrupts.eoi(arg.irq);
  return 0;
});

/** @errors -EINVAL */
const irqStatusQuery = op(PhysdevIrqStatusQuery, (xen, caller, arg) => {
  const exists = caller.domain.privileged ? xen.interrupts?.exists(arg.irq) : arg.irq < GUEST_PIRQS;
  if (!exists) return noPirq(xen, caller, arg.irq);

  arg.flags = XENIRQSTAT_needs_eoi;
  return 0;
});

/**
 * Lines are numbered alike on both sides, so mapping one is checking that it exists. @errors -EPERM
 * -ESRCH -EINVAL
 */
const mapPirq = op(PhysdevMapPirq, (xen, caller, arg) => {
  if (!xen.resolve(caller, arg.domid))
    return xen.refuse(caller, ESRCH, 'no such domain', { dom: arg.domid });
  if (!caller.domain.privileged) return xen.refuse(caller, EPERM, 'it owns no physical interrupts');
  if (arg.type !== MAP_PIRQ_TYPE_GSI || !xen.interrupts?.exists(arg.index))
    return noPirq(xen, caller, arg.index);
  if (arg.pirq >= 0 && arg.pirq !== arg.index) return noPirq(xen, caller, arg.pirq);

  arg.pirq = arg.index;
  return 0;
});

/** @errors -ESRCH -EPERM -EINVAL */
const unmapPirq = op(PhysdevUnmapPirq, (xen, caller, arg) => {
  if (!xen.resolve(caller, arg.domid))
    return xen.refuse(caller, ESRCH, 'no such domain', { dom: arg.domid });
  if (!caller.domain.privileged) return xen.refuse(caller, EPERM, 'it owns no physical interrupts');
  if (!xen.interrupts?.exists(arg.pirq)) return noPirq(xen, caller, arg.pirq);
  return 0;
});

const OPS: (SubOp | undefined)[] = [];
OPS[PHYSDEVOP_irq_status_query] = irqStatusQuery;
OPS[PHYSDEVOP_set_iopl] = setIopl;
OPS[PHYSDEVOP_set_iobitmap] = setIobitmap;
OPS[PHYSDEVOP_eoi] = eoi;
OPS[PHYSDEVOP_map_pirq] = mapPirq;
OPS[PHYSDEVOP_unmap_pirq] = unmapPirq;

/** physdev_op(cmd, arg). @errors -ENOSYS for an unknown command */
export const physdevOp: Handler = (xen, caller) => {
  const act = OPS[caller.argLo(0)];
  if (!act) return xen.refuse(caller, ENOSYS, 'no such physdev_op', { cmd: caller.argLo(0) });
  return act(xen, caller, caller.arg(1));
};
