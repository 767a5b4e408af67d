/**
 * What a PV guest leaves its code for: system calls (of its kernel: hypercalls), exceptions, and
 * privileged instructions, which are exceptions too because a PV kernel runs at CPL 3.
 */
import { CAUSE_PRIVILEGED } from '../machine/account.ts';
import {
  EXIT_CPUID,
  EXIT_EXCEPTION,
  EXIT_SYSCALL,
  exitName,
  hasErrorCode,
  opName,
  VECTOR_GP,
  VECTOR_PF,
  vectorName,
} from '../machine/exit.ts';
import { PF_USER } from '../machine/pte.ts';
import {
  EXIT_A,
  EXIT_B,
  EXIT_C,
  EXIT_D,
  EXIT_REASON,
  RAX,
  RBX,
  RCX,
  RDX,
} from '../machine/vcpu.ts';
import { guestCpuid } from './cpuid-policy.ts';
import type { Hypervisor } from './hypervisor.ts';
import { emulate } from './privileged.ts';
import { deliverSyscall, deliverTrap } from './pv-traps.ts';
import type { XenVcpu } from './xen-vcpu.ts';

/** INT n of a kernel at CPL 3: #GP with the gate's number, IDT bit set (SDM vol. 3, 6.13). */
const ERROR_IDT = 2;
const TRAP_DPL = 3;
const INT80 = 0x80;

/** Every exit of a PV vCPU but a hypercall. */
export const pvExit = (xen: Hypervisor, vcpu: XenVcpu): void => {
  const reason = vcpu.arch.lo(EXIT_REASON);
  if (reason === EXIT_SYSCALL) deliverSyscall(xen, vcpu);
  else if (reason === EXIT_EXCEPTION) exception(xen, vcpu);
  else if (reason === EXIT_CPUID) cpuid(xen, vcpu);
  else xen.crash(vcpu.domain, `${vcpu.name}: ${exitName(reason)}`);
};

const exception = (xen: Hypervisor, vcpu: XenVcpu): void => {
  const { arch } = vcpu;
  const vector = arch.get(EXIT_A);
  const error = arch.get(EXIT_B);
  const op = arch.get(EXIT_D);
  traceFault(xen, vcpu, vector, error);
  if (vector === VECTOR_GP && op !== 0) {
    privileged(xen, vcpu, op);
    return;
  }
  const { fault, bounce } = xen.machine.costs;
  vcpu.arch.pcpu.charge(xen.faultCause(vector), fault + bounce);
  if (vector === VECTOR_PF) {
    // Both modes run at CPL 3: what the guest wants to know is which of its own modes it was.
    const mode = vcpu.kernelMode ? error & ~PF_USER : error | PF_USER;
    deliverTrap(xen, vcpu, vector, mode, arch.get(EXIT_C));
  } else if (vector === VECTOR_GP && (error & 7) === ERROR_IDT) {
    softwareInterrupt(xen, vcpu, error >>> 3);
  } else {
    deliverTrap(xen, vcpu, vector, hasErrorCode(vector) ? error : undefined, 0);
  }
};

const privileged = (xen: Hypervisor, vcpu: XenVcpu, op: number): void => {
  const { costs, causes } = xen.machine;
  const known = xen.emulationCauses[op]!;
  const cause = known !== 0 ? known : causes.id(`fault #GP ${opName(op)}`);
  xen.emulationCauses[op] = cause;
  vcpu.arch.pcpu.charge(cause, costs.fault + costs.emulate);
  if (emulate(xen, vcpu, op) || vcpu.arch.stopped) return;
  vcpu.arch.pcpu.chargeMany(cause, 0, costs.bounce);
  deliverTrap(xen, vcpu, VECTOR_GP, 0, 0);
};

/** INT n reaches trap n if its entry lets this mode raise it. */
const softwareInterrupt = (xen: Hypervisor, vcpu: XenVcpu, n: number): void => {
  const entry = vcpu.traps.get(n);
  const allowed =
    n === INT80 || (entry !== undefined && (entry.flags & TRAP_DPL) >= (vcpu.kernelMode ? 1 : 3));
  if (entry && allowed) deliverTrap(xen, vcpu, n, undefined, 0);
  else deliverTrap(xen, vcpu, VECTOR_GP, n * 8 + ERROR_IDT, 0);
};

const cpuid = (xen: Hypervisor, vcpu: XenVcpu): void => {
  const { arch } = vcpu;
  const { costs } = xen.machine;
  vcpu.arch.pcpu.charge(CAUSE_PRIVILEGED, costs.fault + costs.emulate);
  const answer = guestCpuid(vcpu, arch.lo(RAX << 3), xen.machine.preset.mhz);
  arch.setHalves(RAX << 3, answer.eax, 0);
  arch.setHalves(RBX << 3, answer.ebx, 0);
  arch.setHalves(RCX << 3, answer.ecx, 0);
  arch.setHalves(RDX << 3, answer.edx, 0);
};

const traceFault = (xen: Hypervisor, vcpu: XenVcpu, vector: number, error: number): void => {
  const { trace } = xen.machine;
  if (!trace.on) return;
  const { arch } = vcpu;
  const op = arch.get(EXIT_D);
  const record = {
    time: arch.pcpu.now,
    who: vcpu.name,
    kind: 'fault',
    vector: vectorName(vector),
    error,
  };
  const detail =
    vector === VECTOR_PF ? { address: arch.get(EXIT_C) } : op !== 0 ? { op: opName(op) } : {};
  trace.emit({ ...record, rip: arch.rip, ...detail });
};
