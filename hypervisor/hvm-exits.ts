/**
 * VM exits by reason: what the guest wanted, done for it by emulation, and back by VM entry.
 * @source SDM vol. 3, appendix C and 28.2
 */
import { setCpuid } from '../machine/cpuid.ts';
import {
  EXIT_CPUID,
  EXIT_EPT_VIOLATION,
  EXIT_HLT,
  EXIT_IO_INSTRUCTION,
  EXIT_RDMSR,
  EXIT_TRIPLE_FAULT,
  EXIT_VMCALL,
  EXIT_WRMSR,
  exitName,
  VECTOR_GP,
  VECTOR_PF,
} from '../machine/exit.ts';
import {
  IO_IN,
  IO_STRING,
  ioPort,
  ioSize,
  moveString,
  outValue,
  setIn,
} from '../machine/io-access.ts';
import { readMsr, writeMsr } from '../machine/msrs.ts';
import {
  CR2,
  EXIT_A,
  EXIT_B,
  EXIT_C,
  EXIT_D,
  EXIT_REASON,
  RAX,
  RFLAGS,
  RFLAGS_IF,
} from '../machine/vcpu.ts';
import { SHUTDOWN_poweroff } from '../protocol/sched.ts';
import { guestCpuid } from './cpuid-policy.ts';
import { chargeExit, injectException, interruptPending, leaveGuest, resumeGuest } from './hvm.ts';
import { vmcall } from './hypercalls.ts';
import type { Hypervisor } from './hypervisor.ts';
import { movedAt, traceIo, wasPageFault } from './port-io.ts';
import { hex } from './pv-traps.ts';
import type { XenVcpu } from './xen-vcpu.ts';

const QUALIFICATION_WRITE = 2;

/** Handle the exit in the vCPU's record and enter the guest again, unless it has ended or waits. */
export const hvmExit = (xen: Hypervisor, vcpu: XenVcpu): void => {
  const { arch } = vcpu;
  const reason = arch.lo(EXIT_REASON);
  leaveGuest(xen, vcpu);
  xen.traceExit(vcpu, reason);
  switch (reason) {
    case EXIT_IO_INSTRUCTION:
      io(xen, vcpu);
      break;
    case EXIT_EPT_VIOLATION:
      eptViolation(xen, vcpu);
      break;
    case EXIT_HLT:
      halt(xen, vcpu);
      break;
    case EXIT_CPUID:
      cpuid(xen, vcpu);
      break;
    case EXIT_RDMSR:
      msr(xen, vcpu, readMsr(arch));
      break;
    case EXIT_WRMSR:
      vcpu.hvm!.dirty = true;
      msr(xen, vcpu, writeMsr(arch));
      break;
    case EXIT_VMCALL:
      arch.retire();
      vmcall(xen, vcpu);
      break;
    case EXIT_TRIPLE_FAULT:
      xen.crash(vcpu.domain, `${vcpu.name}: triple fault, rip ${hex(arch.rip)}`);
      break;
    default:
      xen.crash(
        vcpu.domain,
        `${vcpu.name}: unexpected exit ${exitName(reason)}, rip ${hex(arch.rip)}`,
      );
  }
  if (!arch.stopped && vcpu.state === 'runnable') resumeGuest(xen, vcpu);
};

/** HLT with interrupts off can never end: the guest is done. */
const halt = (xen: Hypervisor, vcpu: XenVcpu): void => {
  vcpu.arch.retire();
  if ((vcpu.arch.lo(RFLAGS) & RFLAGS_IF) === 0) xen.shutdown(vcpu.domain, SHUTDOWN_poweroff);
  else if (!interruptPending(vcpu)) vcpu.state = 'blocked';
};

const cpuid = (xen: Hypervisor, vcpu: XenVcpu): void => {
  const { arch } = vcpu;
  setCpuid(arch, guestCpuid(vcpu, arch.lo(RAX << 3), xen.machine.preset.mhz));
  arch.retire();
};

const msr = (xen: Hypervisor, vcpu: XenVcpu, done: boolean): void => {
  if (done) vcpu.arch.retire();
  else injectException(xen, vcpu, VECTOR_GP, 0);
};

const io = (xen: Hypervisor, vcpu: XenVcpu): void => {
  const { arch } = vcpu;
  const access = arch.get(EXIT_A);
  const size = ioSize(access);
  chargeExit(xen, vcpu, xen.machine.costs.deviceModel);
  if (access & IO_STRING) {
    string(xen, vcpu, access);
    return;
  }
  if (access & IO_IN) setIn(arch, size, read(xen, vcpu, ioPort(access), size));
  else write(xen, vcpu, ioPort(access), size, outValue(arch, size));
  arch.retire();
};

const read = (xen: Hypervisor, vcpu: XenVcpu, port: number, size: number): number => {
  const value = vcpu.domain.hvm!.bus.read(port, size, vcpu.arch.pcpu.now);
  traceIo(xen, vcpu, { dir: 'in', port, size, value });
  return value;
};

const write = (xen: Hypervisor, vcpu: XenVcpu, port: number, size: number, value: number): void => {
  traceIo(xen, vcpu, { dir: 'out', port, size, value });
  vcpu.domain.hvm!.bus.write(port, size, value, vcpu.arch.pcpu.now);
};

/** INS and OUTS; a fault in the guest's memory goes to the guest, the rest left in RCX. */
const string = (xen: Hypervisor, vcpu: XenVcpu, access: number): void => {
  const { mmu, costs } = xen.machine;
  const bad = moveString(mmu, vcpu.arch, access, {
    read: (port, size) => read(xen, vcpu, port, size),
    write: (port, size, value) => write(xen, vcpu, port, size, value),
    moved: movedAt(xen, vcpu, () => chargeExit(xen, vcpu, costs.wordCopied)),
  });
  if (bad === undefined) vcpu.arch.retire();
  else stringFault(xen, vcpu, bad);
};

const stringFault = (xen: Hypervisor, vcpu: XenVcpu, va: number): void => {
  if (!wasPageFault(xen)) {
    injectException(xen, vcpu, VECTOR_GP, 0);
    return;
  }
  vcpu.arch.set(CR2, va);
  injectException(xen, vcpu, VECTOR_PF, xen.machine.mmu.faultCode);
};

/**
 * No memory there, or none to be written: as on a bus where nothing answers, reads give ones and
 * writes are lost.
 */
const eptViolation = (xen: Hypervisor, vcpu: XenVcpu): void => {
  const { arch } = vcpu;
  chargeExit(xen, vcpu, xen.machine.costs.eptViolation);
  const { trace } = xen.machine;
  if (trace.on) {
    const dir = arch.get(EXIT_B) & QUALIFICATION_WRITE ? 'write' : 'read';
    trace.emit({
      time: arch.pcpu.now,
      who: vcpu.name,
      kind: 'io',
      dir,
      gpa: arch.get(EXIT_A),
      size: 0,
      value: -1,
    });
  }
  arch.set(EXIT_C, -1);
  arch.set(EXIT_D, 1);
};
