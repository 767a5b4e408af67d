/**
 * How control leaves code: by an exit, whose record it fills, or by an exception, which is an exit or goes through the guest's IDT.
 * One way for both kinds of code; on return the guest goes on at whatever RIP the vCPU then has.
 */
import { deliver } from './exceptions.ts';
import { EXIT_EXCEPTION, VECTOR_GP, VECTOR_PF, vectorName } from './exit.ts';
import type { Machine } from './machine.ts';
import type { Underneath } from './underneath.ts';
import {
  CR2,
  EXCEPTION_BITMAP,
  EXIT_A,
  EXIT_B,
  EXIT_C,
  EXIT_D,
  EXIT_REASON,
  type Vcpu,
} from './vcpu.ts';

/** Exit with a record; `length` is that of the instruction, 0 of one that has no bytes. */
export const leave = (
  underneath: Underneath,
  vcpu: Vcpu,
  length: number,
  reason: number,
  a = 0,
  b = 0,
  c = 0,
  d = 0,
): void => {
  vcpu.setHalves(EXIT_REASON, reason, length);
  vcpu.set(EXIT_A, a);
  vcpu.set(EXIT_B, b);
  vcpu.set(EXIT_C, c);
  vcpu.set(EXIT_D, d);
  underneath.exit(vcpu);
};

/**
 * Take an exception where RIP is: to whoever is underneath, or through the guest's IDT. `detail` is a page fault's address, or the
 * operand of `op`, the privileged instruction behind a #GP.
 */
export const takeException = (
  machine: Machine,
  underneath: Underneath,
  vcpu: Vcpu,
  length: number,
  vector: number,
  error: number,
  detail: number,
  op: number,
): void => {
  if ((vcpu.lo(EXCEPTION_BITMAP) >>> vector) & 1) {
    leave(underneath, vcpu, length, EXIT_EXCEPTION, vector, error, detail, op);
    return;
  }
  const { pcpu } = vcpu;
  const { trace } = machine;
  const address = vector === VECTOR_PF ? detail : 0;
  if (vector === VECTOR_PF) vcpu.set(CR2, address);
  pcpu.charge(machine.causes.id(`fault ${vectorName(vector)}`), machine.costs.fault);
  if (trace.on) {
    const name = vectorName(vector);
    const who = `cpu${vcpu.index}`;
    const { rip } = vcpu;
    trace.emit({ time: pcpu.now, who, kind: 'fault', vector: name, error, address, rip });
  }
  if (!deliver(machine.mmu, vcpu, vector, error)) underneath.exit(vcpu);
};

/**
 * INT n: through the IDT, or, of a deprivileged kernel, a #GP that names a gate of DPL 0 (SDM vol. 3, 6.12.1.3). It returns past
 * the instruction.
 */
export const softwareInterrupt = (
  machine: Machine,
  underneath: Underneath,
  vcpu: Vcpu,
  length: number,
  vector: number,
): void => {
  if (vcpu.lo(EXCEPTION_BITMAP) !== 0) {
    takeException(machine, underneath, vcpu, length, VECTOR_GP, vector * 8 + 2, 0, 0);
  } else if (!deliver(machine.mmu, vcpu, vector, 0, length)) {
    underneath.exit(vcpu);
  }
};
