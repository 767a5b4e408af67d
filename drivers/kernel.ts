/**
 * How a kernel file is written: `defineKernel(main)` gives a guest that boots anywhere.
 * The one idea: console and disks mean the same on a bare machine and in a paravirtual domain; what a
 * kernel does not ask for (its disks, and with them xenstore) is never connected.
 */
import { NEVER } from 'rxjs';
import { bootKernel, type Kernel, type Xenstore, XenstoreError } from '../guest-kernel/index.ts';
import type { Guest } from '../machine/cpu.ts';
import { ENOENT } from '../protocol/errno.ts';
import { Domid } from '../protocol/units.ts';
import { XenbusStateConnected } from '../protocol/xenbus.ts';
import { BlkFront } from './blk-front.ts';
import type { Console } from './console.ts';
import { ConsoleFront } from './console-front.ts';
import { type Disk, DriveDisk, xvdName } from './disk.ts';
import { IdeController } from './ide.ts';
import { hasRings, type RingKernel } from './ring-kernel.ts';
import { UartConsole } from './uart.ts';
import { Xenbus } from './xenbus.ts';

/** What a kernel's main function gets: the kernel library and the devices. */
export interface Machine extends Kernel {
  readonly console: Console;
  /** The disk of that name ('xvda' is the first). @throws RangeError if there is none */
  disk(name: string): Promise<Disk>;
  /** All disks, in the order of their names. */
  disks(): Promise<Disk[]>;
}

/** A guest that boots, runs `main` and powers off. */
export function defineKernel(main: (machine: Machine) => Promise<void>): Guest {
  return (cpu, boot) => bootKernel(cpu, boot, (kernel) => main(withDevices(kernel)));
}

function withDevices(kernel: Kernel): Machine {
  let found: Promise<Disk[]> | undefined;
  const disks = (): Promise<Disk[]> => {
    found ??= kernel.arch === 'pv' ? virtualDisks(kernel) : driveDisks(kernel);
    return found;
  };
  const disk = async (name: string): Promise<Disk> => {
    const all = await disks();
    const one = all.find((candidate) => candidate.name === name);
    if (one) return one;
    const names = all.map((candidate) => candidate.name).join(', ');
    throw new RangeError(`there is no disk ${name}; there is ${names || 'none'}`);
  };
  const console =
    kernel.arch === 'pv' ? ringConsole(kernel) : new UartConsole(kernel.cpu, irqOf(kernel));
  return Object.assign(kernel, { console, disks, disk });
}

/** The console ring, or in domain 0, which has none, the hypervisor's console. */
function ringConsole(kernel: Kernel): Console {
  const { events, boot } = kernel;
  if (!boot.console || !events) {
    const decoder = new TextDecoder();
    const write = async (text: string | Uint8Array): Promise<void> => {
      kernel.earlyWrite(typeof text === 'string' ? text : decoder.decode(text));
    };
    return { write, input: NEVER };
  }
  const { va, port } = boot.console;
  return new ConsoleFront(kernel.sharedPage(va), {
    events: events.events(port),
    notify: () => events.send(port),
  });
}

async function driveDisks(kernel: Kernel): Promise<Disk[]> {
  const controller = new IdeController(kernel, irqOf(kernel));
  const disks: Disk[] = [];
  for (const [n, name] of ['xvda', 'xvdb', 'xvdc', 'xvdd'].entries()) {
    const drive = await controller.drive(n);
    if (drive) disks.push(new DriveDisk(kernel, name, drive));
  }
  return disks;
}

/** Connects to every block device that xenstore has for this domain. */
async function virtualDisks(kernel: Kernel): Promise<Disk[]> {
  const { xenstore } = kernel;
  if (!xenstore || !hasRings(kernel)) return [];
  const handles = (await entries(xenstore, 'device/vbd')).map(Number).sort((a, b) => a - b);
  return Promise.all(handles.map((handle) => virtualDisk(kernel, xenstore, handle)));
}

async function virtualDisk(kernel: RingKernel, store: Xenstore, handle: number): Promise<Disk> {
  const own = `device/vbd/${handle}`;
  const backend = Domid(Number(await store.read(`${own}/backend-id`)));
  const peer = await store.read(`${own}/backend`);
  const name = xvdName(handle) ?? `vbd-${handle}`;
  const front = new BlkFront(kernel, name, handle, backend, (why) => bus.fail(why));
  const bus = new Xenbus(store, 'front', own, peer, front);
  await bus.open();
  await bus.until(XenbusStateConnected);
  return front;
}

async function entries(store: Xenstore, path: string): Promise<string[]> {
  try {
    return await store.directory(path);
  } catch (error) {
    if (error instanceof XenstoreError && error.errno === ENOENT) return [];
    throw error;
  }
}

function irqOf(kernel: Kernel): NonNullable<Kernel['irq']> {
  if (!kernel.irq) throw new Error('a bare kernel has interrupt lines');
  return kernel.irq.bind(kernel);
}
