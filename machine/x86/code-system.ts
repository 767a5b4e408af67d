/**
 * The instructions that manage the processor, of machine code whose level allows them: done here, or by whoever is underneath
 * when a control asks for it.
 * @source SDM vol. 2
 */
import { CAUSE_PORT_IO, CAUSE_PRIVILEGED } from '../account.ts';
import { CR_FIELDS, CR0_TS, type CrNumber, writeControlRegister } from '../control-registers.ts';
import { hostCpuid, setCpuid } from '../cpuid.ts';
import * as exit from '../exit.ts';
import {
  IO_IN,
  IO_STRING,
  ioPort,
  ioSize,
  moveString,
  outValue,
  type Ports,
  setIn,
} from '../io-access.ts';
import { readMsr, readTsc, writeMsr } from '../msrs.ts';
import {
  CR0,
  CR4,
  DR0,
  GDTR_BASE,
  GDTR_LIMIT,
  GS_BASE,
  IDTR_BASE,
  IDTR_LIMIT,
  KERNEL_GS_BASE,
  RAX,
  RCX,
  RFLAGS,
  RFLAGS_IF,
  TSC_AUX,
} from '../vcpu.ts';
import { type Act, type CodeControl, stored } from './code-control.ts';
import type { Operation } from './decoder.ts';
import { ioOf } from './privileged-op.ts';
import { Fault, isCanonical } from './state.ts';
import { signedNumber } from './vcpu-memory.ts';

/** PE and PG: always set in long mode. */
const CR0_LONG = 0x80000001;
const CR4_TSD = 4;
const CR4_PAE = 0x20;
const PHYSICAL_LIMIT = 2 ** 40;

const cpuid: Act = (cpu, op) => {
  const { vcpu, machine } = cpu;
  if (cpu.exits(exit.CONTROL_CPUID)) {
    cpu.leave(op, exit.EXIT_CPUID);
    return;
  }
  setCpuid(vcpu, hostCpuid(vcpu.lo(RAX << 3), machine.preset.mhz));
  cpu.nextPrivileged(op);
};

/** RDTSC and RDTSCP. */
const rdtsc: Act = (cpu, op) => {
  const { vcpu } = cpu;
  if ((vcpu.lo(CR4) & CR4_TSD) !== 0 && vcpu.cpl !== 0) throw new Fault(exit.VECTOR_GP);
  if (cpu.exits(exit.CONTROL_RDTSC)) {
    cpu.leave(op, exit.EXIT_RDTSC);
    return;
  }
  readTsc(vcpu);
  if (op.form.row.name === 'rdtscp') vcpu.setHalves(RCX << 3, vcpu.lo(TSC_AUX), 0);
  cpu.next(op);
};

const vmcall: Act = (cpu, op) => {
  if (!cpu.exits(exit.CONTROL_VMCALL)) throw new Fault(exit.VECTOR_UD);
  cpu.leave(op, exit.EXIT_VMCALL);
};

const hlt: Act = (cpu, op) => {
  cpu.vcpu.pcpu.charge(CAUSE_PRIVILEGED, cpu.machine.costs.privileged);
  cpu.leave(op, exit.EXIT_HLT);
};

/** RDMSR, WRMSR, SWAPGS. */
const msr: Act = (cpu, op) => {
  const { vcpu } = cpu;
  const { name } = op.form.row;
  if (name === 'swapgs') {
    const base = vcpu.getBig(GS_BASE);
    vcpu.setBig(GS_BASE, vcpu.getBig(KERNEL_GS_BASE));
    vcpu.setBig(KERNEL_GS_BASE, base);
    cpu.nextPrivileged(op);
    return;
  }
  const read = name === 'rdmsr';
  if (cpu.exits(exit.CONTROL_MSR)) {
    cpu.leave(op, read ? exit.EXIT_RDMSR : exit.EXIT_WRMSR);
    return;
  }
  vcpu.pcpu.charge(CAUSE_PRIVILEGED, cpu.machine.costs.msr);
  if (!(read ? readMsr(vcpu) : writeMsr(vcpu))) throw new Fault(exit.VECTOR_GP);
  cpu.next(op);
};

/** MOV, CLTS, LMSW; SMSW at any level. */
const controlRegister: Act = (cpu, op) => {
  const { vcpu, operands } = cpu;
  const to = op.operands[0]!;
  const from = op.operands[1]!;
  switch (op.form.row.name) {
    case 'smsw':
      operands.write(stored(to), vcpu.getBig(CR0));
      cpu.next(op);
      return;
    case 'clts':
      vcpu.setHalves(CR0, vcpu.lo(CR0) & ~CR0_TS, 0);
      cpu.nextPrivileged(op);
      return;
    case 'lmsw': // PE, MP, EM, TS; PE cannot be cleared
      vcpu.setHalves(CR0, (vcpu.lo(CR0) & ~14) | (Number(operands.read(to)) & 15), 0);
      cpu.nextPrivileged(op);
      return;
  }
  if (to.kind === 'control') writeControl(cpu, op, to.register, operands.read(from));
  else if (from.kind === 'control') {
    // There is no local APIC, and CR8 is its task priority.
    const value = from.register === 8 ? 0n : vcpu.getBig(CR_FIELDS[from.register as CrNumber]);
    operands.write(to, value);
    cpu.nextPrivileged(op);
  }
};

const writeControl = (cpu: CodeControl, op: Operation, n: number, value: bigint): void => {
  const number = signedNumber(value);
  if (!validControl(n, number)) throw new Fault(exit.VECTOR_GP);
  if (n === 3 && cpu.exits(exit.CONTROL_CR3_LOAD)) {
    cpu.leave(op, exit.EXIT_CR_ACCESS, 3, 0, number);
    return;
  }
  if (n !== 8) writeControlRegister(cpu.machine, cpu.vcpu, n as CrNumber, number);
  cpu.next(op);
};

/** What long mode lets a control register be. */
const validControl = (n: number, value: number): boolean => {
  switch (n) {
    case 0:
      return value >= 0 && value < 2 ** 32 && (value & CR0_LONG) >>> 0 === CR0_LONG;
    case 3:
      return value >= 0 && value < PHYSICAL_LIMIT;
    case 4:
      return value >= 0 && value < 2 ** 32 && (value & CR4_PAE) !== 0;
    case 8:
      return value >= 0 && value < 16;
    default:
      return true;
  }
};

const debugRegister: Act = (cpu, op) => {
  const { vcpu, operands } = cpu;
  const to = op.operands[0]!;
  const from = op.operands[1]!;
  // DR4 and DR5 are DR6 and DR7 while CR4.DE is clear.
  const field = (n: number): number => DR0 + 8 * (n === 4 || n === 5 ? n + 2 : n);
  if (to.kind === 'debug') {
    const value = operands.read(from);
    if (to.register >= 4 && value >= 2n ** 32n) throw new Fault(exit.VECTOR_GP);
    vcpu.setBig(field(to.register), value);
  } else if (from.kind === 'debug') {
    operands.write(to, vcpu.getBig(field(from.register)));
  }
  cpu.nextPrivileged(op);
};

const invlpg: Act = (cpu, op) => {
  const { vcpu, machine } = cpu;
  const va = signedNumber(cpu.operands.linear(op.operands[0]!));
  if (cpu.exits(exit.CONTROL_INVLPG)) {
    cpu.leave(op, exit.EXIT_INVLPG, va);
    return;
  }
  machine.mmu.flushPage(vcpu, va);
  vcpu.pcpu.charge(CAUSE_PRIVILEGED, machine.costs.invlpg);
  cpu.next(op);
};

/** There are no caches to write back. */
const cache: Act = (cpu, op) => cpu.nextPrivileged(op);

/** CLI and STI; interrupts are let in after the instruction that follows STI, so that none slips in between STI and HLT. */
const interruptFlag: Act = (cpu, op) => {
  const { vcpu } = cpu;
  const old = vcpu.lo(RFLAGS);
  const enable = op.form.row.name === 'sti';
  vcpu.setHalves(RFLAGS, enable ? old | RFLAGS_IF : old & ~RFLAGS_IF, 0);
  if (enable && (old & RFLAGS_IF) === 0) cpu.window = cpu.shadow = true;
  cpu.nextPrivileged(op);
};

/** SGDT and SIDT at any level; LGDT and LIDT. */
const descriptorTable: Act = (cpu, op) => {
  const { vcpu } = cpu;
  const { name } = op.form.row;
  const address = cpu.operands.linear(op.operands[0]!);
  const [base, limit] = name.endsWith('gdt') ? [GDTR_BASE, GDTR_LIMIT] : [IDTR_BASE, IDTR_LIMIT];
  const bytes = op.mode === 64 ? 10 : 6;
  if (name.startsWith('s')) {
    cpu.write(address, bytes, (vcpu.getBig(base) << 16n) | (vcpu.getBig(limit) & 0xffffn));
    cpu.next(op);
    return;
  }
  const value = cpu.read(address, bytes);
  if (!isCanonical(value >> 16n)) throw new Fault(exit.VECTOR_GP);
  vcpu.setBig(base, value >> 16n);
  vcpu.setBig(limit, value & 0xffffn);
  cpu.nextPrivileged(op);
};

const io: Act = (cpu, op) => {
  const { vcpu, machine } = cpu;
  const access = ioOf(op, vcpu);
  if (cpu.exits(exit.CONTROL_IO)) {
    cpu.leave(op, exit.EXIT_IO_INSTRUCTION, access);
    return;
  }
  const ports = physicalPorts(cpu);
  const size = ioSize(access);
  if (access & IO_STRING) {
    const refused = moveString(machine.mmu, vcpu, access, ports);
    const { faultVector, faultCode } = machine.mmu;
    if (refused !== undefined)
      throw new Fault(faultVector, faultCode, BigInt.asUintN(64, BigInt(refused)));
  } else if (access & IO_IN) {
    setIn(vcpu, size, ports.read(ioPort(access), size));
  } else {
    ports.write(ioPort(access), size, outValue(vcpu, size));
  }
  cpu.next(op);
};

const physicalPorts = ({ machine, vcpu: { pcpu } }: CodeControl): Ports => ({
  read: (port, size) => {
    pcpu.charge(CAUSE_PORT_IO, machine.costs.portIo);
    return machine.bus.read(port, size, pcpu.now);
  },
  write: (port, size, value) => {
    pcpu.charge(CAUSE_PORT_IO, machine.costs.portIo);
    machine.bus.write(port, size, value, pcpu.now);
  },
  moved: () => false,
});

export const systemActs: ReadonlyArray<readonly [reason: string, act: Act]> = [
  ['cpuid', cpuid],
  ['rdtsc', rdtsc],
  ['vmcall', vmcall],
  ['hlt', hlt],
  ['msr', msr],
  ['control-register', controlRegister],
  ['debug-register', debugRegister],
  ['invlpg', invlpg],
  ['cache', cache],
  ['interrupt-flag', interruptFlag],
  ['descriptor-table', descriptorTable],
  ['io', io],
];
