/** What one instruction costs the host: a load that hits the TLB, and a null hypercall, from TypeScript guests. */
import { __HYPERVISOR_xen_version } from '../protocol/hypercalls.ts';
import { runAlone } from './host.ts';
import type { HostFigures } from './reference.ts';
import type { BenchRow } from './types.ts';

const LOADS = 20_000_000;
const CALLS = 5_000_000;
const ROUNDS = 3;

export const benchCpu = async (host: HostFigures | undefined): Promise<BenchRow[]> => {
  let load = Number.POSITIVE_INFINITY;
  let call = Number.POSITIVE_INFINITY;
  await runAlone(async (cpu, boot) => {
    let sum = 0;
    for (let round = 0; round < ROUNDS; round++) {
      let from = performance.now();
      for (let i = 0; i < LOADS; i++) sum += cpu.load32(boot.startInfo + ((i & 255) << 2));
      load = Math.min(load, ((performance.now() - from) * 1e6) / LOADS);
      from = performance.now();
      for (let i = 0; i < CALLS; i++) sum += cpu.syscall(__HYPERVISOR_xen_version, 0, 0);
      call = Math.min(call, ((performance.now() - from) * 1e6) / CALLS);
    }
    if (sum === 0) throw new Error('nothing was loaded');
  });
  return [
    {
      name: 'load through the MMU, TLB hit',
      value: load,
      unit: 'ns',
      aim: 'at most 30',
      ...(host && { reference: { name: 'array load in C', value: host.load } }),
    },
    {
      name: 'null hypercall',
      value: 1e9 / call,
      unit: '/s',
      aim: 'at least 10,000,000',
      ...(host && { reference: { name: 'getppid() in C', value: host.syscall } }),
    },
  ];
};
