/** What emulating a port access has in common, whoever's ports they are: widths, the result in RAX, the trace. */
import { RAX, type Vcpu } from '../machine/vcpu.ts';
import type { Hypervisor } from './hypervisor.ts';
import type { XenVcpu } from './xen-vcpu.ts';

/** All bits of an access of `size` bytes: what a port reads where no device is. */
export const ones = (size: number): number =>
  size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff;

/** IN's result: 32 bits clear the upper half of RAX; narrower ones leave the rest of it alone. */
export const setIn = (arch: Vcpu, size: number, value: number): void => {
  const rax = RAX << 3;
  if (size === 4) arch.setHalves(rax, value, 0);
  else arch.setHalves(rax, ((arch.lo(rax) & ~ones(size)) | value) >>> 0, arch.hi(rax));
};

/** OUT's value. */
export const outValue = (arch: Vcpu, size: number): number =>
  (arch.lo(RAX << 3) & ones(size)) >>> 0;

export const traceIo = (
  xen: Hypervisor,
  vcpu: XenVcpu,
  access: { port: number; size: number; value: number; dir: 'in' | 'out' },
): void => {
  const { trace } = xen.machine;
  if (trace.on) trace.emit({ time: vcpu.arch.pcpu.now, who: vcpu.name, kind: 'io', ...access });
};
