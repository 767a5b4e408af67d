/**
 * What reaches a PV kernel through its trap table and callbacks: exceptions, event upcalls, system
 * calls of its user mode. A kernel that cannot be reached (no handler, no stack) ends its domain,
 * and the reason says where.
 */
import { VECTOR_GP, VECTOR_PF, VECTOR_UD, vectorName } from '../machine/exit.ts';
import { PF_USER } from '../machine/pte.ts';
import { CR2, R11, RCX, RFLAGS, RSP, SS } from '../machine/vcpu.ts';
import { ArchVcpuInfo, VcpuInfo } from '../protocol/shared-info.ts';
import { FLAT_RING3_SS64 } from '../protocol/xen.ts';
import { bounce } from './bounce.ts';
import type { Hypervisor } from './hypervisor.ts';
import type { Callback, XenVcpu } from './xen-vcpu.ts';

/** trap_info.flags: mask events on entry. */
const TRAP_MASKS_EVENTS = 4;
const INFO_CR2 = VcpuInfo.offset.arch + ArchVcpuInfo.offset.cr2;
const DIRECTION_FLAG = 0x400;
const SYSCALL_BYTES = 2;
/** A null selector with RPL 3. */
const NULL_SELECTOR = 3;

/**
 * Deliver `vector` through the trap table; `error` is pushed unless undefined, `address` is a page
 * fault's.
 */
export const deliverTrap = (
  xen: Hypervisor,
  vcpu: XenVcpu,
  vector: number,
  error: number | undefined,
  address: number,
): void => {
  const entry = vcpu.traps.get(vector);
  if (!entry) {
    undeliverable(xen, vcpu, vector, error, address, 'it has no handler for');
    return;
  }
  if (vector === VECTOR_PF) {
    vcpu.arch.set(CR2, address);
    const { view } = xen.machine.memory;
    view.setUint32(vcpu.info + INFO_CR2, address, true);
    view.setInt32(vcpu.info + INFO_CR2 + 4, Math.floor(address / 2 ** 32), true);
  }
  if (!bounce(xen, vcpu, entry.address, (entry.flags & TRAP_MASKS_EVENTS) !== 0, error)) {
    undeliverable(xen, vcpu, vector, error, address, 'its stack cannot take');
  }
};

/**
 * Deliver a page fault. Both modes run at CPL 3: what the guest wants to know is which of its own
 * modes it was.
 */
export const deliverPageFault = (
  xen: Hypervisor,
  vcpu: XenVcpu,
  error: number,
  address: number,
): void => {
  const mode = vcpu.kernelMode ? error & ~PF_USER : error | PF_USER;
  deliverTrap(xen, vcpu, VECTOR_PF, mode, address);
};

/** An upcall is pending and unmasked: go to the event callback, events masked. */
export const deliverUpcall = (xen: Hypervisor, vcpu: XenVcpu): void => {
  vcpu.arch.pcpu.charge(xen.upcallCause, xen.machine.costs.bounce);
  const { address } = vcpu.eventCallback;
  if (address === 0 || !bounce(xen, vcpu, address, true, undefined)) {
    const why =
      address === 0
        ? 'it has no event callback'
        : `its stack at ${hex(vcpu.arch.gpr(RSP))} cannot take an upcall`;
    xen.crash(vcpu.domain, `${vcpu.name}: ${why}, ${at(vcpu)}`);
  }
};

/** SYSCALL in user mode: to the syscall callback, or #UD at the instruction where there is none. */
export const deliverSyscall = (xen: Hypervisor, vcpu: XenVcpu): void => {
  const { arch, syscallCallback } = vcpu;
  arch.pcpu.charge(xen.syscallCause, xen.machine.costs.hypercall);
  if (syscallCallback.address === 0) {
    arch.rip -= SYSCALL_BYTES;
    deliverTrap(xen, vcpu, VECTOR_UD, undefined, 0);
    return;
  }
  arch.setGpr(RCX, arch.rip);
  arch.setGpr(R11, arch.lo(RFLAGS));
  enterKernel(xen, vcpu, syscallCallback);
};

/**
 * SYSENTER: to its callback, or #GP where there is none. The processor saves nothing, so the frame
 * shows neither where it was nor its stack.
 */
export const deliverSysenter = (xen: Hypervisor, vcpu: XenVcpu): void => {
  const { arch, sysenterCallback } = vcpu;
  arch.pcpu.charge(xen.syscallCause, xen.machine.costs.hypercall);
  arch.rip = 0;
  arch.setGpr(RSP, 0);
  arch.setCode(NULL_SELECTOR);
  arch.set(SS, FLAT_RING3_SS64);
  if (sysenterCallback.address === 0) deliverTrap(xen, vcpu, VECTOR_GP, 0, 0);
  else enterKernel(xen, vcpu, sysenterCallback);
};

const enterKernel = (xen: Hypervisor, vcpu: XenVcpu, callback: Callback): void => {
  const { arch } = vcpu;
  if (bounce(xen, vcpu, callback.address, callback.maskEvents, undefined)) {
    arch.setHalves(RFLAGS, arch.lo(RFLAGS) & ~DIRECTION_FLAG, 0);
  } else {
    xen.crash(vcpu.domain, `${vcpu.name}: its stack cannot take a system call, ${at(vcpu)}`);
  }
};

const undeliverable = (
  xen: Hypervisor,
  vcpu: XenVcpu,
  vector: number,
  error: number | undefined,
  address: number,
  why: string,
): void => {
  const where = `error code 0x${(error ?? 0).toString(16)}, address ${hex(address)}, ${at(vcpu)}`;
  xen.crash(vcpu.domain, `${vcpu.name}: ${why} ${vectorName(vector)} (${where})`);
};

/** Where a vCPU is, for a crash reason: RIP, and the instruction there if there is one. */
export const at = (vcpu: XenVcpu): string => {
  const instruction = vcpu.processor?.instruction?.();
  return `rip ${hex(vcpu.arch.rip)}${instruction === undefined ? '' : `: ${instruction}`}`;
};

/** A canonical address as 64-bit hex. */
export const hex = (va: number): string =>
  `0x${BigInt.asUintN(64, BigInt(Math.trunc(va))).toString(16)}`;
