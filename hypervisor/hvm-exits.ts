/**
 * VM exits by reason: what the guest wanted, done for it by emulation, and back by VM entry.
 * @source SDM vol. 3, appendix C and 28.2
 */
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
import { readMsr, writeMsr } from '../machine/msrs.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../machine/page-walk.ts';
import {
  CR2,
  EXIT_A,
  EXIT_B,
  EXIT_C,
  EXIT_D,
  EXIT_REASON,
  RAX,
  RBX,
  RCX,
  RDI,
  RDX,
  RFLAGS,
  RFLAGS_IF,
  RSI,
} from '../machine/vcpu.ts';
import { SHUTDOWN_poweroff } from '../protocol/sched.ts';
import { guestCpuid } from './cpuid-policy.ts';
import { chargeExit, injectException, interruptPending, leaveGuest, resumeGuest } from './hvm.ts';
import { vmcall } from './hypercalls.ts';
import type { Hypervisor } from './hypervisor.ts';
import { ones, outValue, setIn, traceIo } from './port-io.ts';
import { hex } from './pv-traps.ts';
import type { XenVcpu } from './xen-vcpu.ts';

const IO_IN = 1;
const IO_STRING = 2;
const QUALIFICATION_WRITE = 2;

const word = new Uint8Array(4);
const wordView = new DataView(word.buffer);

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
      if (!readMsr(arch)) injectException(xen, vcpu, VECTOR_GP, 0);
      break;
    case EXIT_WRMSR:
      vcpu.hvm!.dirty = true;
      if (!writeMsr(arch)) injectException(xen, vcpu, VECTOR_GP, 0);
      break;
    case EXIT_VMCALL:
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
  if ((vcpu.arch.lo(RFLAGS) & RFLAGS_IF) === 0) xen.shutdown(vcpu.domain, SHUTDOWN_poweroff);
  else if (!interruptPending(vcpu)) vcpu.state = 'blocked';
};

const cpuid = (xen: Hypervisor, vcpu: XenVcpu): void => {
  const { arch } = vcpu;
  const answer = guestCpuid(vcpu, arch.lo(RAX << 3), xen.machine.preset.mhz);
  arch.setHalves(RAX << 3, answer.eax, 0);
  arch.setHalves(RBX << 3, answer.ebx, 0);
  arch.setHalves(RCX << 3, answer.ecx, 0);
  arch.setHalves(RDX << 3, answer.edx, 0);
};

const io = (xen: Hypervisor, vcpu: XenVcpu): void => {
  const { arch } = vcpu;
  const port = arch.get(EXIT_A);
  const size = arch.get(EXIT_B);
  const flags = arch.get(EXIT_C);
  chargeExit(xen, vcpu, xen.machine.costs.deviceModel);
  if (flags & IO_STRING) {
    string(xen, vcpu, port, size, (flags & IO_IN) !== 0);
  } else if (flags & IO_IN) {
    setIn(arch, size, read(xen, vcpu, port, size));
  } else {
    write(xen, vcpu, port, size, outValue(arch, size));
  }
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

/**
 * REP INS and OUTS, element by element; a fault in the guest's memory goes to the guest, the rest
 * left in RCX.
 */
const string = (
  xen: Hypervisor,
  vcpu: XenVcpu,
  port: number,
  size: number,
  isIn: boolean,
): void => {
  const { arch } = vcpu;
  const { mmu, costs } = xen.machine;
  const pointer = isIn ? RDI : RSI;
  const bytes = word.subarray(0, size);
  const count = arch.get(EXIT_D);
  for (let i = 0; i < count; i++) {
    const va = arch.gpr(pointer);
    // Both ends: an element may cross into a page that is not there.
    const bad =
      mmu.probe(arch, va, isIn ? ACCESS_WRITE : ACCESS_READ) < 0
        ? va
        : mmu.probe(arch, va + size - 1, isIn ? ACCESS_WRITE : ACCESS_READ) < 0
          ? va + size - 1
          : undefined;
    if (bad !== undefined) {
      stringFault(xen, vcpu, bad);
      return;
    }
    if (isIn) {
      wordView.setUint32(0, read(xen, vcpu, port, size), true);
      mmu.write(arch, va, bytes);
    } else {
      mmu.read(arch, va, bytes);
      write(xen, vcpu, port, size, (wordView.getUint32(0, true) & ones(size)) >>> 0);
    }
    arch.setGpr(pointer, va + size);
    arch.setGpr(RCX, count - i - 1);
    chargeExit(xen, vcpu, costs.wordCopied);
    if ((i & 63) === 63 && xen.checkPreempt(vcpu)) return;
    if (arch.stopped) return;
  }
};

const stringFault = (xen: Hypervisor, vcpu: XenVcpu, va: number): void => {
  const { faultVector, faultCode } = xen.machine.mmu;
  if (faultVector !== VECTOR_PF) {
    injectException(xen, vcpu, VECTOR_GP, 0);
    return;
  }
  vcpu.arch.set(CR2, va);
  injectException(xen, vcpu, VECTOR_PF, faultCode);
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
