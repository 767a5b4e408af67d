/**
 * An event sent from one domain and seen by another, the switch between them included: two domains send each
 * other one event at a time, every one answered from the upcall.
 */
import { bootKernel, type Kernel } from '../guest-kernel/index.ts';
import { Domid, type Port } from '../protocol/units.ts';
import { newHost } from './host.ts';
import type { HostFigures } from './reference.ts';
import type { BenchRow } from './types.ts';

const BYTES = 2 << 20;
const EVENTS = 200_000;

const answering = (kernel: Kernel, port: Port, seen: () => void): void => {
  kernel.events!.events(port).subscribe(() => {
    seen();
    kernel.events!.send(port);
  });
};

/** Events per second of host time between two of `domains` domains, the others idle. */
export const eventRate = async (domains: number): Promise<number> => {
  const { machine, xen } = newHost(domains, BYTES);
  let port: Port | undefined;
  let events = 0;
  const create = (name: string, main: (kernel: Kernel) => Promise<void>): void => {
    xen.unpause(
      xen.create({
        name,
        kind: 'pv',
        memoryBytes: BYTES,
        guest: (cpu, boot) => bootKernel(cpu, boot, main),
      }),
    );
  };
  const forever = (): Promise<void> => new Promise(() => {});
  for (let idle = 2; idle < domains; idle++) create(`idle ${idle}`, forever);
  const count = (): void => {
    events++;
  };
  const first = domains - 1;
  create('first', async (kernel) => {
    port = kernel.events!.allocUnbound(Domid(first + 1));
    answering(kernel, port, count);
    await forever();
  });
  create('second', async (kernel) => {
    const mine = kernel.events!.bindInterdomain(Domid(first), port!);
    answering(kernel, mine, count);
    kernel.events!.send(mine);
    await forever();
  });
  const until = async (goal: number): Promise<void> => {
    await machine.run({
      pick: (pcpu) => xen.pick(pcpu),
      rest: (pcpu, processor) => xen.rest(pcpu, processor),
      get finished() {
        return events >= goal;
      },
    });
  };
  await until(EVENTS / 4);
  const from = performance.now();
  const before = events;
  await until(before + EVENTS);
  return ((events - before) * 1000) / (performance.now() - from);
};

export const benchEvents = async (host: HostFigures | undefined): Promise<BenchRow[]> => [
  {
    name: 'event from one domain seen by another',
    value: await eventRate(2),
    unit: '/s',
    aim: 'at least 200,000',
    ...(host && {
      reference: { name: 'byte through a pipe to another process, in C', value: host.pipe },
    }),
  },
];
