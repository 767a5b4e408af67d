/**
 * Time on hardware: the TSC, whose frequency CPUID says or the PIT measures, and PIT channel 0 as a
 * one-shot timer.
 * @source Intel 8254 data sheet; SDM vol. 2, CPUID leaves 15H and 16H
 */
import type { Cpu } from '../../machine/cpu.ts';
import { type Timer, TimerClock } from '../clock.ts';
import type { Pic } from './pic.ts';

const PIT_HZ = 1_193_182;
const CHANNEL_0 = 0x40;
const CONTROL = 0x43;
/** Channel 0, low byte then high byte, mode 0: interrupt on terminal count. */
const ONE_SHOT = 0x30;
const LATCH_0 = 0x00;
const MAX_COUNT = 0xffff;
const TIMER_LINE = 0;
/** 10 ms. */
const MEASURE_TICKS = 11_932;

class PitTimer implements Timer {
  readonly #cpu: Cpu;
  readonly #hz: number;
  readonly #start: number;
  readonly #listen: () => void;
  #listening = false;

  constructor(cpu: Cpu, listen: () => void) {
    this.#cpu = cpu;
    this.#hz = tscHz(cpu);
    this.#start = cpu.rdtsc();
    this.#listen = listen;
  }

  nanos(): number {
    return Math.floor(((this.#cpu.rdtsc() - this.#start) * 1e9) / this.#hz);
  }

  arm(ns: number): void {
    if (!this.#listening) {
      this.#listening = true;
      this.#listen();
    }
    const ticks = Math.ceil(((ns - this.nanos()) * PIT_HZ) / 1e9);
    startPit(this.#cpu, Math.min(MAX_COUNT, Math.max(1, ticks)));
  }
}

/** Line 0 is listened to from the first alarm on. */
export function pitClock(cpu: Cpu, pic: Pic): TimerClock {
  const listen = (): void => {
    pic.line(TIMER_LINE).subscribe(() => clock.interrupt());
  };
  const clock = new TimerClock(new PitTimer(cpu, listen));
  return clock;
}

/** TSC cycles in a second. */
function tscHz(cpu: Cpu): number {
  const { eax: maxLeaf } = cpu.cpuid(0);
  if (maxLeaf >= 0x15) {
    const { eax: denominator, ebx: numerator, ecx: crystal } = cpu.cpuid(0x15);
    if (denominator > 0 && numerator > 0 && crystal > 0) return (crystal * numerator) / denominator;
  }
  if (maxLeaf >= 0x16) {
    const { eax: mhz } = cpu.cpuid(0x16);
    if (mhz > 0) return mhz * 1e6;
  }
  return measureHz(cpu);
}

function measureHz(cpu: Cpu): number {
  startPit(cpu, MAX_COUNT);
  const begin = cpu.rdtsc();
  let passed = 0;
  while (passed < MEASURE_TICKS) passed = MAX_COUNT - readPit(cpu);
  return ((cpu.rdtsc() - begin) * PIT_HZ) / passed;
}

function startPit(cpu: Cpu, count: number): void {
  cpu.out8(CONTROL, ONE_SHOT);
  cpu.out8(CHANNEL_0, count & 0xff);
  cpu.out8(CHANNEL_0, count >>> 8);
}

function readPit(cpu: Cpu): number {
  cpu.out8(CONTROL, LATCH_0);
  const low = cpu.in8(CHANNEL_0);
  return low | (cpu.in8(CHANNEL_0) << 8);
}
