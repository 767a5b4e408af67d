/**
 * Privileged instructions of a PV kernel: they fault, because it runs at CPL 3, and are done for it
 * where Xen does so. What Xen does not do (HLT, LIDT, INVLPG…) stays a #GP, because there is a
 * hypercall for it.
 */
import { CAUSE_PORT_IO } from '../machine/account.ts';
import {
  OP_CLI,
  OP_IN,
  OP_INS,
  OP_MOV_FROM_CR0,
  OP_MOV_FROM_CR2,
  OP_MOV_FROM_CR3,
  OP_MOV_FROM_CR4,
  OP_MOV_TO_CR0,
  OP_MOV_TO_CR2,
  OP_MOV_TO_CR3,
  OP_MOV_TO_CR4,
  OP_OUT,
  OP_OUTS,
  OP_RDMSR,
  OP_STI,
  OP_WRMSR,
} from '../machine/exit.ts';
import { PORT_PIC_MASTER, PORT_PIC_SLAVE, PORT_PIT } from '../machine/platform.ts';
import { CR2, R8, RAX, RCX, RDI, RDX, RSI } from '../machine/vcpu.ts';
import { PAGE_SIZE } from '../protocol/units.ts';
import { newBaseptr } from './base-pointer.ts';
import type { Hypervisor } from './hypervisor.ts';
import { readMsr, writeMsr } from './msrs.ts';
import { ones, outValue, setIn, traceIo } from './port-io.ts';
import type { XenVcpu } from './xen-vcpu.ts';

/** PE, MP, ET, NE, WP, AM, PG: as a PV guest finds them. */
const CR0_FIXED = 0x80050033;
const CR0_TS = 8;
/** PAE, MCE, OSFXSR, OSXMMEXCPT: always shown. */
const CR4_SHOWN = 0x660;
/** TSD, DE, FSGSBASE, OSXSAVE: the guest's choice. */
const CR4_OWN = 0x4 | 0x8 | 0x10000 | 0x40000;
const PIT_CHANNEL_2 = PORT_PIT + 2;

const word = new Uint8Array(4);
const wordView = new DataView(word.buffer);
const bitmapByte = new Uint8Array(1);

/**
 * Do privileged instruction `op`, its operands in registers. @returns false when the guest gets its
 * #GP
 */
export const emulate = (xen: Hypervisor, vcpu: XenVcpu, op: number): boolean => {
  switch (op) {
    case OP_IN:
    case OP_OUT:
      return portAccess(xen, vcpu, op === OP_IN);
    case OP_INS:
    case OP_OUTS:
      return portString(xen, vcpu, op === OP_INS);
    case OP_CLI:
    case OP_STI:
      return vcpu.kernelMode && vcpu.domain.iopl >= 1;
  }
  if (!vcpu.kernelMode) return false;
  if (op === OP_RDMSR) return readMsr(vcpu);
  if (op === OP_WRMSR) return writeMsr(vcpu);
  return controlRegister(xen, vcpu, op);
};

const controlRegister = (xen: Hypervisor, vcpu: XenVcpu, op: number): boolean => {
  const { arch } = vcpu;
  const value = arch.gpr(RAX);
  const cr0 = CR0_FIXED + (vcpu.taskSwitched ? CR0_TS : 0);
  switch (op) {
    case OP_MOV_FROM_CR0:
      arch.setGpr(RAX, cr0);
      return true;
    case OP_MOV_FROM_CR2:
      arch.setGpr(RAX, arch.get(CR2));
      return true;
    case OP_MOV_FROM_CR3:
      arch.setGpr(RAX, vcpu.kernelRoot * PAGE_SIZE);
      return true;
    case OP_MOV_FROM_CR4:
      arch.setGpr(RAX, CR4_SHOWN | vcpu.cr4);
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

/**
 * May the current mode name this port at all? The kernel counts as level 1; user mode as 3, and has
 * the bitmap.
 */
const permitted = (xen: Hypervisor, vcpu: XenVcpu, port: number, size: number): boolean => {
  if (vcpu.domain.iopl >= (vcpu.kernelMode ? 1 : 3)) return true;
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

const portAccess = (xen: Hypervisor, vcpu: XenVcpu, isIn: boolean): boolean => {
  const { arch } = vcpu;
  const port = arch.lo(RDX << 3) & 0xffff;
  const size = arch.lo(RCX << 3);
  if (!permitted(xen, vcpu, port, size)) return false;
  if (!isIn) {
    write(xen, vcpu, port, size, outValue(arch, size));
    return true;
  }
  setIn(arch, size, read(xen, vcpu, port, size));
  return true;
};

/**
 * INS and OUTS: element by element, as far as the guest's memory allows; the rest is left in RCX.
 */
const portString = (xen: Hypervisor, vcpu: XenVcpu, isIn: boolean): boolean => {
  const { arch } = vcpu;
  const port = arch.lo(RDX << 3) & 0xffff;
  const size = arch.lo(R8 << 3);
  const pointer = isIn ? RDI : RSI;
  if (!permitted(xen, vcpu, port, size)) return false;
  const bytes = word.subarray(0, size);
  const count = arch.gpr(RCX);
  for (let i = 0; i < count; i++) {
    const va = arch.gpr(pointer);
    if (isIn) {
      if (!xen.mayWrite(vcpu, va, size)) return false;
      wordView.setUint32(0, read(xen, vcpu, port, size), true);
      xen.copyToGuest(vcpu, va, bytes);
    } else {
      if (!xen.copyFromGuest(vcpu, va, bytes)) return false;
      write(xen, vcpu, port, size, wordView.getUint32(0, true) & ones(size));
    }
    arch.pcpu.chargeMany(CAUSE_PORT_IO, 0, xen.machine.costs.wordCopied);
    arch.setGpr(pointer, va + size);
    arch.setGpr(RCX, count - i - 1);
    if ((i & 63) === 63 && xen.checkPreempt(vcpu)) return true;
  }
  return true;
};
