/** A machine with a hypervisor and raw PV guests, for measurements. */
import { Hypervisor } from '../hypervisor/hypervisor.ts';
import type { Guest } from '../machine/cpu.ts';
import { Machine } from '../machine/machine.ts';
import { DEFAULT_PRESET } from '../machine/presets.ts';
import { __HYPERVISOR_sched_op } from '../protocol/hypercalls.ts';
import { SCHEDOP_block } from '../protocol/sched.ts';

const PAGE = 4096;

export interface Host {
  machine: Machine;
  xen: Hypervisor;
}

/** Room for `domains` domains of `bytes` each. */
export const newHost = (domains: number, bytes: number): Host => {
  const frames = domains * (Math.ceil(bytes / PAGE) + 8) + 1024;
  const machine = new Machine({ preset: DEFAULT_PRESET, frames, vcpus: domains, pcpus: 1 });
  return { machine, xen: new Hypervisor(machine, { consoleIo: () => {} }) };
};

/** Run `guest` as the only domain until its promise settles. */
export const runAlone = async (guest: Guest, bytes = 2 << 20): Promise<void> => {
  const { machine, xen } = newHost(1, bytes);
  let done = false;
  const domain = xen.create({
    name: 'bench',
    kind: 'pv',
    memoryBytes: bytes,
    guest: async (cpu, boot) => {
      cpu.idle(() => void cpu.syscall(__HYPERVISOR_sched_op, SCHEDOP_block, 0));
      await guest(cpu, boot);
      done = true;
    },
  });
  xen.unpause(domain);
  await machine.run({
    pick: (pcpu) => xen.pick(pcpu),
    rest: (pcpu, processor) => xen.rest(pcpu, processor),
    get finished() {
      return done || domain.end !== undefined;
    },
  });
  if (domain.end) throw new Error(`the guest ended: ${domain.end.why}`);
};
