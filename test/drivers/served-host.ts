/** A machine with the hypervisor and domain 0, for tests that run real domains. */
import { Domain0, defineKernel, type Machine as Kernel } from '../../drivers/index.ts';
import type { Domain } from '../../hypervisor/domain.ts';
import { Hypervisor } from '../../hypervisor/hypervisor.ts';
import type { BlockStore } from '../../machine/block-store.ts';
import type { Guest } from '../../machine/cpu.ts';
import { Machine } from '../../machine/machine.ts';
import { Platform } from '../../machine/platform.ts';
import { VIRQ_DOM_EXC } from '../../protocol/xen.ts';
import { flatPreset } from '../support/machine-fixture.ts';

const GUEST_BYTES = 4 << 20;

export class ServedHost {
  readonly machine: Machine;
  readonly xen: Hypervisor;
  readonly service: Domain0;
  readonly domain0: Domain;
  readonly #consoles = new Map<number, string>();

  constructor(disks: readonly BlockStore[] = [], frames = 32768, vcpus = 8) {
    this.machine = new Machine({ preset: flatPreset, frames, vcpus, pcpus: 1 });
    const { machine } = this;
    const { memory } = machine;
    const platform = new Platform({
      timeline: machine.timeline,
      preset: machine.preset,
      bus: machine.bus,
      dma: {
        read: (pa, into) => {
          into.set(memory.u8.subarray(memory.frameBase + pa, memory.frameBase + pa + into.length));
          return true;
        },
        write: (pa, from) => {
          memory.u8.set(from, memory.frameBase + pa);
          return true;
        },
      },
      disks: [...disks],
      serial: () => undefined,
      intr: () => this.xen.interrupt(),
      powerOff: () => undefined,
    });
    this.xen = new Hypervisor(machine, {
      consoleIo: (domid, bytes) => this.#say(domid, bytes),
      platform,
    });
    this.service = new Domain0({ onConsole: (domid, bytes) => this.#say(domid, bytes) });
    this.domain0 = this.xen.create({
      name: 'domain 0',
      kind: 'pv',
      guest: this.service.guest,
      memoryBytes: 16 << 20,
      privileged: true,
    });
    this.xen.unpause(this.domain0);
  }

  /** What a domain has written. */
  console(domain: Domain): string {
    return this.#consoles.get(domain.id) ?? '';
  }

  /** A domain with drive n as its nth disk, introduced to domain 0 and running. */
  start(main: (k: Kernel) => Promise<void>, disks: readonly boolean[] = []): Domain {
    const domain = this.create(defineKernel(main), disks);
    this.xen.unpause(domain);
    return domain;
  }

  /** As start, but paused; `disks` says of each whether it is read-only. */
  create(guest: Guest, disks: readonly boolean[] = [], memoryBytes = GUEST_BYTES): Domain {
    const domain = this.xen.create({ name: 'guest', kind: 'pv', guest, memoryBytes });
    this.service.introduce({
      domid: domain.id,
      name: 'guest',
      memoryBytes,
      vcpus: 1,
      ...domain.boot,
      disks: disks.map((readOnly, drive) => ({ name: `xvd${'abcd'[drive]}`, drive, readOnly })),
    });
    this.xen.sendGlobalVirq(VIRQ_DOM_EXC);
    return domain;
  }

  /** Has domain 0 let go of it, and destroys it. */
  async release(domain: Domain): Promise<void> {
    this.service.release(domain.id);
    this.xen.sendGlobalVirq(VIRQ_DOM_EXC);
    await this.settle();
    this.xen.destroy(domain);
  }

  /** Runs until nobody has anything left to do. */
  async settle(): Promise<void> {
    this.xen.finishWhen = () => this.domain0.end !== undefined;
    await this.machine.run(this.xen);
    if (this.domain0.end) throw new Error(`domain 0 ended: ${this.domain0.end.why}`);
  }

  #say(domid: number, bytes: Uint8Array): void {
    this.#consoles.set(domid, (this.#consoles.get(domid) ?? '') + new TextDecoder().decode(bytes));
  }
}
