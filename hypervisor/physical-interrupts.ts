/**
 * The real interrupt controller, which Xen keeps: it acknowledges, masks the line and raises the
 * event channel that domain 0 bound to it; the line stays masked until domain 0 has served it
 * (PHYSDEVOP_eoi).
 */
import { CAUSE_INTERRUPT } from '../machine/account.ts';
import { type Platform, PORT_PIC_MASTER, PORT_PIC_SLAVE } from '../machine/platform.ts';
import type { Domain } from './domain.ts';
import { raise } from './events.ts';
import type { Hypervisor } from './hypervisor.ts';

const LINES = 16;
const IRQ_TIMER = 0;
const CASCADE = 2;
const VECTOR_BASE = 0x20;
const ICW1_INIT_WITH_ICW4 = 0x11;
const ICW4_8086 = 0x01;
const OCW2_EOI = 0x20;

interface Binding {
  readonly domain: Domain;
  readonly port: number;
}

export class PhysicalInterrupts {
  readonly #xen: Hypervisor;
  readonly #platform: Platform;
  readonly #bindings: (Binding | undefined)[] = new Array(LINES);
  #masked = 0xffff & ~(1 << CASCADE);
  #serving = false;

  constructor(xen: Hypervisor, platform: Platform) {
    this.#xen = xen;
    this.#platform = platform;
    this.#initialize(PORT_PIC_MASTER, VECTOR_BASE, 1 << CASCADE);
    this.#initialize(PORT_PIC_SLAVE, VECTOR_BASE + 8, CASCADE);
    this.#writeMask();
  }

  /** True for a line that domain 0 may have: not the timer, which is Xen's, nor the cascade. */
  exists(irq: number): boolean {
    return Number.isInteger(irq) && irq > IRQ_TIMER && irq < LINES && irq !== CASCADE;
  }

  bound(irq: number): boolean {
    return this.#bindings[irq] !== undefined;
  }

  ownedBy(irq: number, domain: Domain): boolean {
    return this.#bindings[irq]?.domain === domain;
  }

  bind(irq: number, domain: Domain, port: number): void {
    this.#bindings[irq] = { domain, port };
    this.#mask(irq, false);
  }

  unbind(irq: number): void {
    this.#bindings[irq] = undefined;
    this.#mask(irq, true);
  }

  eoi(irq: number): void {
    this.#mask(irq, false);
  }

  /** The controller's output rose: take every request, also those that rise meanwhile. */
  service(): void {
    if (this.#serving) return;
    this.#serving = true;
    this.#takeAll();
    this.#serving = false;
  }

  #takeAll(): void {
    const { pic } = this.#platform;
    const { machine } = this.#xen;
    while (pic.pending) {
      const irq = pic.acknowledge() - VECTOR_BASE;
      this.#xen.active.charge(CAUSE_INTERRUPT, machine.costs.interrupt);
      if (machine.trace.on) {
        machine.trace.emit({ time: this.#xen.now, who: 'xen', kind: 'interrupt', irq });
      }
      this.#mask(irq, true);
      if (irq >= 8) machine.bus.write(PORT_PIC_SLAVE, 1, OCW2_EOI, this.#xen.now);
      machine.bus.write(PORT_PIC_MASTER, 1, OCW2_EOI, this.#xen.now);
      const binding = this.#bindings[irq];
      if (binding && binding.domain.end === undefined)
        raise(this.#xen, binding.domain, binding.port);
    }
  }

  #mask(irq: number, masked: boolean): void {
    this.#masked = masked ? this.#masked | (1 << irq) : this.#masked & ~(1 << irq);
    this.#writeMask();
  }

  #writeMask(): void {
    const { bus } = this.#xen.machine;
    bus.write(PORT_PIC_MASTER + 1, 1, this.#masked & 0xff, this.#xen.now);
    bus.write(PORT_PIC_SLAVE + 1, 1, this.#masked >> 8, this.#xen.now);
  }

  #initialize(port: number, vectorBase: number, cascade: number): void {
    const { bus } = this.#xen.machine;
    const now = this.#xen.now;
    bus.write(port, 1, ICW1_INIT_WITH_ICW4, now);
    bus.write(port + 1, 1, vectorBase, now);
    bus.write(port + 1, 1, cascade, now);
    bus.write(port + 1, 1, ICW4_8086, now);
  }
}
