/**
 * Hardware-assisted domains: one VMCS for each vCPU, a PC's devices emulated for the domain, and
 * interrupts of theirs injected at VM entry. What each exit means is in hvm-exits.ts.
 * @source SDM vol. 3, chapters 25 to 28
 */
import type { BlockStore } from '../machine/block-store.ts';
import { EXIT_EXTERNAL_INTERRUPT, EXIT_INTERRUPT_WINDOW } from '../machine/exit.ts';
import { Platform } from '../machine/platform.ts';
import { PortBus } from '../machine/port-bus.ts';
import { EXIT_A, EXIT_B, EXIT_C, EXIT_D, EXIT_REASON, RFLAGS, RFLAGS_IF } from '../machine/vcpu.ts';
import { saveGuestState, Vmcs, vmEntry, vmExit } from '../machine/vmcs.ts';
import * as field from '../machine/vmcs-fields.ts';
import { SHUTDOWN_poweroff, SHUTDOWN_reboot } from '../protocol/sched.ts';
import { PAGE_SIZE } from '../protocol/units.ts';
import type { Domain } from './domain.ts';
import type { Hypervisor } from './hypervisor.ts';
import type { XenVcpu } from './xen-vcpu.ts';

/** EPT pointer: write-back tables, four levels. */
const EPTP_WB_4 = 0x1e;

/** The emulated hardware of a domain. */
export interface HvmDomain {
  readonly bus: PortBus;
  readonly platform: Platform;
}

/** What a vCPU has besides its registers. */
export interface HvmVcpu {
  readonly vmcs: Vmcs;
  /** Between VM entry and VM exit. */
  inGuest: boolean;
  /** An interrupt waits for IF: leave as soon as it is set. */
  window: boolean;
  /** The exit changed state that a VM entry loads. */
  dirty: boolean;
}

export interface HvmHardware {
  disks: readonly (BlockStore | undefined)[];
  serial: (byte: number) => void;
}

/** Give `domain` its devices. */
export const createHvmDomain = (
  xen: Hypervisor,
  domain: Domain,
  hardware: HvmHardware,
): HvmDomain => {
  const { machine } = xen;
  const bus = new PortBus();
  const platform = new Platform({
    timeline: machine.timeline,
    preset: machine.preset,
    bus,
    dma: {
      read: (pa, into) => physical(xen, domain, pa, into, false),
      write: (pa, from) => physical(xen, domain, pa, from, true),
    },
    disks: hardware.disks,
    serial: (byte) => {
      xen.putSerial(byte);
      hardware.serial(byte);
    },
    intr: () => interruptRose(xen, domain),
    powerOff: (reason) =>
      xen.shutdown(domain, reason === 'poweroff' ? SHUTDOWN_poweroff : SHUTDOWN_reboot),
  });
  return { bus, platform };
};

/**
 * Give `vcpu` its VMCS, filled from the registers that the builder set. @throws RangeError when
 * memory is out
 */
export const createHvmVcpu = (xen: Hypervisor, vcpu: XenVcpu, eptRoot: number): HvmVcpu => {
  const mfn = xen.frames.allocate(undefined);
  if (mfn < 0) throw new RangeError('not enough memory for a VMCS');
  const vmcs = new Vmcs(xen.machine.memory, mfn);
  vmcs.write(field.PIN_BASED_VM_EXEC_CONTROL, field.PIN_BASED_EXT_INTR_EXITING);
  vmcs.write(
    field.CPU_BASED_VM_EXEC_CONTROL,
    (field.CPU_BASED_HLT_EXITING |
      field.CPU_BASED_UNCOND_IO_EXITING |
      field.CPU_BASED_ACTIVATE_SECONDARY) >>>
      0,
  );
  vmcs.write(
    field.SECONDARY_VM_EXEC_CONTROL,
    field.SECONDARY_ENABLE_EPT | field.SECONDARY_ENABLE_VPID,
  );
  vmcs.write(field.VIRTUAL_PROCESSOR_IDENTIFIER, vcpu.arch.index + 1);
  vmcs.write(field.EPT_POINTER, eptRoot * PAGE_SIZE + EPTP_WB_4);
  return { vmcs, inGuest: false, window: false, dirty: true };
};

/** The vCPU got a CPU, or let interrupts in (IRET, SYSRET): enter it, or use the window. */
export const hvmEnter = (xen: Hypervisor, vcpu: XenVcpu): void => {
  const hvm = vcpu.hvm!;
  if (hvm.inGuest) {
    openWindow(xen, vcpu);
  } else {
    hvm.dirty = true;
    resumeGuest(xen, vcpu);
  }
};

/**
 * Between two instructions at the horizon: an alarm is a physical interrupt, and leaves the guest.
 */
export const hvmBoundary = (xen: Hypervisor, vcpu: XenVcpu): void => {
  if (xen.machine.timeline.next > vcpu.arch.pcpu.now) {
    openWindow(xen, vcpu);
    return;
  }
  leaveFor(xen, vcpu, EXIT_EXTERNAL_INTERRUPT);
  resumeGuest(xen, vcpu);
};

/** The vCPU leaves its CPU while its guest would go on: Xen's own timer interrupted it. */
export const hvmRest = (xen: Hypervisor, vcpu: XenVcpu): void => {
  if (vcpu.hvm!.inGuest && !vcpu.arch.stopped) leaveFor(xen, vcpu, EXIT_EXTERNAL_INTERRUPT);
};

/** VM exit: save the guest, charge the software part. */
export const leaveGuest = (xen: Hypervisor, vcpu: XenVcpu): void => {
  const hvm = vcpu.hvm!;
  // After HLT its code may run on for a few instructions before the vCPU rests: they come after a
  // VM entry.
  if (!hvm.inGuest) chargeExit(xen, vcpu, xen.machine.costs.vmEntry);
  vmExit(xen.machine, vcpu.arch, hvm.vmcs);
  hvm.inGuest = false;
  chargeExit(xen, vcpu, xen.machine.costs.exitHandling);
};

/** Spend `cycles` on the exit that is being handled. */
export const chargeExit = (xen: Hypervisor, vcpu: XenVcpu, cycles: number): void => {
  vcpu.arch.pcpu.chargeMany(vcpu.hvm!.vmcs.cause(xen.machine.causes), 0, cycles);
};

/** Go back to the guest, with an interrupt if one waits and may come in. */
export const resumeGuest = (xen: Hypervisor, vcpu: XenVcpu): void => {
  const { arch, domain } = vcpu;
  const hvm = vcpu.hvm!;
  xen.fireAlarms(arch.pcpu);
  if (arch.stopped) return;
  if (hvm.dirty) saveGuestState(arch, hvm.vmcs);
  hvm.dirty = false;
  prepareInterrupt(xen, vcpu);
  hvm.inGuest = vmEntry(xen.machine, arch, hvm.vmcs);
  if (hvm.inGuest) return;
  const error = hvm.vmcs.read(field.VM_INSTRUCTION_ERROR);
  const why =
    error !== 0
      ? `VM-instruction error ${error}`
      : `exit reason ${hvm.vmcs.read(field.VM_EXIT_REASON)}`;
  xen.crash(domain, `${vcpu.name}: VM entry failed: ${why}`);
};

/** Inject exception `vector` at the next VM entry. */
export const injectException = (
  xen: Hypervisor,
  vcpu: XenVcpu,
  vector: number,
  error: number | undefined,
): void => {
  const { vmcs } = vcpu.hvm!;
  const code = error === undefined ? 0 : field.INTR_INFO_ERROR_CODE;
  vmcs.write(
    field.VM_ENTRY_INTR_INFO,
    (field.INTR_INFO_VALID | field.INTR_TYPE_HARDWARE_EXCEPTION | code | vector) >>> 0,
  );
  if (error !== undefined) vmcs.write(field.VM_ENTRY_EXCEPTION_ERROR_CODE, error);
  chargeExit(xen, vcpu, xen.machine.costs.injection);
};

const interruptible = (vcpu: XenVcpu): boolean => (vcpu.arch.lo(RFLAGS) & RFLAGS_IF) !== 0;

/** True when the emulated PIC has something for this vCPU. */
export const interruptPending = (vcpu: XenVcpu): boolean =>
  vcpu.id === 0 && vcpu.domain.hvm!.platform.pic.pending;

const prepareInterrupt = (xen: Hypervisor, vcpu: XenVcpu): void => {
  const hvm = vcpu.hvm!;
  const { vmcs } = hvm;
  hvm.window = false;
  if (!interruptPending(vcpu)) return;
  if (!interruptible(vcpu) || (vmcs.read(field.VM_ENTRY_INTR_INFO) & field.INTR_INFO_VALID) !== 0) {
    hvm.window = true;
    return;
  }
  const vector = vcpu.domain.hvm!.platform.pic.acknowledge();
  vmcs.write(
    field.VM_ENTRY_INTR_INFO,
    (field.INTR_INFO_VALID | field.INTR_TYPE_EXTERNAL | vector) >>> 0,
  );
  chargeExit(xen, vcpu, xen.machine.costs.injection);
  const { trace } = xen.machine;
  if (trace.on) trace.emit({ time: vcpu.arch.pcpu.now, who: vcpu.name, kind: 'interrupt', vector });
};

const openWindow = (xen: Hypervisor, vcpu: XenVcpu): void => {
  if (!vcpu.hvm!.window || !interruptible(vcpu)) return;
  leaveFor(xen, vcpu, EXIT_INTERRUPT_WINDOW);
  resumeGuest(xen, vcpu);
};

/** An exit between instructions, which no instruction recorded. */
const leaveFor = (xen: Hypervisor, vcpu: XenVcpu, reason: number): void => {
  const { arch } = vcpu;
  arch.setHalves(EXIT_REASON, reason, 0);
  for (const detail of [EXIT_A, EXIT_B, EXIT_C, EXIT_D]) arch.set(detail, 0);
  leaveGuest(xen, vcpu);
  xen.traceExit(vcpu, reason);
};

/** The domain's PIC wants an interrupt taken: wake its CPU, or have it look up. */
const interruptRose = (xen: Hypervisor, domain: Domain): void => {
  const vcpu = domain.vcpus[0];
  if (!vcpu) return;
  if (vcpu.cpu) vcpu.cpu.limitHorizon(vcpu.cpu.now);
  if (vcpu.state === 'blocked' && interruptible(vcpu)) xen.scheduler.wake(vcpu, xen.now);
};

/** Guest-physical memory for the bus master. @returns false where the domain has no memory */
const physical = (
  xen: Hypervisor,
  domain: Domain,
  pa: number,
  bytes: Uint8Array,
  write: boolean,
): boolean => {
  const { memory } = xen.machine;
  for (let done = 0; done < bytes.length; ) {
    const at = pa + done;
    const mfn = domain.memory.frameOf(Math.floor(at / PAGE_SIZE));
    if (mfn < 0) return false;
    const offset = at % PAGE_SIZE;
    const part = Math.min(bytes.length - done, PAGE_SIZE - offset);
    const host = memory.frameAt(mfn) + offset;
    if (write) {
      memory.u8.set(bytes.subarray(done, done + part), host);
      memory.wrote(mfn);
    } else bytes.set(memory.u8.subarray(host, host + part), done);
    done += part;
  }
  return true;
};
