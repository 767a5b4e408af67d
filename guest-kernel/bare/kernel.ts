/**
 * The bare back end: a kernel at CPL 0 with its own descriptor tables, page tables, PIC and PIT.
 */
import type { BootRecord, Cpu } from '../../machine/cpu.ts';
import { describe } from '../describe.ts';
import { Frames } from '../frames.ts';
import type { AddressSpace, BootInfo, Clock, Interrupts, Kernel, Threads } from '../kernel.ts';
import { RFLAGS_IF, RSP, virt } from '../layout.ts';
import { CpuRingMemory } from '../ring-memory.ts';
import type { Signal } from '../signal.ts';
import { AsyncThreads } from '../threads.ts';
import { TrapHandlers } from '../traps.ts';
import { readBoot } from './boot-memory.ts';
import { Pic } from './pic.ts';
import { Segments } from './segments.ts';
import { BareSpaces, BareTables } from './tables.ts';
import { pitClock } from './time.ts';
import { BareTraps } from './traps.ts';
import { BareUserMode } from './user-mode.ts';

const UART_DATA = 0x3f8;
const UART_LINE_STATUS = 0x3fd;
const TRANSMITTER_EMPTY = 0x20;
/** Polls of the line status before a character is given up. */
const UART_PATIENCE = 10_000;

const ACPI_PM1A_CONTROL = 0xb004;
const SLP_EN = 0x2000;
const KEYBOARD_COMMAND = 0x64;
const PULSE_RESET = 0xfe;

export class BareKernel implements Kernel {
  readonly arch = 'bare';
  readonly cpu: Cpu;
  readonly boot: BootInfo;
  readonly frames: Frames;
  readonly traps = new TrapHandlers();
  readonly time: Clock;
  readonly threads: Threads;
  readonly interrupts: Interrupts;
  readonly #pic: Pic;
  readonly #spaces: BareSpaces;
  readonly #user: BareUserMode;

  constructor(cpu: Cpu, record: BootRecord) {
    this.cpu = cpu;
    const { commandLine, pages, free } = readBoot(cpu, record.startInfo);
    this.boot = { commandLine, pages, privileged: false };
    this.frames = new Frames(free);
    cpu.setReg(RSP, virt(this.frames.alloc()) + 4096);

    const segments = new Segments(cpu, virt(this.frames.alloc()), virt(this.frames.alloc()));
    this.interrupts = new BareInterrupts(cpu);
    this.#pic = new Pic(cpu);
    this.#spaces = new BareSpaces(new BareTables(cpu, this.frames));
    this.#user = new BareUserMode(cpu, segments, this.interrupts);
    this.time = pitClock(cpu, this.#pic);
    const panic = (why: string, error: unknown): void => this.crash(`${why}: ${describe(error)}`);
    this.threads = new AsyncThreads(panic);
    new BareTraps(cpu, segments, { handlers: this.traps, user: this.#user, pic: this.#pic, panic });
    this.interrupts.enable();
  }

  virt(pfn: number): number {
    return virt(pfn);
  }

  machineFrame(pfn: number): number {
    return pfn;
  }

  newAddressSpace(): AddressSpace {
    return this.#spaces.create();
  }

  runUser(code: () => void): void {
    this.#user.run(code);
  }

  irq(line: number): Signal {
    return this.#pic.line(line);
  }

  sharedPage(va: number): CpuRingMemory {
    return new CpuRingMemory(this.cpu, va);
  }

  earlyWrite(text: string): void {
    for (const byte of new TextEncoder().encode(text)) {
      for (let i = 0; i < UART_PATIENCE; i++) {
        if ((this.cpu.in8(UART_LINE_STATUS) & TRANSMITTER_EMPTY) !== 0) break;
      }
      this.cpu.out8(UART_DATA, byte);
    }
  }

  poweroff(): never {
    this.cpu.out16(ACPI_PM1A_CONTROL, SLP_EN);
    throw new Error('the machine did not power off');
  }

  reboot(): never {
    this.cpu.out8(KEYBOARD_COMMAND, PULSE_RESET);
    throw new Error('the machine did not reset');
  }

  crash(why: string): never {
    this.earlyWrite(`panic: ${why}\n`);
    // Without an IDT the next exception is a triple fault: hardware has no other way to say it.
    this.cpu.lidt(0, 0);
    this.cpu.int(3);
    throw new Error('the machine survived a triple fault');
  }
}

class BareInterrupts implements Interrupts {
  readonly #cpu: Cpu;

  constructor(cpu: Cpu) {
    this.#cpu = cpu;
  }

  disable(): boolean {
    const enabled = (this.#cpu.flags() & RFLAGS_IF) !== 0;
    this.#cpu.cli();
    return enabled;
  }

  enable(): void {
    this.#cpu.sti();
  }
}
