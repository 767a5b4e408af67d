/**
 * The hypercall table: every number of the ABI; what has no handler is -ENOSYS. A number and
 * registers come in, RAX goes out; each call is charged to its name and, when someone listens,
 * traced with its arguments and result.
 * @source xen/xen.h:76
 */
import { RAX, SS } from '../machine/vcpu.ts';
import { ENOSYS, EPERM } from '../protocol/errno.ts';
import * as nr from '../protocol/hypercalls.ts';
import { FLAT_KERNEL_CS, FLAT_KERNEL_SS } from '../protocol/xen.ts';
import { callbackOp, setCallbacks, setTrapTable, stackSwitch, vmAssist } from './callbacks.ts';
import { consoleIo } from './console-io.ts';
import { eventChannelOp } from './event-ops.ts';
import { grantTableOp } from './grant-ops.ts';
import type { Hypervisor } from './hypervisor.ts';
import { iret, KEEP_RAX } from './iret.ts';
import { memoryOp } from './memory-op.ts';
import { mmuUpdate } from './mmu-update.ts';
import { mmuextOp } from './mmuext-op.ts';
import { multicall } from './multicall.ts';
import type { Handler } from './op.ts';
import { physdevOp } from './physdev-op.ts';
import { schedOp } from './sched-op.ts';
import {
  fpuTaskswitch,
  getDebugreg,
  setDebugreg,
  setGdt,
  setSegmentBase,
  updateDescriptor,
} from './segments.ts';
import { setTimerOp } from './timers.ts';
import { updateVaMapping, updateVaMappingOtherdomain } from './update-va-mapping.ts';
import { vcpuOp } from './vcpu-op.ts';
import type { XenVcpu } from './xen-vcpu.ts';
import { xenVersion } from './xen-version.ts';

/** Numbers from here on are one unknown call. */
export const HYPERCALLS = 64;

interface Entry {
  readonly handler: Handler;
  /** How many registers it reads, for the trace. */
  readonly args: number;
  /** Offered to hardware-assisted guests too. */
  readonly hvm: boolean;
}

const unknown: Entry = {
  handler: (xen, caller) =>
    xen.refuse(caller, ENOSYS, 'no such hypercall', { nr: caller.arch.lo(RAX << 3) }),
  args: 0,
  hvm: true,
};

const TABLE: Entry[] = Array.from({ length: HYPERCALLS + 1 }, () => unknown);

const pv = (number: number, args: number, handler: Handler): void => {
  TABLE[number] = { handler, args, hvm: false };
};
const both = (number: number, args: number, handler: Handler): void => {
  TABLE[number] = { handler, args, hvm: true };
};

pv(nr.__HYPERVISOR_set_trap_table, 1, setTrapTable);
pv(nr.__HYPERVISOR_mmu_update, 4, mmuUpdate);
pv(nr.__HYPERVISOR_set_gdt, 2, setGdt);
pv(nr.__HYPERVISOR_stack_switch, 2, stackSwitch);
pv(nr.__HYPERVISOR_set_callbacks, 3, setCallbacks);
pv(nr.__HYPERVISOR_fpu_taskswitch, 1, fpuTaskswitch);
pv(nr.__HYPERVISOR_set_debugreg, 2, setDebugreg);
pv(nr.__HYPERVISOR_get_debugreg, 1, getDebugreg);
pv(nr.__HYPERVISOR_update_descriptor, 2, updateDescriptor);
both(nr.__HYPERVISOR_memory_op, 2, memoryOp);
both(nr.__HYPERVISOR_multicall, 2, multicall);
pv(nr.__HYPERVISOR_update_va_mapping, 3, updateVaMapping);
both(nr.__HYPERVISOR_set_timer_op, 1, setTimerOp);
both(nr.__HYPERVISOR_xen_version, 2, xenVersion);
both(nr.__HYPERVISOR_console_io, 3, consoleIo);
both(nr.__HYPERVISOR_grant_table_op, 3, grantTableOp);
pv(nr.__HYPERVISOR_vm_assist, 2, vmAssist);
pv(nr.__HYPERVISOR_update_va_mapping_otherdomain, 4, updateVaMappingOtherdomain);
pv(nr.__HYPERVISOR_iret, 0, iret);
both(nr.__HYPERVISOR_vcpu_op, 3, vcpuOp);
pv(nr.__HYPERVISOR_set_segment_base, 2, setSegmentBase);
pv(nr.__HYPERVISOR_mmuext_op, 4, mmuextOp);
both(nr.__HYPERVISOR_sched_op, 2, schedOp);
pv(nr.__HYPERVISOR_callback_op, 2, callbackOp);
both(nr.__HYPERVISOR_event_channel_op, 2, eventChannelOp);
pv(nr.__HYPERVISOR_physdev_op, 2, physdevOp);

const PV_HANDLERS: readonly Handler[] = TABLE.map((entry) => entry.handler);
const HVM_HANDLERS: readonly Handler[] = TABLE.map((entry) =>
  entry.hvm ? entry.handler : unknown.handler,
);

/** Numbers that have a handler, for status tables. */
export const IMPLEMENTED: readonly number[] = TABLE.flatMap((entry, number) =>
  entry === unknown ? [] : [number],
);

/** SYSCALL from a PV kernel: number in RAX, result to RAX. It comes back on the flat segments, whichever it came from. */
export const hypercall = (xen: Hypervisor, caller: XenVcpu): void => {
  const { arch } = caller;
  arch.setCode(FLAT_KERNEL_CS);
  arch.set(SS, FLAT_KERNEL_SS);
  const result = dispatch(xen, caller, arch.lo(RAX << 3), xen.machine.costs.hypercall);
  if (result !== KEEP_RAX) arch.setGpr(RAX, result);
};

/**
 * VMCALL: as hypercall, of the calls a hardware-assisted guest has. @errors -EPERM from outside CPL
 * 0
 */
export const vmcall = (xen: Hypervisor, caller: XenVcpu): void => {
  const { arch } = caller;
  arch.setGpr(
    RAX,
    arch.cpl === 0
      ? dispatch(xen, caller, arch.lo(RAX << 3), 0)
      : xen.refuse(caller, EPERM, 'VMCALL outside CPL 0', { cpl: arch.cpl }),
  );
};

/** Do hypercall `number`, arguments in the caller's registers, charging `cycles` to it. */
export const dispatch = (
  xen: Hypervisor,
  caller: XenVcpu,
  number: number,
  cycles: number,
): number => {
  const index = Math.min(number, HYPERCALLS);
  const known = xen.hypercallCauses[index]!;
  const cause = known !== 0 ? known : nameCause(xen, index);
  xen.currentCause = cause;
  caller.arch.pcpu.charge(cause, cycles);
  const handler = caller.domain.kind === 'pv' ? PV_HANDLERS[index]! : HVM_HANDLERS[index]!;
  return xen.machine.trace.on ? traced(xen, caller, index, handler) : handler(xen, caller);
};

const nameCause = (xen: Hypervisor, index: number): number => {
  const name = index < HYPERCALLS ? nr.hypercallName(index) : 'unknown';
  const cause = xen.machine.causes.id(`hypercall ${name}`);
  xen.hypercallCauses[index] = cause;
  return cause;
};

/**
 * The record comes after what the call itself traced, because it holds the result; `time` is when
 * it began.
 */
const traced = (xen: Hypervisor, caller: XenVcpu, index: number, handler: Handler): number => {
  const time = caller.arch.pcpu.now;
  const values: string[] = [];
  for (let i = 0; i < TABLE[index]!.args; i++) values.push(hex(caller.argLo(i), caller.argHi(i)));
  const result = handler(xen, caller);
  const name = index < HYPERCALLS ? nr.hypercallName(index) : 'unknown';
  const record = { time, who: caller.name, kind: 'hypercall', name, args: values.join(' ') };
  xen.machine.trace.emit(result === KEEP_RAX ? record : { ...record, result });
  return result;
};

const hex = (lo: number, hi: number): string =>
  `0x${hi === 0 ? lo.toString(16) : hi.toString(16) + lo.toString(16).padStart(8, '0')}`;
