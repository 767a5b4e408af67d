/**
 * What a PV guest leaves its code for: system calls (of its kernel: hypercalls), exceptions, and
 * privileged instructions, which are exceptions too because a PV kernel runs at CPL 3.
 */
import { CAUSE_PRIVILEGED } from '../machine/account.ts';
import { setCpuid } from '../machine/cpuid.ts';
import {
  EXIT_CPUID,
  EXIT_EXCEPTION,
  EXIT_SYSCALL,
  EXIT_SYSENTER,
  exitName,
  hasErrorCode,
  opName,
  VECTOR_BP,
  VECTOR_GP,
  VECTOR_NM,
  VECTOR_OF,
  VECTOR_PF,
  VECTOR_UD,
  vectorName,
} from '../machine/exit.ts';
import { EXIT_A, EXIT_B, EXIT_C, EXIT_D, EXIT_REASON, RAX } from '../machine/vcpu.ts';
import { guestCpuid } from './cpuid-policy.ts';
import type { Hypervisor } from './hypervisor.ts';
import { emulate } from './privileged.ts';
import { at, deliverPageFault, deliverSyscall, deliverSysenter, deliverTrap } from './pv-traps.ts';
import { storeIntoTable } from './writable-tables.ts';
import type { XenVcpu } from './xen-vcpu.ts';

/** INT n of a kernel at CPL 3: #GP with the gate's number, IDT bit set (SDM vol. 3, 6.13). */
const ERROR_IDT = 2;
const TRAP_DPL = 3;
const INT80 = 0x80;
/** UD2 and "xen" before CPUID: emulate it, please (arch-x86/xen.h, XEN_EMULATE_PREFIX). */
const FORCED_CPUID = [0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2] as const;
const forced = new Uint8Array(FORCED_CPUID.length);

/** Every exit of a PV vCPU but a hypercall. */
export const pvExit = (xen: Hypervisor, vcpu: XenVcpu): void => {
  const reason = vcpu.arch.lo(EXIT_REASON);
  if (reason === EXIT_SYSCALL) deliverSyscall(xen, vcpu);
  else if (reason === EXIT_EXCEPTION) exception(xen, vcpu);
  else if (reason === EXIT_CPUID) cpuid(xen, vcpu);
  else if (reason === EXIT_SYSENTER) deliverSysenter(xen, vcpu);
  else xen.crash(vcpu.domain, `${vcpu.name}: ${exitName(reason)}, ${at(vcpu)}`);
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
  if (vector === VECTOR_UD && isForcedCpuid(xen, vcpu)) {
    arch.rip += FORCED_CPUID.length;
    cpuid(xen, vcpu);
    return;
  }
  // Whoever sets TS wants to know once.
  if (vector === VECTOR_NM) vcpu.taskSwitched = false;
  if (vector === VECTOR_PF && storeIntoTable(xen, vcpu, error, arch.get(EXIT_C))) return;
  const { fault, bounce } = xen.machine.costs;
  vcpu.arch.pcpu.charge(xen.faultCause(vector), fault + bounce);
  if (vector === VECTOR_PF) {
    deliverPageFault(xen, vcpu, error, arch.get(EXIT_C));
  } else if (vector === VECTOR_GP && (error & 7) === ERROR_IDT) {
    softwareInterrupt(xen, vcpu, error >>> 3);
  } else {
    deliverTrap(xen, vcpu, vector, hasErrorCode(vector) ? error : undefined, 0);
  }
};

const isForcedCpuid = (xen: Hypervisor, vcpu: XenVcpu): boolean =>
  xen.copyFromGuest(vcpu, vcpu.arch.rip, forced) && FORCED_CPUID.every((b, i) => forced[i] === b);

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

/**
 * INT n reaches trap n if its entry lets this mode raise it; #BP and #OF are anybody's. It returns
 * past the instruction.
 */
const softwareInterrupt = (xen: Hypervisor, vcpu: XenVcpu, n: number): void => {
  const entry = vcpu.traps.get(n);
  const open = n === INT80 || n === VECTOR_BP || n === VECTOR_OF;
  if (entry && (open || (entry.flags & TRAP_DPL) >= (vcpu.kernelMode ? 1 : 3))) {
    vcpu.arch.retire();
    deliverTrap(xen, vcpu, n, undefined, 0);
  } else {
    deliverTrap(xen, vcpu, VECTOR_GP, n * 8 + ERROR_IDT, 0);
  }
};

const cpuid = (xen: Hypervisor, vcpu: XenVcpu): void => {
  const { arch } = vcpu;
  const { costs, preset } = xen.machine;
  arch.pcpu.charge(CAUSE_PRIVILEGED, costs.fault + costs.emulate);
  setCpuid(arch, guestCpuid(vcpu, arch.lo(RAX << 3), preset.mhz));
  arch.retire();
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
