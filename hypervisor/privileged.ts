/**
 * Privileged instructions of a PV kernel: they fault, because it runs at CPL 3, and are done for it
 * where Xen does so. What Xen does not do (HLT, LIDT, INVLPG, SWAPGS…) stays a #GP, because there
 * is a hypercall for it.
 * @source xen/arch/x86/pv/emul-priv-op.c
 */
import { CAUSE_PORT_IO } from '../machine/account.ts';
import { CR0_TS } from '../machine/control-registers.ts';
import {
  OP_CLI,
  OP_CLTS,
  OP_IN,
  OP_INS,
  OP_INVD,
  OP_MOV_FROM_CR0,
  OP_MOV_FROM_CR2,
  OP_MOV_FROM_CR3,
  OP_MOV_FROM_CR4,
  OP_MOV_FROM_DR,
  OP_MOV_TO_CR0,
  OP_MOV_TO_CR2,
  OP_MOV_TO_CR3,
  OP_MOV_TO_CR4,
  OP_MOV_TO_DR,
  OP_OUT,
  OP_OUTS,
  OP_RDMSR,
  OP_STI,
  OP_WBINVD,
  OP_WRMSR,
} from '../machine/exit.ts';
import { IO_IN, ioPort, ioSize, moveString, ones, outValue, setIn } from '../machine/io-access.ts';
import { PORT_PIC_MASTER, PORT_PIC_SLAVE, PORT_PIT } from '../machine/platform.ts';
import { CR2, EXIT_C } from '../machine/vcpu.ts';
import { PAGE_SIZE } from '../protocol/units.ts';
import { VMASST_TYPE_architectural_iopl } from '../protocol/xen.ts';
import { newBaseptr } from './base-pointer.ts';
import { hasAssist } from './domain.ts';
import type { Hypervisor } from './hypervisor.ts';
import { readMsr, writeMsr } from './msrs.ts';
import { movedAt, traceIo, wasPageFault } from './port-io.ts';
import { deliverPageFault } from './pv-traps.ts';
import { debugRegister, setDebugRegister } from './segments.ts';
import type { XenVcpu } from './xen-vcpu.ts';

/** PE, MP, ET, NE, WP, AM, PG: as a PV guest finds them. */
const CR0_FIXED = 0x80050033;
/** PAE, MCE, OSFXSR, OSXMMEXCPT: always shown. */
const CR4_SHOWN = 0x660;
/** TSD, DE: the guest's choice. FSGSBASE and OSXSAVE would be too on a processor that CPUID shows to have them. */
const CR4_OWN = 0x4 | 0x8;
const PIT_CHANNEL_2 = PORT_PIT + 2;

const bitmapByte = new Uint8Array(1);

/**
 * Do privileged instruction `op` of the exit record. @returns false when the guest gets its #GP; it
 * may have been given another exception instead
 */
export const emulate = (xen: Hypervisor, vcpu: XenVcpu, op: number): boolean => {
  const operand = vcpu.arch.get(EXIT_C);
  switch (op) {
    case OP_IN:
    case OP_OUT:
      return portAccess(xen, vcpu, operand) && done(vcpu);
    case OP_INS:
    case OP_OUTS:
      return portString(xen, vcpu, operand);
    case OP_CLI:
    case OP_STI:
      return ioPrivilege(vcpu) && done(vcpu);
  }
  if (!vcpu.kernelMode) return false;
  switch (op) {
    case OP_RDMSR:
      return readMsr(vcpu) && done(vcpu);
    case OP_WRMSR:
      return writeMsr(xen, vcpu) && done(vcpu);
    case OP_MOV_TO_DR:
      return setDebugRegister(vcpu, operand >> 4, vcpu.arch.gpr(operand & 15)) === 0 && done(vcpu);
    case OP_MOV_FROM_DR:
      vcpu.arch.setGpr(operand & 15, debugRegister(vcpu, operand >> 4));
      return done(vcpu);
    case OP_CLTS:
      vcpu.taskSwitched = false;
      return done(vcpu);
    case OP_INVD:
    case OP_WBINVD: // ignored: Linux has it in timing loops at its start
      return done(vcpu);
    default:
      return controlRegister(xen, vcpu, op, operand) && done(vcpu);
  }
};

const done = (vcpu: XenVcpu): true => {
  vcpu.arch.retire();
  return true;
};

const controlRegister = (xen: Hypervisor, vcpu: XenVcpu, op: number, register: number): boolean => {
  const { arch } = vcpu;
  const value = arch.gpr(register);
  const cr0 = CR0_FIXED + (vcpu.taskSwitched ? CR0_TS : 0);
  switch (op) {
    case OP_MOV_FROM_CR0:
      arch.setGpr(register, cr0);
      return true;
    case OP_MOV_FROM_CR2:
      arch.setGpr(register, arch.get(CR2));
      return true;
    case OP_MOV_FROM_CR3:
      arch.setGpr(register, vcpu.kernelRoot * PAGE_SIZE);
      return true;
    case OP_MOV_FROM_CR4:
      arch.setGpr(register, CR4_SHOWN | vcpu.cr4);
      return true;
    case OP_MOV_TO_CR0:
      if (value - (value & CR0_TS) !== CR0_FIXED) return false;
      vcpu.taskSwitched = (value & CR0_TS) !== 0;
      return true;
    case OP_MOV_TO_CR2:
      arch.set(CR2, value);
      return true;
    case OP_MOV_TO_CR3:
      return newBaseptr(xen, vcpu, Math.floor(value / PAGE_SIZE)) === 0;
    case OP_MOV_TO_CR4:
      vcpu.cr4 = value & CR4_OWN;
      return true;
    default:
      return false;
  }
};

/** The kernel counts as level 1, or 0 if IOPL is to be as on a processor; user mode as 3. */
const ioPrivilege = ({ domain, kernelMode }: XenVcpu): boolean => {
  const level = hasAssist(domain, VMASST_TYPE_architectural_iopl) ? 0 : 1;
  return domain.iopl >= (kernelMode ? level : 3);
};

/** May the current mode name this port at all? What IOPL does not give, the bitmap may. */
const permitted = (xen: Hypervisor, vcpu: XenVcpu, port: number, size: number): boolean => {
  if (ioPrivilege(vcpu)) return true;
  for (let p = port; p < port + size; p++) {
    if (p >= vcpu.ioBitmapPorts) return false;
    if (!xen.copyFromGuest(vcpu, vcpu.ioBitmap + (p >>> 3), bitmapByte)) return false;
    if ((bitmapByte[0]! >>> (p & 7)) & 1) return false;
  }
  return true;
};

/** Xen keeps the interrupt controllers and the timer for itself; the rest is domain 0's. */
const owns = (vcpu: XenVcpu, port: number): boolean => {
  if (!vcpu.domain.privileged) return false;
  if (port >= PORT_PIT && port < PORT_PIT + 4) return port === PIT_CHANNEL_2;
  return port >>> 1 !== PORT_PIC_MASTER >>> 1 && port >>> 1 !== PORT_PIC_SLAVE >>> 1;
};

const read = (xen: Hypervisor, vcpu: XenVcpu, port: number, size: number): number => {
  const { pcpu } = vcpu.arch;
  if (!owns(vcpu, port)) return ones(size);
  pcpu.charge(CAUSE_PORT_IO, xen.machine.costs.portIo);
  const value = xen.machine.bus.read(port, size, pcpu.now);
  traceIo(xen, vcpu, { dir: 'in', port, size, value });
  return value;
};

const write = (xen: Hypervisor, vcpu: XenVcpu, port: number, size: number, value: number): void => {
  const { pcpu } = vcpu.arch;
  if (!owns(vcpu, port)) return;
  pcpu.charge(CAUSE_PORT_IO, xen.machine.costs.portIo);
  traceIo(xen, vcpu, { dir: 'out', port, size, value });
  xen.machine.bus.write(port, size, value, pcpu.now);
};

const portAccess = (xen: Hypervisor, vcpu: XenVcpu, access: number): boolean => {
  const { arch } = vcpu;
  const [port, size] = [ioPort(access), ioSize(access)];
  if (!permitted(xen, vcpu, port, size)) return false;
  if (access & IO_IN) setIn(arch, size, read(xen, vcpu, port, size));
  else write(xen, vcpu, port, size, outValue(arch, size));
  return true;
};

/** INS and OUTS; what the guest's memory does not allow is a fault of its own. */
const portString = (xen: Hypervisor, vcpu: XenVcpu, access: number): boolean => {
  const { mmu, costs } = xen.machine;
  if (!permitted(xen, vcpu, ioPort(access), ioSize(access))) return false;
  const bad = moveString(mmu, vcpu.arch, access, {
    read: (port, size) => read(xen, vcpu, port, size),
    write: (port, size, value) => write(xen, vcpu, port, size, value),
    moved: movedAt(xen, vcpu, () => vcpu.arch.pcpu.chargeMany(CAUSE_PORT_IO, 0, costs.wordCopied)),
  });
  if (bad === undefined) return done(vcpu);
  if (!wasPageFault(xen)) return false;
  deliverPageFault(xen, vcpu, mmu.faultCode, bad);
  return true;
};
